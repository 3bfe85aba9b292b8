"""A service behind deploy/gunicorn.service.py lets nobody write its WSGI environment: no header moves the path, the user or the scheme."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import definition, gateway
from tests.support.processes import Process, answers, running
from tests.support.raw_client import RawClient, request
from tests.support.waiting import free_port, wait_until
from tests.system.test_auth_service import environment as auth_environment
from tests.system.test_tokens_service import environment as tokens_environment

CHANGING = ("REMOTE_PORT", "HTTP_X_REQUEST_ID")  # with every connection, or request


class Echo:
    """`tests.support.environ_echo` under the services' configuration."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "tests.support.environ_echo:app"]
        # what the environment would have gunicorn believe does not count either
        env = {
            "SERVICE": "tokens",
            "FORWARDED_ALLOW_IPS": "*",
            **tokens_environment(f"sqlite:///{folder}/none.db", folder),
            "TOKENS_BIND": f"127.0.0.1:{self.port}",
        }
        self.process = Process(command, env, folder / "echo.log")
        wait_until(lambda: answers(self.port, "/"), 60, "the echo's answer")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    running = Echo(tmp_path_factory.mktemp("echo"))
    yield running
    running.process.stop()


def environ(port: int, *fields: bytes, target: str = "/x/metrics") -> dict[str, Any]:
    """The environment of a request with these header lines."""
    with RawClient(port) as client:
        answer = client.get(target, *fields)
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json()
    return {name: value for name, value in found.items() if name not in CHANGING}


SPELLINGS = [
    b"SCRIPT_NAME: /x",
    b"script_name: /x",
    b"Script_Name: /x",
    b"sCrIpT_nAmE:/x",
    b"SCRIPT_NAME: /not-a-prefix",
    b"PATH_INFO: /metrics",
    b"path_info: /metrics",
    b"REMOTE_USER: admin",
    b"REMOTE_ADDR: 192.0.2.1",
    b"QUERY_STRING: a=b",
    b"Content_Length: 5",
    b"Content_Type: text/html",
    b"Transfer_Encoding: chunked",
    b"HTTP_HOST: evil.test",
    b"X_Forwarded_For: 192.0.2.1",
    b"X-Forwarded_For: 192.0.2.1",
    b"X_Forwarded-Proto: https",
    b"X_Request_Id: forged",
    b"Author_ization: Bearer x",
    b"wsgi_url_scheme: https",
    b"Proxy: http://evil.test",
    b"proxy: http://evil.test",
]


@pytest.mark.parametrize("line", SPELLINGS, ids=lambda line: line.decode())
def test_a_header_that_changes_nothing(line: bytes, echo: Echo) -> None:
    plain = environ(echo.port)
    assert plain["PATH_INFO"] == "/x/metrics"
    assert environ(echo.port, line) == plain


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-Forwarded-Proto: https"],
        [b"X-Forwarded-Protocol: ssl"],
        [b"X-Forwarded-Ssl: on"],
        [b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"],
        [b"Forwarded: for=192.0.2.1;proto=https"],
        [b"X-Forwarded-For: 192.0.2.1", b"X_Forwarded_For: 198.51.100.1"],
        [b"Remote-User: admin"],
        [b"wsgi.url_scheme: https"],
        [b"Script-Name: /x"],
    ],
    ids=str,
)
def test_a_header_with_hyphens_is_a_header_and_nothing_else(lines: list[bytes], echo: Echo) -> None:
    plain = environ(echo.port)
    own = {
        "HTTP_" + name.strip().decode().upper().replace("-", "_"): value.strip().decode()
        for name, _, value in (line.partition(b":") for line in lines)
        if b"_" not in name
    }
    assert environ(echo.port, *lines) == {**plain, **own}


@pytest.mark.parametrize(
    "head",
    [
        b"X: a\r\n SCRIPT_NAME: /x",
        b"X: a\r\n\tSCRIPT_NAME: /x",
        b" SCRIPT_NAME: /x",
        b"SCRIPT_NAME : /x",
        b"SCRIPT_NAME\t: /x",
        b"X: a\nSCRIPT_NAME: /x",
        b"X: a\rSCRIPT_NAME: /x",
        b"X: a\0SCRIPT_NAME: /x",
        b"SCRIPT\xadNAME: /x",
    ],
    ids=repr,
)
def test_a_line_that_hides_a_header_is_refused(head: bytes, echo: Echo) -> None:
    with RawClient(echo.port) as client:
        client.send(b"GET /x/metrics HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n")
        assert client.answer().status == 400


