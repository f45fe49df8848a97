"""The engine's own upload and download, in a process of its own, with a service that signs right here.

`python -m tests.bench.wire.subject upload ENDPOINT BUCKET FOLDER HOME` or `download ENDPOINT BUCKET KEY DEST`. The
journal is the real one, on disk in HOME, where the files' nodes are kept as well: what is sent from there once more is
a new revision. It prints the seconds from the first request to the last answer, the service's calls and the bytes that
were signed to be sent, as JSON.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from satchel.core.model import (
    CompleteItem,
    CompleteResult,
    ContentSource,
    Node,
    OpenedUpload,
    OpenedUploads,
    PartsReply,
    PartToSign,
    Revision,
    SignedPart,
    SignedRequest,
    UploadIntent,
    UploadRequest,
    UploadStatus,
)
from satchel.core.ports import SystemClock, SystemIds
from satchel.journal import Journal
from satchel.transfer import Uploader, download

from .signing import presigned

MIB = 1024 * 1024
MULTIPART_FROM, PART = 16 * MIB, 8 * MIB


class InProcess:
    """An `UploadService` that is no farther than a function call; S3 is real."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        self._base = f"{endpoint}/{bucket}"
        self._lock = threading.Lock()
        self._intents: dict[str, UploadIntent] = {}
        self._multiparts: dict[str, str] = {}
        self._etags: dict[str, dict[int, str]] = {}
        self.calls = 0
        self.sent = 0

    def open_uploads(self, intents: Sequence[UploadIntent]) -> OpenedUploads:
        self.calls += 1
        return OpenedUploads("", tuple(self._open(intent) for intent in intents))

    def _open(self, intent: UploadIntent) -> OpenedUpload:
        self._intents[intent.upload_id] = intent
        url = f"{self._base}/{intent.upload_id}"
        if intent.size >= MULTIPART_FROM:
            created = self._ask("POST", url, {"uploads": ""}, {"x-amz-checksum-algorithm": "CRC64NVME"})
            found = re.search("<UploadId>(.*?)</UploadId>", created)
            assert found, created
            self._multiparts[intent.upload_id] = found[1]
            return OpenedUpload(intent.upload_id, "multipart", part_size=PART, part_sizes=intent.part_sizes or ())
        self.sent += intent.size
        headers = {
            "content-length": str(intent.size),
            "if-none-match": "*",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(intent.sha256 or "")).decode(),
        }
        query = presigned("PUT", url, {}, headers)
        return OpenedUpload(intent.upload_id, "put", put=SignedRequest(url, query, headers))

    def upload_parts(
        self,
        upload_id: str,
        *,
        sign: Sequence[PartToSign] = (),
        list_after: int | None = None,
        sent_bytes: int | None = None,
    ) -> PartsReply:
        self.calls += 1
        assert list_after is None
        url, intent = f"{self._base}/{upload_id}", self._intents[upload_id]
        signed = []
        for asked in sign:
            rest = intent.size - (asked.part - 1) * PART
            length = intent.part_sizes[asked.part - 1] if intent.part_sizes else min(PART, rest)
            if asked.copy_from is None:
                headers = {"content-length": str(length), "x-amz-checksum-crc64nvme": asked.crc64nvme or ""}
                self.sent += length
            else:
                source = urlsplit(f"{self._base}/{intent.base_revision}").path
                copied = f"bytes={asked.copy_from}-{asked.copy_from + length - 1}"
                headers = {"x-amz-copy-source": source, "x-amz-copy-source-range": copied}
            query = {"partNumber": str(asked.part), "uploadId": self._multiparts[upload_id]}
            signed.append(SignedPart(asked.part, url, presigned("PUT", url, query, headers), headers))
        return PartsReply("", tuple(signed))

    def complete_uploads(self, items: Sequence[CompleteItem]) -> Sequence[CompleteResult]:
        self.calls += 1
        return [self._complete(item) for item in items]

    def _complete(self, item: CompleteItem) -> CompleteResult:
        intent = self._intents[item.upload_id]
        if multipart_id := self._multiparts.get(item.upload_id):
            url, marker, parts = f"{self._base}/{item.upload_id}", "0", ""
            while True:
                query = {"uploadId": multipart_id, "part-number-marker": marker}
                listed = self._ask("GET", url, query, {})
                for one in re.findall("<Part>.*?</Part>", listed, re.DOTALL):
                    number = re.search("<PartNumber>(.*?)</PartNumber>", one)
                    etag = re.search("<ETag>(.*?)</ETag>", one)
                    assert number is not None, one
                    assert etag is not None, one
                    marker = number[1]
                    parts += f"<Part><PartNumber>{marker}</PartNumber><ETag>{etag[1]}</ETag></Part>"
                if "<IsTruncated>true" not in listed:
                    break
            body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
            done = self._ask("POST", url, {"uploadId": multipart_id}, {}, body)
            assert "CompleteMultipartUploadResult" in done, done
        revision = Revision(item.upload_id, intent.size, intent.modified_ms, item.sha256)
        node = Node(intent.node_id, intent.parent_id, intent.name, "file", 1, revision)
        return CompleteResult(item.upload_id, "done", node)

    def get_upload(self, upload_id: str) -> UploadStatus:
        raise NotImplementedError

    def abort_upload(self, upload_id: str) -> None:
        if multipart_id := self._multiparts.get(upload_id):
            self._ask("DELETE", f"{self._base}/{upload_id}", {"uploadId": multipart_id}, {})

    def _ask(self, method: str, url: str, query: dict[str, str], headers: dict[str, str], body: str = "") -> str:
        parts = urlsplit(url)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=60, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request(method, f"{parts.path}?{presigned(method, url, query, headers)}", body or None, headers)
        response = connection.getresponse()
        said = response.read().decode()
        connection.close()
        assert response.status < 300, (response.status, said)
        return said


