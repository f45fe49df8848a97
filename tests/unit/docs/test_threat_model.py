"""The threat model names tests; a test that was renamed or removed must not leave a check without proof."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_PAGE = (_ROOT / "docs/threat-model.md").read_text()
_NAMED = sorted(set(re.findall(r"`((?:unit|integration|e2e|iam)/[\w/]+\.py)::(test_\w+)`", _PAGE)))


@pytest.mark.parametrize(("file", "test"), _NAMED, ids=[test for _, test in _NAMED])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (_ROOT / "tests" / file).read_text(), re.MULTILINE)


def test_every_check_names_a_test() -> None:
    boundaries = _PAGE[_PAGE.index("## Boundaries") : _PAGE.index("## Accepted")]
    rows = [
        line for line in boundaries.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| threat"))
    ]

    assert len(rows) > 30
    assert [row for row in rows if "::test_" not in row.rsplit("|", 2)[1]] == []
