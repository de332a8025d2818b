"""The audit of every run of CI: known vulnerabilities of what is locked, and secrets in the tree.

``python .ci/audit.py dependencies`` asks PyPI's vulnerability data through pip-audit.
``python .ci/audit.py secrets`` scans every tracked file; ``--accept`` keeps what is found now.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements/dev.lock", "requirements/build.lock")
"""Everything that is installed anywhere; the runtime's lock is a part of the first."""

CANARY = "jinja2==2.10"
"""A version with vulnerabilities that have long been known: a service that knows of none for it
has not been reached."""

ACCEPTED = ROOT / ".ci/accepted-secrets.json"
"""What looks like a secret and is none, by file and kind, as hashes."""

KINDS = (
    *("AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "GitHubTokenDetector"),
    *("GitLabTokenDetector", "JwtTokenDetector", "NpmDetector", "OpenAIDetector"),
    *("PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("StripeDetector", "TwilioKeyDetector"),
)
OURS = ("BharatBuildKeyDetector", "ProviderKeyDetector")

Found = dict[str, dict[str, list[str]]]


def dependencies() -> int:
    """Fail for a known vulnerability; say loudly where nobody can be asked."""
    if not _vulnerable(_audited(_pinned(CANARY))):
        return _not_audited("the vulnerability service does not answer from here")
    report = [each for lock in LOCKS for each in _audited(["-r", str(ROOT / lock)])]
    skipped = [each["name"] for each in report if "skip_reason" in each]
    vulnerable = _vulnerable(report)
    for each in vulnerable:
        for found in each["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"VULNERABLE {each['name']} {each['version']}: {found['id']}, mended in {fixed}")
    if vulnerable:
        return 1
    if skipped:
        return _not_audited(f"nothing is known of {', '.join(skipped)}")
    print(f"{len(report)} packages audited: no known vulnerability.")
    return 0


def secrets(*, accept: bool = False) -> int:
    """Fail for what looks like a secret and was not accepted as none."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    found = scanned(ROOT, [name for name in tracked if name])
    if accept:
        ACCEPTED.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
        print(f"Accepted as no secrets: {sum(len(kinds) for kinds in found.values())} places.")
        return 0
    known: Found = json.loads(ACCEPTED.read_text())
    new = [
        f"SECRET {name}: {kind}"
        for name, kinds in found.items()
        for kind, hashes in kinds.items()
        if set(hashes) - set(known.get(name, {}).get(kind, ()))
    ]
    if new:
        print("\n".join(new))
        print("Take it out and make it invalid where it is used. If it never was a secret:")
        print("  python .ci/audit.py secrets --accept")
        return 1
    print(f"{len(tracked) - 1} files scanned: no secret.")
    return 0


def scanned(root: Path, names: Iterable[str]) -> Found:
    """What looks like a secret in the files, by file and kind, as hashes."""
    plugins = [{"name": kind} for kind in KINDS]
    own = f"file://{Path(__file__).with_name('secret_kinds.py')}"
    plugins += [{"name": kind, "path": own} for kind in OURS]
    # No filter that calls a provider to see whether a key works.
    with transient_settings({"plugins_used": plugins}):
        collection = SecretsCollection(root=str(root))
        for name in names:
            collection.scan_file(name)
    found: Found = {}
    for name, secret in collection:
        found.setdefault(name, {}).setdefault(secret.type, []).append(secret.secret_hash)
    return {name: {kind: sorted(found[name][kind]) for kind in found[name]} for name in found}


def _audited(asked: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", *asked),
            *("--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "20"),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    try:
        report: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        print(done.stderr[-2000:], file=sys.stderr)
        return []
    return report


def _pinned(requirement: str) -> list[str]:
    path = ROOT / ".venv/.audited.txt"
    path.write_text(requirement + "\n")
    return ["-r", str(path), "--no-deps"]


def _vulnerable(report: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in report if each.get("vulns")]


def _not_audited(why: str) -> int:
    bar = "!" * 78
    print(f"{bar}\nDEPENDENCIES NOT AUDITED: {why}.\n{bar}", flush=True)
    if os.environ.get("AUDIT_REQUIRED") == "yes":
        return 2
    print("Where it can be asked, AUDIT_REQUIRED=yes makes this a failure.")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["dependencies"]:
            sys.exit(dependencies())
        case ["secrets"]:
            sys.exit(secrets())
        case ["secrets", "--accept"]:
            sys.exit(secrets(accept=True))
        case _:
            sys.exit(__doc__)
