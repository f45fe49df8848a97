"""The account's tree and links by path, as people name them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from satchel.cloud import Cloud, parse_link
from satchel.core.errors import RefusedError, UsageError
from satchel.core.model import FolderIntent, FolderMade, LinkIntent, Node, SavedLink
from satchel.core.names import name_problem
from satchel.core.ports import Clock, Ids
from satchel.journal import Journal


class Browse:
    """Blocking. Paths are absolute, `/`-separated; a leading slash may be left off."""

    def __init__(self, cloud: Cloud, journal: Journal, clock: Clock, ids: Ids) -> None:
        self._cloud = cloud
        self._journal = journal
        self._clock = clock
        self._ids = ids

    def make_folders(self, folders: Sequence[FolderIntent]) -> Sequence[FolderMade]:
        return self._cloud.make_folders(folders)

    def abort_upload(self, upload_id: str) -> None:
        self._cloud.abort_upload(upload_id)

    def find(self, path: str) -> Node:
        """Raises `RefusedError` of kind `not-found`, with the path."""
        return _at(path, lambda: self._cloud.find_node(_tidy(path)))

    def ls(self, path: str) -> list[Node]:
        """What is in a folder; a file is its own listing."""
        node = self.find(path)
        return list(self._cloud.children(node.node_id)) if node.kind == "folder" else [node]

    def folder(self, path: str, *, make: bool = False) -> Node:
        """The folder at a path; with `make`, it and those above it are made when missing."""
        path = _tidy(path)
        try:
            node = self._cloud.find_node(path)
        except RefusedError as error:
            if error.kind != "not-found" or not make or path == "/":
                _explain(error, path)
                raise
            above, _, name = path.rpartition("/")
            return self._make(self.folder(above or "/", make=True), name, path)
        if node.kind != "folder":
            raise RefusedError("not-a-folder", "This is a file", "Name a folder.", status=409, path=path)
        return node

    def mkdir(self, path: str) -> Node:
        """Makes missing folders above it too. Raises `RefusedError` of kind `name-taken` when something is there."""
        path = _tidy(path)
        above, _, name = path.rpartition("/")
        if not name:
            raise UsageError("The top folder is there already", "Name a new folder.", path=path)
        return self._make(self.folder(above or "/", make=True), name, path, new=True)

    def mv(self, source: str, dest: str) -> Node:
        """Rename or move; into `dest` when that is a folder."""
        node = self.find(source)
        if node.parent_id is None:
            raise UsageError("The top folder cannot be moved", "Name something in it.", path="/")
        target = _tidy(dest)
        try:
            there = self._cloud.find_node(target)
        except RefusedError as error:
            if error.kind != "not-found":
                raise
            above, _, name = target.rpartition("/")
            parent = self.folder(above or "/")
        else:
            if there.kind == "folder" and there.node_id != node.node_id:
                parent, name = there, node.name
            else:
                parent, name = self._cloud.get_node(there.parent_id or "root"), target.rpartition("/")[2]
        return _at(target, lambda: self._cloud.move_node(node.node_id, parent_id=parent.node_id, name=name))

    def rm(self, path: str) -> None:
        """Into the trash, with all that is in it."""
        node = self.find(path)
        if node.parent_id is None:
            raise UsageError("The top folder cannot be removed", "Name something in it.", path="/")
        self._cloud.trash_node(node.node_id)

    # -- links --------------------------------------------------------------------------------------------------------

    def link_create(self, path: str, expires_ms: int | None) -> dict[str, Any]:
        """The link's values and its `url`."""
        node = self.find(path)
        if node.parent_id is None:
            raise UsageError("The top folder cannot be shared", "Name something in it.", path="/")
        token = self._ids.new_token()
        link = self._cloud.create_link(node.node_id, LinkIntent(token, expires_ms))
        url = f"{self._cloud.site}/s/{token}"
        self._journal.links.add(
            SavedLink(link.link_id, link.name, url, node.node_id, self._clock.now_ms(), self._cloud.site)
        )
        return {**msgspec.to_builtins(link), "url": url}

    def link_list(self) -> list[dict[str, Any]]:
        """All links, newest first, with their `url` where this computer knows it."""
        known = {link.link_id: link.url for link in self._journal.links.recent(10_000)}
        return [{**msgspec.to_builtins(link), "url": known.get(link.link_id)} for link in self._cloud.links()]

    def link_revoke(self, token: str) -> None:
        """By token, whole address or link id."""
        link_id = link_id_of(token)
        self._cloud.revoke_link(link_id)
        self._journal.links.remove(link_id)

    def _make(self, parent: Node, name: str, path: str, *, new: bool = False) -> Node:
        if (problem := name_problem(name)) is not None:
            raise UsageError(problem.reason, problem.remedy, path=path)
        [made] = self._cloud.make_folders([FolderIntent(self._ids.new_id(), parent.node_id, name)])
        if made.node is not None and made.outcome == "done":
            return made.node
        current = made.problem.current if made.problem else None
        if not new and current is not None and current.kind == "folder":
            return current  # somebody else was first
        if made.problem is None:
            raise RefusedError("busy", "The folder was not made", "Try again.", path=path)
        raise RefusedError.of(made.problem, path=path)


def link_id_of(text: str) -> str:
    """The id of a link given by its address, its token or its id. Raises `UsageError`."""
    text = text.strip()
    if re.fullmatch(r"[0-9a-f]{32}", text):
        return text
    token = parse_link(text)[1] if "/" in text else text
    if not re.fullmatch(r"[A-Za-z0-9_-]{22,64}", token):
        raise UsageError("This is not a link's token", "Take it from `satchel link list`.")
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def _tidy(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UsageError("“..” is not known here", "Give the path from the top, like /Photos/2026.", path=path)
    return "/" + "/".join(parts)


def _at(path: str, work: Any) -> Node:
    try:
        found: Node = work()
    except RefusedError as error:
        _explain(error, path)
        raise
    return found


def _explain(error: RefusedError, path: str) -> None:
    error.path = error.path or path
    if not error.message and error.kind == "not-found":
        error.message = "Check the path."
