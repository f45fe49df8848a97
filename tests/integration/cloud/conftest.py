from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.cloud.site import Clock, Site


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock()
