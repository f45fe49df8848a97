"""The engine of one home: what it is made of, how it starts and ends, and what it tells its faces."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from satchel.account import Session
from satchel.core.errors import NotSignedInError, SatchelError
from satchel.core.status import AccountStatus, Notice, RecentLink, SignInResult, Snapshot
from satchel.transfer import Limit

from . import commands, settings
from .home import settings_file
from .parts import Parts
from .services import Services
from .status import snapshot

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between two snapshots, at least."""

_SPARE = 9
"""A snapshot of very many files takes time: nine tenths are left to those who move them."""

WHILE_MOVING = 0.5
"""Seconds after which rates and times left are looked at again."""

_LINKS = 20


class Engine:
    """One per home; all of it on one asyncio loop, blocking work in pools."""

    def __init__(self, home: Path, services: Services | None = None) -> None:
        self.home = home
        self.services = services or Services()
        self.settings = settings.Settings()
        self.download_limit = Limit(self.services.clock)
        self.parts: Parts | None = None
        self.resident = False
        self._session: Session = self.services.session(home)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._poked = False
        self._watchers: set[Callable[[Any], None]] = set()
        self._windows: set[Callable[[Any], None]] = set()
        self._last: Snapshot | None = None
        self._settings_set = 0
        self._publisher: asyncio.Task[None] | None = None
        self._switching = asyncio.Lock()
        self._setting = asyncio.Lock()

    async def start(self, *, resident: bool = True) -> None:
        """Needs no network. Raises `JournalError`, and `UsageError` for broken settings."""
        self._loop = asyncio.get_running_loop()
        self.settings = settings.load(settings_file(self.home))
        self._keep_to_limits()
        signed_in = await asyncio.to_thread(self._session.restore)
        if signed_in is not None:
            self.parts = Parts(self.home, self._session, signed_in, **self._given())
        self._publisher = asyncio.create_task(self._publish(), name="publish")
        if resident:
            await self.stay()

    async def stop(self) -> None:
        if self._publisher is not None:
            self._publisher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._publisher
        parts, self.parts = self.parts, None
        if parts is not None:
            await parts.close()

    async def handle(self, method: str, params: dict[str, Any], emit: Callable[[Any], None]) -> Any:
        """Answer one request of a face."""
        return await commands.run(self, method, params, emit)

    async def stay(self) -> None:
        """Become resident: go on with what was left, keep folders in step. May be called again."""
        self.resident = True
        if self.parts is not None:
            await self.parts.stay()
        self.changed()

    def signed_in(self) -> Parts:
        """Raises `NotSignedInError`."""
        if self.parts is None:
            raise NotSignedInError("Nobody is signed in", "Sign in first: satchel login SITE --email YOU")
        return self.parts

    async def login(self, site: str, email: str, password: str, new_password: str | None) -> SignInResult:
        discovery = await asyncio.to_thread(self.services.discover, site)
        async with self._switching:
            outcome = await asyncio.to_thread(self._session.sign_in, discovery, email, password, new_password)
            account = self._session.account
            if outcome == "new_password_required" or account is None:
                return SignInResult("new_password_required", AccountStatus(site=discovery.site, email=email))
            await self._replace_parts()
            self.parts = Parts(self.home, self._session, account, **self._given())
        with contextlib.suppress(SatchelError):
            await self.parts.look()
        if self.resident:
            await self.stay()
        return SignInResult("signed_in", self.account())

    async def logout(self) -> None:
        async with self._switching:
            await self._replace_parts()
            await asyncio.to_thread(self._session.sign_out)
        self.changed()

    async def change_settings(self, values: dict[str, Any]) -> settings.Settings:
        """Raises `UsageError` and then changes nothing. Done also when whoever asked hangs up meanwhile."""
        return await asyncio.shield(self._change_settings(values))

    async def _change_settings(self, values: dict[str, Any]) -> settings.Settings:
        async with self._setting:  # the file is read, changed and written anew: two at once would lose one
            before = self.settings
            self.settings = made = await asyncio.to_thread(settings.change, settings_file(self.home), values)
            self._keep_to_limits()
            if self.parts is not None and made.paused != before.paused:
                (self.parts.pause if made.paused else self.parts.resume)()
            self._settings_set += 1
        self.changed()
        return made

    def _keep_to_limits(self) -> None:
        """What is under way hears of a new limit at once."""
        self.download_limit.rate = self.settings.download_limit
        if self.parts is not None:
            self.parts.uploader.limit.rate = self.settings.upload_limit

    def account(self) -> AccountStatus:
        if self.parts is None:
            return AccountStatus()
        if self.parts.ended is not None:
            return replace(self.parts.account, state="signed_out")
        return self.parts.account

    # -- telling ------------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something may differ. From any thread, as often as one likes."""
        if not self._poked and self._loop is not None:
            self._poked = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._changed.set)

    def show(self, *, ask: bool = True) -> bool:
        """Whether there is a window; `ask` it to come forward."""
        for window in list(self._windows) if ask else ():
            window({"show": True})
        return bool(self._windows)

    @contextlib.asynccontextmanager
    async def watching(self, emit: Callable[[Any], None], *, window: bool = False) -> AsyncIterator[None]:
        """Snapshots to `emit`, now and whenever they differ; a window is also told when it is to come forward."""
        self._watchers.add(emit)
        if window:
            self._windows.add(emit)
        try:
            emit(await self.snapshot())
            yield
        finally:
            self._watchers.discard(emit)
            self._windows.discard(emit)

    async def snapshot(self) -> Snapshot:
        """What is so now."""
        parts = self.parts
        links: list[RecentLink] = []
        if parts is not None:
            await asyncio.get_running_loop().run_in_executor(parts.pool, lambda: _refresh(parts))
            links = [
                RecentLink(link.link_id, link.name, link.url, link.created_ms)
                for link in parts.journal.links.recent(_LINKS)
            ]
        return snapshot(
            self.account(),
            online=parts is None or parts.online,
            paused=self.settings.paused,
            watching=self.resident,
            transfers=parts.transfers.rows() if parts else (),
            links=links,
            roots=parts.roots.rows() if parts else (),
            notices=self._notices(),
            settings_set=self._settings_set,
        )

    def _notices(self) -> tuple[Notice, ...]:
        parts, found = self.parts, []
        if parts is None:
            return ()
        if parts.ended is not None:
            found.append(Notice("session-ended", parts.ended.title, parts.ended.message))
        if not self._session.remembered:
            found.append(
                Notice(
                    "not-remembered",
                    "There is no keyring to keep you signed in",
                    "You stay signed in until Satchel ends. Unlock or install a keyring, then sign in again.",
                )
            )
        if parts.journal.set_aside is not None:
            found.append(
                Notice(
                    "journal-set-aside",
                    "Satchel's memory was damaged and begins anew",
                    f"Nothing is lost: folders are compared afresh. The old one is at {parts.journal.set_aside}.",
                )
            )
        if not self.resident and parts.roots.rows():
            found.append(
                Notice("not-watching", "Folders are not kept in step now", "Start Satchel, or run `satchel sync`.")
            )
        return tuple(found)

    async def _publish(self) -> None:
        while True:
            moving = self._last is not None and self._last.transfers_active
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WHILE_MOVING if moving else 30.0):
                    await self._changed.wait()
            self._changed.clear()
            self._poked = False
            began = time.monotonic()
            try:
                await self._tell()
            except Exception:
                log.exception("telling the faces ran into a bug")
            await asyncio.sleep(max(EVERY, _SPARE * (time.monotonic() - began)))

    async def _tell(self) -> None:
        before, now = self._last, await self.snapshot()
        self._last = now
        if now == before:
            return
        parts = self.parts
        if parts is not None and before is not None and before.transfers_active > now.transfers_active:
            parts.look_soon()  # the usage has changed
            await asyncio.get_running_loop().run_in_executor(parts.pool, parts.transfers.settle)
        if parts is not None and any(row.message for row in now.transfers if not row.state.final):
            parts.look_soon()
        for watcher in list(self._watchers):
            watcher(now)

    def _given(self) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "services": self.services,
            "download_limit": self.download_limit,
            "on_change": self.changed,
        }

    async def _replace_parts(self) -> None:
        parts, self.parts = self.parts, None
        if parts is not None:
            await parts.close()


def _refresh(parts: Parts) -> None:
    parts.transfers.update(parts.uploader.progress())
