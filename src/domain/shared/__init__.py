"""Words every part of the domain uses: identifiers, money, errors, events."""
