"""What faces may ask the engine for: one function per method of the control socket, with its parameters by name."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from satchel.core.errors import BusyError, NotSignedInError, OfflineError, UsageError
from satchel.core.model import Node, TransferState
from satchel.core.status import AccountStatus, DroppedItem, DropResult, RootRow, SignInResult, Snapshot, TransferRow

from .diagnose import diagnose as write_bundle
from .fetch import fetch
from .parts import Parts

if TYPE_CHECKING:
    from .engine import Engine

T = TypeVar("T")
Emit = Callable[[Any], None]

_WAIT_EVERY = 0.1


async def run(engine: Engine, method: str, params: dict[str, Any], emit: Emit) -> Any:
    """Call the method. Raises `UsageError` for one that is not there, or for parameters that do not fit."""
    command = COMMANDS.get(method)
    if command is None:
        raise UsageError(f"The engine knows no “{method}”", "App and engine are of different versions; restart both.")
    try:
        bound = inspect.signature(command).bind(engine, emit, **params)
    except TypeError as error:
        raise UsageError(f"“{method}” does not fit", f"{error}.") from error
    return await command(*bound.args, **bound.kwargs)


# -- the engine itself ------------------------------------------------------------------------------------------------


async def status(engine: Engine, _: Emit) -> Snapshot:
    if not engine.resident and engine.parts is not None:
        await _look_quietly(engine.parts)
    return await engine.snapshot()


async def watch(engine: Engine, emit: Emit, *, window: bool = False) -> None:
    """Until the face hangs up. Somebody watches, so there is somebody to keep folders in step for.

    A `window` also gets `{"show": True}` when it is to come forward.
    """
    await engine.stay()
    async with engine.watching(emit, window=window):
        await asyncio.Event().wait()


async def show(engine: Engine, _: Emit, *, ask: bool = True) -> bool:
    """Whether a window watches; without `ask` it is left where it is."""
    return engine.show(ask=ask)


async def settings_get(engine: Engine, _: Emit) -> dict[str, Any]:
    return asdict(engine.settings)


async def settings_set(engine: Engine, _: Emit, **values: Any) -> dict[str, Any]:
    return asdict(await engine.change_settings(values))


async def pause(engine: Engine, emit: Emit) -> None:
    await settings_set(engine, emit, paused=True)


async def resume(engine: Engine, emit: Emit) -> None:
    await settings_set(engine, emit, paused=False)


async def diagnose(engine: Engine, _: Emit, dest: str) -> dict[str, str]:
    now = await engine.snapshot()
    return {"path": await asyncio.to_thread(write_bundle, engine.home, Path(dest), now, engine.settings)}


# -- the account ------------------------------------------------------------------------------------------------------


async def login(
    engine: Engine, _: Emit, site: str, email: str, password: str, new_password: str | None = None
) -> SignInResult:
    return await engine.login(site, email, password, new_password)


async def logout(engine: Engine, _: Emit) -> None:
    await engine.logout()


async def whoami(engine: Engine, _: Emit) -> AccountStatus:
    if engine.parts is not None:
        await _look_quietly(engine.parts)
    return engine.account()


# -- moving bytes -----------------------------------------------------------------------------------------------------


async def drop(
    engine: Engine,
    emit: Emit,
    paths: list[str],
    *,
    to: str | None = None,
    link: bool = True,
    wait: bool = False,
    patient: bool = True,
) -> DropResult:
    """Not `patient`: refused at once when the service cannot be reached, rather than kept for later."""
    parts = engine.signed_in()
    if not patient:
        await parts.look()
    result = await _threaded(parts, lambda: parts.drops.drop(paths, to, link))
    engine.changed()
    if not wait:
        return result
    try:
        rows = await _until_ended(parts, [item.transfer_id for item in result.items if item.transfer_id], emit)
    except asyncio.CancelledError:
        for item in result.items:
            if item.transfer_id:
                await asyncio.shield(_threaded(parts, lambda at=item.transfer_id: parts.drops.cancel_now(at)))  # type: ignore[misc] # bound
        raise
    items = [await _ended(parts, item, rows.get(item.transfer_id or "")) for item in result.items]
    links = dict.fromkeys([*result.links, *(item.link_url for item in items if item.link_url)])
    return DropResult(tuple(items), tuple(links))


async def _ended(parts: Parts, item: DroppedItem, row: TransferRow | None) -> DroppedItem:
    """What became of a dropped item; `row` as it was told last, if ever."""
    if row is None or item.error is not None:
        return item
    if row.state is TransferState.DONE:
        return await _threaded(parts, lambda: parts.drops.answer(item))
    return replace(item, link_url=row.link_url or item.link_url, error=row.message or "It was cancelled")


async def transfer_cancel(engine: Engine, _: Emit, transfer_id: str) -> None:
    parts = engine.signed_in()
    await _threaded(parts, lambda: parts.drops.cancel(transfer_id))


async def transfer_retry(engine: Engine, _: Emit, transfer_id: str) -> None:
    parts = engine.signed_in()
    await _threaded(parts, lambda: parts.drops.retry(transfer_id))


async def transfer_pause(engine: Engine, _: Emit, transfer_id: str) -> None:
    parts = engine.signed_in()
    for upload in parts.transfers.uploads(transfer_id):
        parts.uploader.pause(upload.upload_id)


async def transfer_resume(engine: Engine, _: Emit, transfer_id: str) -> None:
    parts = engine.signed_in()
    for upload in parts.transfers.uploads(transfer_id):
        parts.uploader.resume(upload.upload_id)


async def clear_done(engine: Engine, _: Emit) -> None:
    parts = engine.signed_in()
    for upload_id in await _threaded(parts, parts.transfers.clear_done):
        parts.uploader.forget(upload_id)


async def get(engine: Engine, emit: Emit, source: str, dest: str, force: bool = False) -> dict[str, str]:
    parts = engine.parts
    if parts is None and "://" not in source:
        engine.signed_in()
    stop = threading.Event()

    def show_row(row: TransferRow) -> None:
        if parts is not None:
            parts.transfers.show_download(row, stop)
        emit(row)

    work = asyncio.get_running_loop().run_in_executor(
        parts.pool if parts else None,
        lambda: fetch(
            source,
            dest,
            account=(parts.cloud, parts.browse) if parts else None,
            clock=engine.services.clock,
            ids=engine.services.ids,
            force=force,
            limit=engine.download_limit,
            show=show_row,
            stopped=stop.is_set,
        ),
    )
    try:
        return {"path": await asyncio.shield(work)}
    except asyncio.CancelledError:
        stop.set()
        raise


# -- the tree and links -----------------------------------------------------------------------------------------------


async def ls(engine: Engine, _: Emit, path: str = "/") -> list[Node]:
    parts = engine.signed_in()
    return await _threaded(parts, lambda: parts.browse.ls(path))


async def mkdir(engine: Engine, _: Emit, path: str) -> Node:
    parts = engine.signed_in()
    return await _threaded(parts, lambda: parts.browse.mkdir(path))


async def mv(engine: Engine, _: Emit, source: str, dest: str) -> Node:
    parts = engine.signed_in()
    return await _threaded(parts, lambda: parts.browse.mv(source, dest))


async def rm(engine: Engine, _: Emit, path: str) -> None:
    parts = engine.signed_in()
    await _threaded(parts, lambda: parts.browse.rm(path))


async def link_create(engine: Engine, _: Emit, path: str, expires_ms: int | None = None) -> dict[str, Any]:
    parts = engine.signed_in()
    made = await _threaded(parts, lambda: parts.browse.link_create(path, expires_ms))
    engine.changed()
    return made


async def link_list(engine: Engine, _: Emit) -> list[dict[str, Any]]:
    parts = engine.signed_in()
    return await _threaded(parts, parts.browse.link_list)


async def link_revoke(engine: Engine, _: Emit, token: str) -> None:
    parts = engine.signed_in()
    await _threaded(parts, lambda: parts.browse.link_revoke(token))
    engine.changed()


# -- watched folders --------------------------------------------------------------------------------------------------


async def root_add(
    engine: Engine,
    _: Emit,
    dir: str,  # noqa: A002 - agreed
    to: str | None = None,
    two_way: bool = False,
    left_out: Sequence[str] = (),
) -> RootRow:
    return await engine.signed_in().roots.add(dir, to, two_way=two_way, left_out=left_out)


async def root_list(engine: Engine, _: Emit) -> tuple[RootRow, ...]:
    return engine.signed_in().roots.rows()


async def root_remove(engine: Engine, _: Emit, root_id_or_dir: str) -> None:
    await engine.signed_in().roots.remove(root_id_or_dir)


async def root_confirm(engine: Engine, _: Emit, root_id_or_dir: str, files: int | None = None) -> dict[str, int]:
    """Delete what is gone on the other side, of which there was so much that it waits for a person's word. `files` is
    how many that person was told of: of others it is refused."""
    parts = engine.signed_in()
    if engine.settings.paused:
        raise UsageError("Satchel is paused", "Resume it first.")
    await parts.look()
    return {"files": await parts.roots.confirm(root_id_or_dir, files)}


async def root_folders(engine: Engine, _: Emit, root_id_or_dir: str) -> tuple[str, ...]:
    return await engine.signed_in().roots.folders(root_id_or_dir)


async def root_leave_out(engine: Engine, _: Emit, path: str) -> RootRow:
    """Keep a file or folder of a two-way folder online only: its copy here goes to the folder's own trash."""
    return await engine.signed_in().roots.leave_out(path)


