"""What the engine is made of, so that tests can hand in parts of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satchel.account import Session
from satchel.cloud import Cloud, Push, discover
from satchel.core.model import Discovery
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds
from satchel.journal import Journal
from satchel.transfer import Uploader


@dataclass(frozen=True, slots=True)
class Services:
    """Makers of the parts; `cloud` gives the signed-in account's service, `uploader` what moves bytes to S3."""

    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)
    session: Callable[[Path], Session] = Session
    discover: Callable[[str], Discovery] = discover
    cloud: Callable[[Discovery, Session], Cloud] = lambda discovery, session: Cloud(
        discovery, session.access_token, refresh=session.force_refresh
    )
    uploader: Callable[..., Any] = Uploader
    push: Callable[..., Push] = Push
    journal: Callable[[Path], Journal] = Journal
