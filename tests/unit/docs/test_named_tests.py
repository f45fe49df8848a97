"""Pages that name tests as proof; a test that was renamed or removed must not leave a claim without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_THREATS = (_ROOT / "docs/threat-model.md").read_text()
_COMPLAINTS = (_ROOT / "docs/complaints.md").read_text()
_NAMED = sorted(set(re.findall(r"`((?:unit|integration|e2e|iam|sim)/[\w/]+\.py)::(test_\w+)`", _THREATS + _COMPLAINTS)))


@pytest.mark.parametrize(("file", "test"), _NAMED, ids=[test for _, test in _NAMED])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (_ROOT / "tests" / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("claims", "least"),
    [
        pytest.param(_THREATS[_THREATS.index("## Boundaries") : _THREATS.index("## Accepted")], 30, id="threat model"),
        pytest.param(_COMPLAINTS, 20, id="complaints"),
    ],
)
def test_every_claim_names_a_test(claims: str, least: int) -> None:
    headings = ("| ---", "| threat", "| complaint |")
    rows = [line for line in claims.splitlines() if line.startswith("| ") and not line.startswith(headings)]

    assert len(rows) > least
    assert [row for row in rows if "::test_" not in row.rsplit("|", 2)[1]] == []
