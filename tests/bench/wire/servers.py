"""The S3 server that everybody is timed against, and a proxy that adds distance to it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.bench.measure import BenchError

from .signing import ACCESS_KEY, SECRET_KEY

START_S = 60.0
_DELETES_S = 1.0
"""What was deleted from a bucket is gone from its volumes a moment later."""


@dataclass(frozen=True)
class Server:
    """SeaweedFS, in memory where the system has a folder for that."""

    plain: str
    tls: str
    certificate: Path
    pid: int
    master: str

    def reclaim(self) -> None:
        """Give back the space of what was deleted, which SeaweedFS keeps until it is asked to: a long run would fill
        the memory and time the swapping."""
        time.sleep(_DELETES_S)
        urllib.request.urlopen(f"{self.master}/vol/vacuum?garbageThreshold=0.01", timeout=60).close()

    @contextlib.contextmanager
    def far(self, *, tls: bool, round_trip: float) -> Iterator[str]:
        """Its address from `round_trip` seconds away."""
        near = self.tls if tls else self.plain
        scheme, _, place = near.partition("://")
        with _delayed(int(place.rpartition(":")[2]), round_trip) as port:
            yield f"{scheme}://127.0.0.1:{port}"


@contextlib.contextmanager
def seaweed(binary: Path, known: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A running server with nothing in it, which also knows these access keys by their secrets. Raises `BenchError`
    when it does not start."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="satchel-bench-", dir=memory if memory.is_dir() else None) as folder:
        home = Path(folder)
        key, certificate = _certificate(home)
        secrets = {ACCESS_KEY: SECRET_KEY, **(known or {})}
        keys = [{"accessKey": access, "secretKey": secret} for access, secret in secrets.items()]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config = {"identities": [{"name": "bench", "credentials": keys, "actions": actions}]}
        (home / "s3.json").write_text(json.dumps(config))
        ports = dict(zip(("master", "volume", "filer", "s3", "https"), _free_ports(5), strict=True))
        command = [
            str(binary), "-logtostderr=true", "-v=0", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-dir={home}", f"-master.port={ports['master']}", f"-volume.port={ports['volume']}",
            f"-filer.port={ports['filer']}", "-s3", f"-s3.port={ports['s3']}", f"-s3.port.https={ports['https']}",
            f"-s3.cert.file={certificate}", f"-s3.key.file={key}", f"-s3.config={home / 's3.json'}",
            "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100",
            "-master.volumeSizeLimitMB=1024",
        ]  # fmt: skip
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            plain = f"http://127.0.0.1:{ports['s3']}"
            _await(process, plain, home / "log")
            yield Server(
                plain,
                f"https://127.0.0.1:{ports['https']}",
                certificate,
                process.pid,
                f"http://127.0.0.1:{ports['master']}",
            )
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(home / "0", ignore_errors=True)


def _await(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/status", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise BenchError(f"the S3 server did not start: {log.read_text(errors='replace')[-600:]}")


def _free_ports(count: int) -> list[int]:
    """SeaweedFS listens for its own kind 10,000 above each port it is given."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1] % 20_000 + 20_000
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            if port not in found:
                found.append(port)
    return found


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A key, and a certificate for 127.0.0.1 that is its own authority; for a day."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(secret, hashes.SHA256())
    )
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    plain = serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key, certificate


# -- distance ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _delayed(port: int, round_trip: float) -> Iterator[int]:
    """A port that leads to `port` on this machine, every byte half of `round_trip` seconds later, each way."""
    command = [sys.executable, "-m", "tests.bench.wire.servers", str(port), str(round_trip)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class _Late(asyncio.Protocol):
    """One side of a connection: what it hears the other side says later, in order."""

    def __init__(self, delay: float, other: _Late | None = None, port: int = 0) -> None:
        self._delay, self._port = delay, port
        self._other = other
        self._early: list[bytes] = []
        self._waiting = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._other is None:
            asyncio.get_running_loop().call_later(self._delay * 2, self._dial)  # a handshake is a round trip
        else:
            for data in self._other._early:
                self._other._pass(data)

    def data_received(self, data: bytes) -> None:
        if self._other is None or self._other.transport is None:
            self._early.append(data)
        else:
            self._pass(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._other is not None and self._other.transport is not None:
            asyncio.get_running_loop().call_later(self._delay, self._other.transport.close)

    def _pass(self, data: bytes) -> None:
        assert self._other is not None
        assert self.transport is not None
        self._waiting += len(data)
        if self._waiting > _WINDOW:
            self.transport.pause_reading()
        asyncio.get_running_loop().call_later(self._delay, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        assert self._other is not None
        assert self.transport is not None
        self._waiting -= len(data)
        if self._other.transport is not None and not self._other.transport.is_closing():
            self._other.transport.write(data)
        if self._waiting <= _WINDOW and not self.transport.is_closing():
            self.transport.resume_reading()

    def _dial(self) -> None:
        def made() -> _Late:
            self._other = _Late(self._delay, self)
            return self._other

        async def dial() -> None:
            await asyncio.get_running_loop().create_connection(made, "127.0.0.1", self._port)

        self._task = asyncio.ensure_future(dial())


_WINDOW = 8 * 1024 * 1024
"""Bytes on their way in one connection, as a well-tuned system would have them."""


async def _serve(port: int, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Late(round_trip / 2, port=port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    threading.current_thread().name = "distance"
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
