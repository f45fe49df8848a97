"""A loopback S3 that checks what it is sent and misbehaves on request, with the service that signs for it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from awscrt import checksums

from satchel.core.errors import JournalError, OfflineError, RefusedError
from satchel.core.model import (
    CompleteItem,
    CompleteResult,
    Link,
    Node,
    OpenedUpload,
    OpenedUploads,
    PartsReply,
    PartToSign,
    PresentPart,
    Problem,
    Revision,
    SignedPart,
    SignedRequest,
    StoredUpload,
    TransferState,
    UploadIntent,
    UploadStatus,
)

PART = 5 * 1024 * 1024


@dataclass
class Fault:
    kind: str
    times: int = 1
    part: int | None = None
    upload_id: str | None = None


@dataclass
class Signature:
    upload_id: str
    part: int
    size: int
    checksum: str
    source: bytes | None = None
    """For a part that is copied: the bytes."""


class FakeS3:
    """`objects` holds what arrived; `wire` lists (upload_id, part) of every body received whole, faults included."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, tuple[bytes | int, str]]] = {}
        self.wire: list[tuple[str, int]] = []
        self.received = 0
        """Bytes of bodies."""
        self.broken: list[int] = []
        """Bytes of those that broke off."""
        self.copied: list[tuple[str, int]] = []
        self.tells_copies_checksum = True
        self.signatures: dict[str, Signature] = {}
        self.faults: list[Fault] = []
        self.keep_bytes = True
        self.connections = 0
        self.taking = 0
        """PUTs under way: even what a dead client sent is still worked on for a moment."""
        self.release = threading.Event()
        self.reached = threading.Event()
        """Set when a fault of kind `stall` was reached."""
        self.downloads: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.asked: list[tuple[str, str | None]] = []
        """Path and range of every download."""
        self.etag = '"v1"'
        self.get_delay = 0.0
        self.fail_range: int | None = None
        """The number of a range of 8 MiB that is never handed out."""
        self.replacement: tuple[int, bytes, str] | None = None
        self.whole_only = False
        """Knows no ranges."""
        self.delay = 0.0
        self.lock = threading.Lock()
        self._server: Any = None
        self.tls: ssl.SSLContext | None = None
        self.public = ""
        """The address that is signed, when it is another than its own."""
        self.port = 0
        self.up()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def secure(self, tls: ssl.SSLContext) -> None:
        self.down()
        self.tls = tls
        self.up()

    def up(self) -> None:
        fake = self

        class Handler(_Handler):
            s3 = fake

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def finish_request(self, request: Any, client_address: Any) -> None:
                # The handshake belongs into the connection's thread.
                wrapped = fake.tls.wrap_socket(request, server_side=True) if fake.tls else request
                super().finish_request(wrapped, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def close(self) -> None:
        self.release.set()
        self.down()

    def fail(self, kind: str, times: int = 1, part: int | None = None) -> None:
        with self.lock:
            self.faults.append(Fault(kind, times, part))

    def replace_after(self, times: int, content: bytes, etag: str) -> None:
        """Another content is handed out after so many requests."""
        self.replacement = times, content, etag

    def fault(self, part: int) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.part in (None, part):
                    fault.times -= 1
                    return fault.kind
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: FakeS3
    timeout = 20

    def setup(self) -> None:
        super().setup()
        self.s3.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        with self.s3.lock:
            self.s3.taking += 1
        try:
            self._put()
        finally:
            with self.s3.lock:
                self.s3.taking -= 1

    def _put(self) -> None:  # noqa: PLR0911, PLR0912 - every way to misbehave, in one place
        s3 = self.s3
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        signed = s3.signatures.get(query.get("sig", ""))
        length = int(self.headers["content-length"])
        fault = s3.fault(signed.part if signed else -1)
        if fault == "early-403":  # answered before the body was taken
            self.rfile.read(1024)
            self.error(403, "AccessDenied")
            self.close_connection = True
            return
        if fault in ("reset", "stall"):
            self.rfile.read(length // 2)
            if fault == "stall":
                s3.reached.set()
                s3.release.wait(20)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        body = self.take(length, keep=s3.keep_bytes)
        if body is None:
            self.close_connection = True
            return
        if signed is None:
            self.error(403, "AccessDenied")
            return
        content, crc, sha = body
        if signed.source is not None:
            self.copy(signed, fault)
            return
        with s3.lock:
            s3.wire.append((signed.upload_id, signed.part))
            s3.received += length
        if fault == "no-answer":
            s3.reached.set()
            s3.release.wait(60)
            self.close_connection = True
            return
        if s3.delay:
            time.sleep(s3.delay)
        if fault.isdigit():
            self.error(int(fault), {"403": "AccessDenied", "503": "SlowDown"}.get(fault, "InternalError"))
        elif fault == "skew":
            self.error(403, "RequestTimeTooSkewed", date=time.time() - 1800)
        elif fault == "lost" or (signed.part and signed.upload_id not in s3.parts):
            s3.parts.pop(signed.upload_id, None)
            self.error(404, "NoSuchUpload")
        elif length != signed.size:
            self.error(403, "SignatureDoesNotMatch")
        elif fault == "flip" or signed.checksum != (crc if signed.part else sha):
            self.error(400, "BadDigest")
        elif signed.part:
            s3.parts[signed.upload_id][signed.part] = (content if s3.keep_bytes else length, crc)
            self.answer(200, {"etag": '"x"', "x-amz-checksum-crc64nvme": crc})
            if fault == "ack-lost":
                raise ConnectionResetError
        elif self.headers.get("if-none-match") == "*" and signed.upload_id in s3.objects:
            self.error(412, "PreconditionFailed")
        else:
            s3.objects[signed.upload_id] = content
            if fault == "arrived-but-reset":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.answer(200, {"etag": '"x"'})

    def copy(self, signed: Signature, fault: str) -> None:
        s3 = self.s3
        assert signed.source is not None
        if signed.upload_id not in s3.parts:
            self.error(404, "NoSuchUpload")
        elif fault.isdigit():
            self.error(int(fault), {"403": "AccessDenied", "404": "NoSuchKey"}.get(fault, "InternalError"))
        elif fault == "late-error":  # the status was sent before the copy began
            self.answer(200, {}, b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>")
        else:
            content = bytes(len(signed.source)) if fault == "other-bytes" else signed.source
            crc = crc64nvme(content)
            s3.parts[signed.upload_id][signed.part] = (content, crc)
            with s3.lock:
                s3.copied.append((signed.upload_id, signed.part))
            told = f"<ChecksumCRC64NVME>{crc}</ChecksumCRC64NVME>" if s3.tells_copies_checksum else ""
            self.answer(200, {}, f'<CopyPartResult>{told}<ETag>"x"</ETag></CopyPartResult>'.encode())

    def take(self, length: int, *, keep: bool) -> tuple[bytes, str, str] | None:
        crc, sha, kept, left = 0, hashlib.sha256(), bytearray(), length
        while left:
            try:
                block = self.rfile.read1(min(left, 262144))  # type: ignore[attr-defined] # a buffered reader has it
            except ConnectionError:
                block = b""
            if not block:
                with self.s3.lock:
                    self.s3.broken.append(length - left)
                return None
            left -= len(block)
            crc = checksums.crc64nvme(block, crc)
            sha.update(block)
            if keep:
                kept += block
        return bytes(kept), crc_text(crc), sha.hexdigest()

    def do_GET(self) -> None:  # noqa: PLR0911, PLR0912 - as for PUT
        s3 = self.s3
        content = s3.downloads.get(urlsplit(self.path).path)
        wanted = self.headers.get("range")
        with s3.lock:
            s3.ranges.append(wanted)
            s3.asked.append((urlsplit(self.path).path, wanted))
            served = len(s3.ranges)
        if s3.get_delay:
            time.sleep(s3.get_delay)
        fault = s3.fault(0)
        if s3.fail_range is not None and wanted and wanted.startswith(f"bytes={s3.fail_range * 8 * 1024 * 1024}-"):
            fault = "503"
        if content is None or fault in ("403", "503"):
            self.error(int(fault) if fault else 404, "NoSuchKey")
            return
        if fault == "portal":
            self.answer(200, {}, b"<html>Welcome to our wifi</html>")
            return
        if fault == "portal-in-chunks":
            self.send_response_only(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"20\r\n<html>Welcome to our wifi</html>\r\n0\r\n\r\n")
            return
        if fault == "skew":
            self.error(403, "RequestTimeTooSkewed", date=time.time() - 1800)
            return
        if fault == "stall":
            s3.reached.set()
            s3.release.wait(60)
            self.close_connection = True
            return
        if fault == "reset":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if s3.replacement is not None and served > s3.replacement[0]:
            s3.downloads[urlsplit(self.path).path] = content = s3.replacement[1]
            s3.etag = s3.replacement[2]
        if wanted and self.headers.get("if-match") not in (None, s3.etag):
            self.error(412, "PreconditionFailed")
            return
        if s3.whole_only:
            wanted = None
        start, _, end = wanted.removeprefix("bytes=").partition("-") if wanted else ("0", "", "")
        body = content[int(start) : int(end) + 1 if end else None]
        headers = {"etag": s3.etag}
        if wanted:
            headers["content-range"] = f"bytes {start}-{int(start) + len(body) - 1}/{len(content)}"
        if fault in ("cut", "stall-within"):
            self.answer(206 if wanted else 200, headers, body, send=body[: len(body) // 2])
            if fault == "stall-within":
                s3.reached.set()
                s3.release.wait(60)
            self.close_connection = True
            return
        self.answer(206 if wanted else 200, headers, body)

    def error(self, status: int, code: str, date: float | None = None) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.answer(status, {"date": formatdate(date, usegmt=True)} if date else {}, body)

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"", send: bytes | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if send is None else send)


@dataclass
class _Open:
    intent: UploadIntent
    outcome: str
    state: str = "open"
    node: Node | None = None


@dataclass
class FakeService:
    """The upload routes, in memory, with the same rules as the real ones as far as a client can tell."""

    s3: FakeS3
    uploads: dict[str, _Open] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Kind of the problem that an intent's name is answered with."""
    complete_problems: list[Problem] = field(default_factory=list)
    pending: int = 0
    offline: bool = False
    intents: list[UploadIntent] = field(default_factory=list)
    held_sha: set[str] = field(default_factory=set)
    lists_crc: bool = True
    copies: bool = True
    """Whether it takes a layout of parts; else it says so as a service does that knows no such thing."""
    part: int = PART
    multipart_from: int = 16 * 1024 * 1024
    latest: dict[str, str] = field(default_factory=dict)
    """The upload that holds a node's content."""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def open_uploads(self, intents: Sequence[UploadIntent]) -> OpenedUploads:
        self._call("open", [intent.name for intent in intents])
        if not self.copies and any(intent.part_sizes is not None for intent in intents):
            raise RefusedError("bad-request", "There is no part_sizes", "", status=400)
        return OpenedUploads("X-Fake=1", tuple(self._open(intent) for intent in intents))

    def upload_parts(
        self,
        upload_id: str,
        *,
        sign: Sequence[PartToSign] = (),
        list_after: int | None = None,
        sent_bytes: int | None = None,
    ) -> PartsReply:
        self._call("list" if list_after is not None else "sign", [one.part for one in sign])
        upload = self.uploads[upload_id]
        if upload_id in self.s3.objects:
            raise RefusedError("upload-closed", "All parts have arrived", "Complete it.", status=409)
        if upload_id not in self.s3.parts:
            raise RefusedError("upload-lost", "Lost", "Send it again.", status=409)
        signed = []
        url = f"{self.s3.public or self.s3.url}/c/{upload_id}"
        for one in sign:
            size = self._sizes(upload.intent)[one.part - 1]
            if one.copy_from is not None:
                content = self.s3.objects[self.latest[upload.intent.node_id]]
                source = content[one.copy_from : one.copy_from + size]
                assert len(source) == size, "it copies from beyond the end"
                query = self._sign(upload_id, one.part, 0, "", source)
                signed.append(SignedPart(one.part, url, query, {"x-amz-copy-source": "b/k?versionId=1"}))
                continue
            assert one.crc64nvme is not None, "a part is copied or brings its digest"
            query = self._sign(upload_id, one.part, size, one.crc64nvme)
            signed.append(SignedPart(one.part, url, query, {"x-amz-checksum-crc64nvme": one.crc64nvme}))
        present: list[PresentPart] = []
        if list_after is not None:
            for part, (content, crc) in sorted(self.s3.parts[upload_id].items()):
                if part > list_after:
                    size = content if isinstance(content, int) else len(content)
                    present.append(PresentPart(part, size, crc if self.lists_crc else None))
        page = present[:3]
        return PartsReply("X-Fake=1", tuple(signed), tuple(page), more=len(present) > 3)

    def complete_uploads(self, items: Sequence[CompleteItem]) -> tuple[CompleteResult, ...]:
        self._call("complete", [item.upload_id for item in items])
        return tuple(self._complete(item) for item in items)

    def get_upload(self, upload_id: str) -> UploadStatus:
        upload = self.uploads[upload_id]
        return UploadStatus(upload_id, "done" if upload.node else "open", 0, 0, upload.node)

    def abort_upload(self, upload_id: str) -> None:
        self._call("abort", upload_id)
        if upload_id in self.uploads and self.uploads[upload_id].state == "done":
            raise RefusedError("upload-closed", "This upload is done", "Delete the file instead.", status=409)
        self.aborted.append(upload_id)
        self.s3.parts.pop(upload_id, None)
        if upload_id in self.uploads:
            self.uploads[upload_id].state = "aborted"

    def count(self, kind: str) -> int:
        return sum(1 for call, _ in self.calls if call == kind)

    def _call(self, kind: str, what: Any) -> None:
        if self.offline:
            raise OfflineError("Could not connect")
        self.calls.append((kind, what))

    def _open(self, intent: UploadIntent) -> OpenedUpload:
        if intent.name in self.problems:
            return OpenedUpload(intent.upload_id, "problem", problem=problem(self.problems[intent.name]))
        self.intents.append(intent)
        known = self.uploads.get(intent.upload_id)
        if known is not None and known.state == "aborted":
            return OpenedUpload(intent.upload_id, "problem", problem=problem("upload-closed"))
        if known is not None and known.state == "done":
            return OpenedUpload(intent.upload_id, "done", node=known.node)
        link = None
        if intent.link is not None:
            link = Link("0" * 32, intent.node_id, intent.name, "live", 0, path=f"/s/{intent.link.token}")
        if intent.sha256 in self.held_sha:
            self.uploads[intent.upload_id] = _Open(intent, "present")
            return OpenedUpload(intent.upload_id, "present", link=link)
        if intent.size >= self.multipart_from:
            if known is None:
                self.s3.parts[intent.upload_id] = {}
                self.uploads[intent.upload_id] = _Open(intent, "multipart")
            taken = self.uploads[intent.upload_id].intent.part_sizes or ()
            return OpenedUpload(intent.upload_id, "multipart", part_size=self.part, part_sizes=taken, link=link)
        assert intent.sha256 is not None, "a small file brings its digest"
        self.uploads[intent.upload_id] = _Open(intent, "put")
        query = self._sign(intent.upload_id, 0, intent.size, intent.sha256)
        put = SignedRequest(f"{self.s3.public or self.s3.url}/c/{intent.upload_id}", query, {"if-none-match": "*"})
        return OpenedUpload(intent.upload_id, "put", put=put, link=link)

    def _sizes(self, intent: UploadIntent) -> Sequence[int]:
        return intent.part_sizes or [min(self.part, intent.size - at) for at in range(0, intent.size, self.part)]

    def _sign(self, upload_id: str, part: int, size: int, checksum: str, source: bytes | None = None) -> str:
        number = f"{next(self._numbers)}"
        self.s3.signatures[number] = Signature(upload_id, part, size, checksum, source)
        return f"sig={number}"

    def _complete(self, item: CompleteItem) -> CompleteResult:
        upload = self.uploads[item.upload_id]
        if self.complete_problems:
            return CompleteResult(item.upload_id, "problem", problem=self.complete_problems.pop(0))
        if self.pending:
            self.pending -= 1
            return CompleteResult(item.upload_id, "pending")
        if upload.outcome == "put" and item.upload_id not in self.s3.objects:
            return CompleteResult(item.upload_id, "problem", problem=problem("incomplete"))
        if upload.outcome == "multipart" and upload.state != "done" and item.upload_id not in self.s3.objects:
            parts = self.s3.parts[item.upload_id]
            sizes = self._sizes(upload.intent)
            assert all(size >= self.part for size in sizes[:-1]), "S3 takes no such part"
            if missing := [part for part in range(1, len(sizes) + 1) if part not in parts]:
                return CompleteResult(item.upload_id, "problem", problem=problem("incomplete", tuple(missing)))
            if self.s3.keep_bytes:
                whole = b"".join(parts[part][0] for part in sorted(parts))  # type: ignore[misc] # bytes are kept
                assert hashlib.sha256(whole).hexdigest() == item.sha256
                self.s3.objects[item.upload_id] = whole
        intent = upload.intent
        revision = Revision(item.upload_id, intent.size, intent.modified_ms, item.sha256 or intent.sha256, True)
        upload.node = Node(intent.node_id, intent.parent_id, intent.name, "file", 1, revision)
        upload.state = "done"
        self.nodes[intent.node_id] = upload.node
        self.latest[intent.node_id] = item.upload_id
        return CompleteResult(item.upload_id, "done", node=upload.node)


def crc64nvme(content: bytes) -> str:
    return crc_text(checksums.crc64nvme(content))


def crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def problem(kind: str, missing: tuple[int, ...] = (), current: Node | None = None) -> Problem:
    return Problem(
        f"urn:satchel:problem:{kind}",
        kind.capitalize(),
        409,
        f"Words about {kind}.",
        current=current,
        missing_parts=missing,
    )


class MemoryStore:
    """An `UploadStore` that outlives an `Uploader`, as the journal does, and keeps every state it was given."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredUpload] = {}
        self.part_rows: dict[str, dict[int, str]] = {}
        self.history: list[tuple[str, TransferState]] = []
        self.lock = threading.Lock()
        self.revisions: dict[str, tuple[str, bytes | None]] = {}
        self.known_heads: set[tuple[int, bytes]] = set()
        self.full = False
        """As on a full disk: nothing can be stored."""

    def add(self, uploads: Sequence[StoredUpload]) -> None:
        if self.full:
            raise JournalError("The journal cannot be used", "The disk is full.")
        with self.lock:
            for upload in uploads:
                self.rows[upload.request.upload_id] = upload
                self.history.append((upload.request.upload_id, upload.state))

    def save(self, upload: StoredUpload) -> None:
        self.add([upload])

    def remember(self, node_id: str, revision_id: str, size: int, head: bytes, signature: bytes | None) -> None:
        self.revisions[node_id] = revision_id, signature
        self.known_heads.add((size, head))

    def signature(self, node_id: str, revision_id: str) -> bytes | None:
        known = self.revisions.get(node_id)
        return known[1] if known and known[0] == revision_id else None

    def heads(self, size: int) -> set[bytes]:
        return {head for known, head in self.known_heads if known == size}

    def get(self, upload_id: str) -> StoredUpload | None:
        return self.rows.get(upload_id)

    def unfinished(self) -> list[StoredUpload]:
        with self.lock:
            return [row for row in self.rows.values() if not row.state.final]

    def given_up(self) -> list[StoredUpload]:
        with self.lock:
            return [
                row
                for row in self.rows.values()
                if row.state is TransferState.CANCELLED
                or (row.state is TransferState.FAILED and row.request.origin == "root")
            ]

    def forget_done(self, before_ms: int) -> None:
        with self.lock:
            for row in list(self.rows.values()):
                if row.state is TransferState.DONE and row.created_ms < before_ms:
                    del self.rows[row.request.upload_id]

    def remove(self, upload_id: str) -> None:
        with self.lock:
            self.rows.pop(upload_id, None)
            self.part_rows.pop(upload_id, None)

    def part_done(self, upload_id: str, part: int, crc64nvme: str, size: int) -> None:
        with self.lock:
            self.part_rows.setdefault(upload_id, {})[part] = crc64nvme

    def parts(self, upload_id: str) -> dict[int, str]:
        with self.lock:
            return dict(self.part_rows.get(upload_id, {}))

    def forget_parts(self, upload_id: str) -> None:
        with self.lock:
            self.part_rows.pop(upload_id, None)
