from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from integration.transfer.conftest import World
from integration.transfer.fake_s3 import PART


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "tls.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(encoding)
    )
    return file


@pytest.fixture
def tls_world(world: World, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    world.s3.secure(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return world


@pytest.mark.parametrize("size", [1000, 4 * PART + 7])
@pytest.mark.parametrize("fault", ["", "flip", "reset", "503", "early-403"])
def test_files_arrive_over_tls_whatever_happens(tls_world: World, size: int, fault: str) -> None:
    path = tls_world.file("f", size)
    if fault:
        tls_world.s3.fail(fault, times=2)
    ticket = tls_world.start().submit(tls_world.request(path))
    ticket.done.result(20)
    assert tls_world.has(ticket.upload_id, path)
    assert tls_world.s3.connections <= 6 + 2 * bool(fault) + (2 if fault == "early-403" else 0)


def test_pausing_stops_a_tls_connection_too(tls_world: World, until: object) -> None:
    path = tls_world.file("big", 4 * PART)
    tls_world.s3.fail("stall", times=4)
    uploader = tls_world.start(send_timeout=60, reply_timeout=60)
    ticket = uploader.submit(tls_world.request(path))
    assert tls_world.s3.reached.wait(5)
    uploader.pause()
    tls_world.s3.release.set()
    uploader.resume()
    ticket.done.result(10)
    assert tls_world.has(ticket.upload_id, path)


def test_a_certificate_that_nobody_vouches_for_is_refused_and_said(
    tls_world: World, monkeypatch: pytest.MonkeyPatch, until: object
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    uploader = tls_world.start()
    uploader.submit(tls_world.request(tls_world.file("f", 10)))
    assert callable(until)
    until(lambda: "certificate" in uploader.progress()[0].message)
    assert tls_world.s3.objects == {}