def upload(endpoint: str, bucket: str, folder: Path, home: Path) -> dict[str, float]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ids = SystemIds()
    journal = Journal(home / "journal.sqlite")
    known = home / "nodes.json"
    nodes: dict[str, list[str]] = json.loads(known.read_text()) if known.exists() else {}
    service = InProcess(endpoint, bucket)
    uploader = Uploader(service, journal.uploads, clock=SystemClock(), ids=ids)
    began = time.perf_counter()
    requests = []
    for path in files:
        node_id, revision_id = nodes.get(path.name, (ids.new_id(), None))
        requests.append(
            UploadRequest(
                upload_id=ids.new_id(), path=str(path), node_id=node_id, parent_id="root", name=path.name,
                origin="root", group="bench", base_revision=revision_id,
            )
        )  # fmt: skip
    for ticket in uploader.submit_all(requests):
        node = ticket.done.result()
        assert node.revision is not None
        nodes[node.name] = [node.node_id, node.revision.revision_id]
    seconds = time.perf_counter() - began
    uploader.close()
    journal.close()
    known.write_text(json.dumps(nodes))
    return {"seconds": seconds, "calls": service.calls, "sent": service.sent}


def fetch(endpoint: str, bucket: str, key: str, dest: Path) -> dict[str, float]:
    """`key` is a file that `upload` sent; its name tells its size and SHA-256 as `SIZE-SHA256`."""
    size, _, sha256 = key.rpartition("/")[2].partition("-")
    url = f"{endpoint}/{bucket}/{key}"
    node = Node("node", "root", "file", "file", 1, Revision("1" * 32, int(size), 0, sha256))
    began = time.perf_counter()
    download(
        lambda: ContentSource(f"{url}?{presigned('GET', url, {}, {})}", node),
        dest,
        clock=SystemClock(),
        ids=SystemIds(),
    )
    return {"seconds": time.perf_counter() - began, "calls": 1}


def main(words: Sequence[str]) -> None:
    direction, endpoint, bucket, *rest = words
    if direction == "upload":
        said = upload(endpoint, bucket, Path(rest[0]), Path(rest[1]))
    else:
        said = fetch(endpoint, bucket, rest[0], Path(rest[1]))
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