@pytest.mark.parametrize(
    "line", [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\0\1\0\2"], ids=["v1", "v2"]
)
def test_the_proxy_protocol_is_not_spoken(line: bytes, echo: Echo) -> None:
    with RawClient(echo.port) as client:
        client.send(line + request("/x/metrics"))
        assert client.answer().status == 400


def test_a_trailer_is_no_header_of_its_request_or_the_next(echo: Echo) -> None:
    plain = environ(echo.port)
    with RawClient(echo.port) as client:
        trailers = b"SCRIPT_NAME: /x\r\nX_Forwarded_For: 192.0.2.1\r\nPATH_INFO: /metrics\r\nProxy: p\r\nX-Sum: 1\r\n"
        body = b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n"
        client.send(b"POST /x/metrics HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        with_trailers = client.answer().json()
        after = client.get("/x/metrics").json()
    assert with_trailers.pop("body") == "abc"
    assert with_trailers.pop("HTTP_TRANSFER_ENCODING") == "chunked"
    for name in (*CHANGING, "REQUEST_METHOD", "body"):
        plain.pop(name, None)
        with_trailers.pop(name, None)
    assert with_trailers == plain
    assert {name: value for name, value in after.items() if name in plain} == plain


@pytest.mark.parametrize("line", SPELLINGS, ids=lambda line: line.decode())
def test_nor_does_it_behind_the_gateway(line: bytes, guarded: int) -> None:
    plain = environ(guarded, target="/echo/x/metrics")
    assert plain["PATH_INFO"] == "/x/metrics"
    assert environ(guarded, line, target="/echo/x/metrics") == plain


@pytest.fixture(scope="module")
def guarded(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a gateway whose `/echo/` is the echo."""
    with gateway(tmp_path_factory.mktemp("guarded"), [definition("echo", f"http://127.0.0.1:{echo.port}/")]) as before:
        yield before.port


def test_the_log_shows_nothing_that_a_client_sent(echo: Echo) -> None:
    with RawClient(echo.port) as client:
        client.send(b"GET /raise?key=hunter2-in-the-query HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.answer().status == 500
    for head in (b"Cookie sid=hunter2-in-a-header", b"X: a\r\n Cookie: hunter2-in-a-fold"):
        with RawClient(echo.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n\r\n")
            assert client.answer().status == 400
    with RawClient(echo.port) as client:
        client.send(b"GET /?key=hunter2-in-the-line HTTP/1.1 more\r\nHost: h\r\n\r\n")
        assert client.answer().status == 400
    wait_until(lambda: echo.process.text().count("Invalid request from") >= 3, what="the lines of the refused requests")
    said = echo.process.text()
    assert "Error handling request GET /raise" in said
    assert "Invalid HTTP Header" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("service", ["auth", "tokens"])
def test_what_is_not_public_stays_so(service: str, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/{service}.db"
    env = auth_environment(database, tmp_path) if service == "auth" else tokens_environment(database, tmp_path)
    with running(service, env, tmp_path) as (url, _), RawClient(int(url.rpartition(":")[2])) as client:
        assert client.get("/metrics").status == 200
        for line in SPELLINGS:
            assert client.get("/x/metrics", line).status == 404


@pytest.mark.parametrize("left", [0, 10, 20_000, 70_000, 300_000, None])
def test_a_connection_that_will_close_is_announced(echo: Echo, left: int | None) -> None:
    """Else the gateway sends the next request of somebody else into it. left: bytes of a body that the application does not read."""
    length, body = (b"Content-Length: %d" % left, b"x" * left) if left is not None else (b"Transfer-Encoding: chunked", b"0\r\n\r\n")
    with RawClient(echo.port) as client:
        client.send(request("/unread", length, method="POST"), body)
        answer = client.answer()
        assert answer.status == 200
        if answer.field("connection") == "close":
            assert client.closed()
        else:
            assert client.get("/").status == 200
