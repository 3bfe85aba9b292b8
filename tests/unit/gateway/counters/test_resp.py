"""The client of Valkey: addresses, passwords, TLS, and peers that are no Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import hiredis
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.gateway.counters.port import Charge, Charges
from services.gateway.counters.resp import Address, pack
from services.gateway.counters.valkey import ValkeyCounters
from tests.support.stores import Valkey
from tests.unit.gateway.counters.asking import all_takers, eventually, look, started, take, takers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://valkey", Address("valkey")),
        ("valkey://10.0.0.1:7000/3", Address("10.0.0.1", 7000, database=3)),
        ("redis://:p%40ss@[::1]:6380", Address("::1", 6380, password="p@ss")),
        ("redis://me:secret@host/1", Address("host", database=1, user="me", password="secret")),
        ("redis://host?db=4", Address("host", database=4)),
        ("unix:///run/valkey.sock?db=2&password=secret", Address(path="/run/valkey.sock", database=2, password="secret")),
    ],
)
def test_addresses(url: str, expected: Address) -> None:
    assert Address.from_url(url) == expected


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls_checks_the_certificate_unless_told_not_to(scheme: str) -> None:
    strict, lax = Address.from_url(f"{scheme}://host").tls, Address.from_url(f"{scheme}://host?ssl_cert_reqs=none").tls
    assert strict is not None and lax is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://:geheim@host",
        "host:6379",
        "redis://:geheim@host:port",
        "redis://:geheim@host:99999",
        "redis://:geheim@host/zero",
        "rediss://:geheim@host?ssl_ca_certs=/none",
    ],
)
def test_a_malformed_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="Valkey URL: ") as caught:
        ValkeyCounters(url)
    assert "geheim" not in str(caught.value)


def test_an_address_never_shows_its_password() -> None:
    address = Address.from_url("redis://me:geheim@host/1")
    assert "geheim" not in f"{address} {address!r}"


def test_commands_on_the_wire() -> None:
    assert pack("SET", b"k", 5) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n5\r\n"


def test_password_and_database(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url.replace("redis://", "redis://:geheim@").replace("/0", "/3"))) as counters:
            assert counters.available
            assert await takers(counters, 10, 1, "k", 3, 60) == 3
        async with started(ValkeyCounters(valkey.url.replace("redis://", "redis://:wrong@"))) as counters:
            assert not counters.available
            assert (await take(counters, "k", 3, 60)).remaining == 3

    valkey.client.config_set("requirepass", "geheim")
    try:
        asyncio.run(scenario())
    finally:
        valkey.client.config_set("requirepass", "")
    assert (valkey.client.info("keyspace")["db3"]["keys"], valkey.client.dbsize()) == (1, 0)


@contextlib.asynccontextmanager
async def relay(valkey: Valkey, **where: object) -> AsyncIterator[asyncio.Server]:
    """A door of another kind to the server."""
    open_writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", valkey.port)
        open_writers.extend((writer, back))
        await asyncio.gather(pump(reader, back), pump(onward, writer))

    path = where.pop("path", None)
    server = await (asyncio.start_unix_server(accept, path) if path else asyncio.start_server(accept, "127.0.0.1", 0, **where))  # type: ignore
    try:
        yield server
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


def test_a_unix_socket(valkey: Valkey, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "v.sock"
        async with relay(valkey, path=path), started(ValkeyCounters(f"unix://{path}?db=1")) as counters:
            assert await takers(counters, 60, 1, "k", 11, 60) == 11
            assert counters.uncounted == 0

    asyncio.run(scenario())


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost: its file, and the server's side."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pair = folder / "pair.pem"
    pair.write_bytes(
        file.read_bytes() + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return file, context


def test_tls(valkey: Valkey, tmp_path: Path) -> None:
    file, context = certificate(tmp_path)

    async def scenario() -> None:
        async with relay(valkey, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            async with started(ValkeyCounters(f"rediss://localhost:{port}?ssl_ca_certs={file}")) as counters:
                assert await takers(counters, 60, 1, "k", 11, 60) == 11
                assert counters.uncounted == 0
            async with started(ValkeyCounters(f"rediss://localhost:{port}")) as counters:
                assert not counters.available  # a certificate that nobody vouches for

    asyncio.run(scenario())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "says",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n", b"-LOADING wait\r\n", b"", b"*9999999999\r\n"],
    ids=["http", "talks unasked", "loading", "silent", "absurd length"],
)
def test_a_peer_that_is_no_valkey_is_passed_by(says: bytes) -> None:
    async def scenario() -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(says)
            with contextlib.suppress(OSError):
                while await reader.read(1024):
                    writer.write(says)
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with started(ValkeyCounters(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as counters:
            assert await asyncio.wait_for(takers(counters, 20, 2, "k", 3, 60), 30) == 40
            await eventually(lambda: counters.uncounted == 40)
        server.close()

    asyncio.run(scenario())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("tried", [b"+OK\r\n", b"*3\r\n:1\r\n:0\r\n:0\r\n"], ids=["always", "only when it matters"])
def test_a_peer_that_answers_the_script_with_words_is_passed_by(tried: bytes) -> None:
    """tried: what it says while it is tried."""

    async def scenario() -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            commands = hiredis.Reader()
            while data := await reader.read(65536):
                commands.feed(data)
                while command := commands.gets():
                    probing = command[0] == b"EVALSHA" and command[3].endswith(b":probe")
                    writer.write(tried if probing else b"+OK\r\n")
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with started(ValkeyCounters(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")) as counters:
            assert counters.available == tried.startswith(b"*")
            both = Charges((Charge("k", 3, 60), Charge("l", 3, 60)))
            assert await asyncio.wait_for(all_takers(counters, 20, both), 30) == {2: 20}
            assert await asyncio.wait_for(takers(counters, 5, 1, "k", 3, 60), 30) == 5
            assert (await asyncio.wait_for(look(counters, "k", 3, 60), 30)).remaining == 3
            assert counters.uncounted == 25
        server.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(5))
def test_a_stop_in_the_moment_when_the_connection_ends(valkey: Valkey, turns: int) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            link = counters._nodes.link(b"k")
            assert link is not None
            link.close("the test says so")
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.wait_for(counters.stop(), 30)

    asyncio.run(scenario())
