"""What things cost and who paid: usage, prices, and the double-entry ledger."""
