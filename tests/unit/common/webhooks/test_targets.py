"""Where webhooks may go, and that they go nowhere else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509

from services.common.webhooks import calls
from services.common.webhooks.calls import call
from services.common.webhooks.targets import TargetRefused, checked_address


def answering(*addresses: str) -> Callable[..., list[Any]]:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]


PRIVATE = """
    127.0.0.1 10.0.0.1 172.16.3.4 192.168.1.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 255.255.255.255
    ::1 :: fe80::1 fe80::1%lo fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1::
    192.0.0.192 64:ff9b:1::7f00:1 ::127.0.0.1 ::ffff:0:7f00:1 5f00::1 3fff::1 2001:0:7f00:1::
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(address))
    with pytest.raises(TargetRefused, match="in a private network"):
        checked_address("host.example", 80, ())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((TargetRefused, OSError)):
        checked_address(host, 80, ())


def test_public_addresses_and_named_networks_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("10.0.0.1", "93.184.216.34"))
    assert checked_address("host.example", 80, ()) == "93.184.216.34"
    assert checked_address("host.example", 80, (ip_network("10.0.0.0/24"),)) == "10.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", answering("::ffff:10.0.0.1"))
    assert checked_address("host.example", 80, (ip_network("10.0.0.0/24"),)) == "10.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", answering("2606:2800:220:1::1"))
    assert checked_address("host.example", 80, ()) == "2606:2800:220:1::1"


def test_a_name_is_resolved_once_and_kept_in_the_host(monkeypatch: pytest.MonkeyPatch, receiver: Any) -> None:
    """A name that answers differently the second time (DNS rebinding) gains nothing."""
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host == "rebinding.example":
            asked.append(host)
            return answering("127.0.0.1" if len(asked) == 1 else "127.0.0.2")()
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    status = call("POST", f"http://Rebinding.Example:{receiver.port}/a", [("X-A", "1")], b"{}", (ip_network("127.0.0.1"),))
    assert (status, asked) == (200, ["rebinding.example"])
    assert receiver.calls[0].headers["host"] == f"rebinding.example:{receiver.port}"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For `hooks.example` only, signed by itself."""
    import datetime as dt

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "hooks.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(("host", "good"), [("hooks.example", True), ("other.example", False)])
def test_tls_is_checked_against_the_name(monkeypatch: pytest.MonkeyPatch, certificate: Path, host: str, good: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    # to the end: closing with bytes unread would reset the connection
                    with connection.makefile("rb") as request:
                        while request.readline() not in (b"\r\n", b""):
                            pass
                        request.read(2)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        monkeypatch.setattr(calls, "checked_address", lambda *_: "127.0.0.1")
        if good:
            assert call("POST", f"https://{host}:{port}/", [], b"{}", ()) == 204
        else:
            with pytest.raises(requests.exceptions.SSLError):
                call("POST", f"https://{host}:{port}/", [], b"{}", ())
        thread.join()
    assert named == [host]


def test_an_answer_in_drops_does_not_hold_the_caller() -> None:
    """The status counts; of the body at most one piece is waited for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = threading.Event()

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
                asked.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert call("POST", url, [], b"{}", (ip_network("127.0.0.0/8"),), (5.0, 20.0)) == 200
        finally:
            asked.set()
            thread.join()


def test_a_receiver_that_sends_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(requests.exceptions.ReadTimeout):
        call("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", [], b"{}", (ip_network("127.0.0.0/8"),), (5.0, 0.05))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_whose_head_comes_in_drops_is_cut_off(scheme: str) -> None:
    """Every byte comes in time, so no time-out of a read ever ends; for https it is the handshake that drips."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cut = threading.Event()

        def serve() -> None:
            connection = listener.accept()[0]
            drops = b"HTTP/1.1 200 OK\r\nX: " if scheme == "http" else b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb"
            try:
                for drop in [*drops, *([97] * 30_000)]:
                    connection.sendall(bytes([drop]))
                    if cut.wait(0.01):
                        return
            except OSError:
                cut.set()
            finally:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            with pytest.raises(OSError):
                call("POST", url, [], b"{}", (ip_network("127.0.0.0/8"),), (5.0, 20.0), 0.3)
            assert cut.wait(20), "the receiver sees that nobody listens any more"
        finally:
            cut.set()
            thread.join()
