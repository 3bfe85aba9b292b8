"""HTTP calls of scripts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from services.common.addresses import parse_network
from services.gateway.scripts.calls import CallFailed, Calls


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/slow":
            self.server.waiting.wait(20)  # type: ignore[attr-defined]
        said = json.dumps({"method": self.command, "path": self.path, "body": body, "type": self.headers.get("Content-Type")})
        self.send_response(201)
        self.send_header("x-a", "b")
        self.end_headers()
        self.wfile.write(b"x" * 5_000_000 if self.path == "/large" else said.encode())

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.waiting = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.waiting.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def ends(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def test_a_call(url: str) -> None:
    asked = {"Method": "POST", "Domain": url, "Resource": "/a?b=c", "Headers": {"Content-Length": "99"}, "Body": "text"}
    answer = json.loads(Calls(()).single(json.dumps(asked), ends()) or "")
    assert (answer["Code"], answer["code"], answer["Headers"]["X-A"]) == (201, 201, ["b"])
    assert json.loads(answer["Body"]) == {"method": "POST", "path": "/a?b=c", "body": "text", "type": None}


def test_a_form(url: str) -> None:
    asked = {"Method": "POST", "Domain": url, "Resource": "/", "FormData": {"a": "b c"}}
    said = json.loads(json.loads(Calls(()).single(json.dumps(asked), ends()) or "")["Body"])
    assert (said["body"], said["type"]) == ("a=b+c", "application/x-www-form-urlencoded")


def test_a_batch_keeps_the_order(url: str) -> None:
    asked = [{"method": "GET", "relative_url": f"{url}/{number}"} for number in range(9)] + [{"relative_url": "http://127.0.0.1:1/"}]
    answers = json.loads(Calls(()).batch(json.dumps({"requests": asked}), ends()))
    assert [json.loads(one["body"])["path"] for one in answers[:9]] == [f"/{number}" for number in range(9)]
    assert answers[9]["code"] == 500
    with pytest.raises(CallFailed):
        Calls(()).batch(json.dumps({"requests": asked * 20}), ends())


def test_the_answers_of_a_batch_have_a_bound_in_all(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.scripts.calls._LARGEST_BATCH", 150)
    asked = {"requests": [{"relative_url": url}] * 4, "suppress_parallel_execution": True}
    answers = json.loads(Calls(()).batch(json.dumps(asked), ends()))
    assert [one["code"] for one in answers] == [201, 201, 500, 500]
    assert "in all" in answers[3]["body"]


@pytest.mark.parametrize(
    "text", ["[]", "x", '{"Domain": "file:///etc/passwd"}', '{"Domain": "http://"}', '{"Domain": "http://127.0.0.1:1"}']
)
def test_what_cannot_be_called(text: str) -> None:
    with pytest.raises(CallFailed):
        Calls(()).single(text, ends())


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"])
def test_link_local_addresses_are_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any) -> None:
        raise OSError("tried")

    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(CallFailed, match="link-local"):
        Calls(()).single(json.dumps({"Domain": f"http://{host}/"}), ends())
    with pytest.raises(CallFailed, match="tried"):
        Calls((parse_network("169.254.0.0/16"), parse_network("fe80::/10"))).single(json.dumps({"Domain": f"http://{host}/"}), ends())


def test_an_answer_that_is_slow_or_too_large(url: str) -> None:
    with pytest.raises(CallFailed):
        Calls(()).single(json.dumps({"Domain": url, "Resource": "/slow"}), ends(0.3))
    with pytest.raises(CallFailed, match="larger"):
        Calls(()).single(json.dumps({"Domain": url, "Resource": "/large"}), ends())
