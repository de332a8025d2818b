"""The table of risks on the page of security names tests that exist."""

import re
from pathlib import Path

PAGE = Path("docs/security.md").read_text()
RISKS = [f"API{number}:2023" for number in range(1, 11)]


def test_every_risk_has_a_defence_and_a_test() -> None:
    rows = re.findall(r"^\| (API\d+:2023) [^|]+\| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [risk for risk, _ in rows] == RISKS
    for risk, tests in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert named, risk
        for path, name in named:
            assert Path(path).exists(), f"{risk}: {path}"
            source = Path(path).read_text()
            assert re.search(rf"^\s*(async )?def {name}\(", source, re.MULTILINE), (
                f"{risk}: {path}::{name}"
            )
