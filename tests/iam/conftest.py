"""A local cloud on which roles are taken apart: none that other tests use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cloud_fixture import PARAMETERS, LocalCloud, bring_up
from satchel.hosting import local


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    state = tmp_path_factory.mktemp("cloud")
    try:
        yield bring_up(state, PARAMETERS | {"IngestDelaySeconds": "900", "AllowedDomains": "example.com"})
    finally:
        local.erase(state)