async def root_take_in(engine: Engine, _: Emit, path: str) -> RootRow:
    """Have on this computer again what was left out."""
    return await engine.signed_in().roots.take_in(path)


async def verify(engine: Engine, emit: Emit, root_id_or_dir: str | None = None) -> tuple[RootRow, ...]:
    """Compare every byte of one folder, or of all, with what the service has, and change nothing. Emits `Verifying` and
    each `Difference`. Raises when the service cannot be reached."""
    parts = engine.signed_in()
    await parts.look()
    return await parts.roots.verify(root_id_or_dir, emit)


async def sync_once(engine: Engine, emit: Emit) -> Snapshot:
    """Finish what was dropped, and bring all folders in step as far as it goes. Raises when the service cannot be
    reached."""
    parts = engine.signed_in()
    if engine.settings.paused:
        raise UsageError("Satchel is paused", "Resume it first.")
    await parts.look()
    async with engine.watching(lambda event: None if isinstance(event, dict) else emit(event)):
        await parts.resume_drops()
        await parts.roots.sync_once()
        await _until_ended(parts, parts.transfers.under_way(), lambda _: None)
    return await engine.snapshot()


COMMANDS: dict[str, Callable[..., Awaitable[Any]]] = {
    command.__name__: command
    for command in (
        status, watch, show, settings_get, settings_set, pause, resume, diagnose,
        login, logout, whoami,
        drop, transfer_cancel, transfer_retry, transfer_pause, transfer_resume, clear_done, get,
        ls, mkdir, mv, rm, link_create, link_list, link_revoke,
        root_add, root_list, root_remove, root_confirm, root_folders, root_leave_out, root_take_in,
        verify, sync_once,
    )
}  # fmt: skip


async def _threaded(parts: Parts, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(parts.pool, work)


async def _look_quietly(parts: Parts) -> None:
    """As fresh as can be; offline, what was known."""
    try:
        await parts.look()
    except (OfflineError, BusyError, NotSignedInError):
        return


async def _until_ended(parts: Parts, ids: list[str], emit: Emit) -> dict[str, TransferRow]:
    """The rows are as fresh as the engine keeps them for its faces; asking for thousands of files once more would take
    as much time again."""
    told: dict[str, TransferRow] = {}
    while True:
        for transfer_id in ids:
            row = parts.transfers.row(transfer_id)
            if row is not None and told.get(transfer_id) != row:
                told[transfer_id] = row
                emit(row)
        if all((at in told and told[at].state.final) or parts.transfers.row(at) is None for at in ids):
            return told
        await asyncio.sleep(_WAIT_EVERY)
