"""What there is while somebody is signed in, and whether the service can be reached."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from satchel.account import Session, SignedIn
from satchel.core.errors import BusyError, NotSignedInError, OfflineError, SatchelError
from satchel.core.model import PushTicket
from satchel.core.status import AccountStatus
from satchel.transfer import Limit

from .browse import Browse
from .drops import Drops
from .home import journal_file
from .incoming import Downloads
from .roots import Remote, Roots, Uploads
from .services import Services
from .settings import Settings
from .transfers import Transfers

log = logging.getLogger(__name__)

PULSE = 60.0
PULSE_OFFLINE = (1.0, 15.0)
"""Seconds between looks at the account: while all is well, and offline (doubling up to the second)."""


def account_key(signed_in: SignedIn) -> str:
    """Names an account's journal: the site and who is in it."""
    return hashlib.sha256(f"{signed_in.site}\0{signed_in.sub}".encode()).hexdigest()[:20]


class Parts:
    """Made on the engine's loop; `open` and `close` go with it."""

    def __init__(
        self,
        home: Path,
        session: Session,
        signed_in: SignedIn,
        *,
        settings: Settings,
        services: Services,
        download_limit: Limit,
        on_change: Callable[[], None],
    ) -> None:
        """Opens the account's journal. Raises `JournalError`."""
        self._session = session
        self._on_change = on_change
        self._services = services
        self.signed_in = signed_in
        self.journal = services.journal(journal_file(home, account_key(signed_in)))
        self.cloud = services.cloud(signed_in.discovery, session)
        self.pool = ThreadPoolExecutor(8, "engine")
        self._disk = ThreadPoolExecutor(2, "disk")
        self.uploader = services.uploader(
            self.cloud,
            self.journal.uploads,
            clock=services.clock,
            ids=services.ids,
            connections=settings.connections,
            limit=settings.upload_limit,
            on_change=on_change,
        )
        self.transfers = Transfers(self.journal, on_change)
        self.browse = Browse(self.cloud, self.journal, services.clock, services.ids)
        self.drops = Drops(
            signed_in.site,
            self.browse,
            self.uploader,
            self.journal,
            self.transfers,
            clock=services.clock,
            ids=services.ids,
        )
        self._downloads = Downloads(self.cloud, self.transfers, services.clock, services.ids, download_limit)
        self.roots = Roots(
            self.journal,
            Remote(self.cloud, self.pool),
            Uploads(self.uploader, self.transfers, self.pool, services.clock),
            self._downloads,
            account_id=signed_in.sub,
            pool=self._disk,
            clock=services.clock,
            ids=services.ids,
            on_change=on_change,
            push=lambda on_news: services.push(self._open_push, on_news, ids=services.ids),
        )
        self.account = AccountStatus("signed_in", signed_in.site, signed_in.email, remembered=session.remembered)
        self.online = True
        self.ended: NotSignedInError | None = None
        self._soon = asyncio.Event()
        self._pulse: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None
        if settings.paused:
            self.pause()

    async def stay(self) -> None:
        """Go on with what was left, keep the folders in step, and look after the account."""
        if self._pulse is None:
            self._pulse = asyncio.create_task(self._beat(), name="pulse")
            await self.resume_drops()
            self.roots.stay()

    async def resume_drops(self) -> None:
        """Go on with what an earlier run left; once."""
        if self._resumed is None:
            self._resumed = asyncio.get_running_loop().run_in_executor(self.pool, self.drops.resume)
        await self._resumed

    async def close(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        await self.roots.close()
        await asyncio.to_thread(self._close)

    def pause(self) -> None:
        self.uploader.pause()
        self._downloads.pause()
        self.roots.pause()

    def resume(self) -> None:
        self.uploader.resume()
        self._downloads.resume()
        self.roots.resume()

    def look_soon(self) -> None:
        """Something hints that the service went away, came back, or that usage changed."""
        self._soon.set()

    async def look(self) -> None:
        """Ask for the account now. Raises what the service raises, and remembers it."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.pool, self.cloud.get_account)
        except NotSignedInError as error:
            self.ended = error
            self._on_change()
            raise
        except (OfflineError, BusyError):
            self.online = False
            self._on_change()
            raise
        was, self.online, self.ended = self.online and self.ended is None, True, None
        self.account = replace(
            self.account,
            used_bytes=found.used_bytes,
            quota_bytes=found.quota_bytes,
            remembered=self._session.remembered,
        )
        if not was:
            self.uploader.hurry()
            self.drops.hurry()
            self.roots.retry()
            self.roots.reconnect()
        self._on_change()

    async def _beat(self) -> None:
        pause = PULSE_OFFLINE[0]
        while True:
            try:
                await self.look()
                pause, wait = PULSE_OFFLINE[0], PULSE
            except SatchelError as error:
                log.info("the account cannot be looked at: %s", error.title)
                wait, pause = pause, min(PULSE_OFFLINE[1], pause * 2)
            except Exception:
                log.exception("looking at the account ran into a bug")
                wait = PULSE
            self._soon.clear()
            before, wall = time.monotonic(), time.time()
            if not self.online:
                await asyncio.sleep(wait)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._soon.wait()
                    await asyncio.sleep(0.5)
            if (time.time() - wall) - (time.monotonic() - before) > 30:
                self.uploader.drop_connections()  # the computer slept
                self._downloads.drop_connections()
                self.roots.retry()
                self.roots.reconnect()

    async def _open_push(self, client_id: str) -> PushTicket:
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.cloud.open_push, client_id)

    def _close(self) -> None:
        self.drops.close()
        self._downloads.close()
        self.uploader.close()
        self.pool.shutdown(wait=True, cancel_futures=True)
        self._disk.shutdown(wait=True, cancel_futures=True)
        self.transfers.settle()
        close = getattr(self.cloud, "close", None)
        if close is not None:
            close()
        self.journal.close()
