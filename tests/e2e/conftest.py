from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cloud_fixture import LocalCloud, bring_up
from satchel.hosting import local


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The one local cloud of this run. Tests share it: make users of your own, and put back what you stop."""
    state = tmp_path_factory.mktemp("cloud")
    try:
        yield bring_up(state)
    finally:
        local.erase(state)
