"""`import tyk URL`: a running Tyk, here one that answers as Tyk 5 does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from services.gateway.keys.model import secret_hash

Run = Callable[..., Result]
SECRET = {"TYK_SECRET": "tyks-own"}


class Tyk:
    """keys: the name of a key → its session. hashes: whether the names are hashes, which its API finds only when it is told so."""

    def __init__(self) -> None:
        self.apis: Any = []
        self.policies: Any = []
        self.keys: dict[str, Any] | None = {}
        self.hashes = False
        self.asked: list[str] = []
        self.url = ""

    def __call__(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        self.asked.append(request.full_path.rstrip("?"))
        if request.headers.get("x-tyk-authorization") != "tyks-own":
            return Response('{"status": "error", "message": "Attempted administrative access"}', 403)(environ, start)
        answer = self._answer(request.path, "hashed" in request.args)
        status = 404 if answer is None else 200
        return Response(json.dumps(answer or {"status": "error", "message": "not found"}), status)(environ, start)

    def _answer(self, path: str, hashed: bool) -> Any:
        if path == "/tyk/apis/":
            return self.apis
        if path == "/tyk/policies":
            return self.policies
        if path == "/tyk/keys":
            return None if self.keys is None else {"keys": list(self.keys)}
        return (self.keys or {}).get(path.removeprefix("/tyk/keys/")) if hashed or not self.hashes else None


@pytest.fixture
def tyk(make_definition: Any, make_session: Any) -> Iterator[Tyk]:
    tyk = Tyk()
    tyk.apis = [make_definition(api_id="orders", org_id="acme", listen_path="/orders/")]
    tyk.policies = [{"id": "gold", "org_id": "acme", "access_rights": {"orders": {}}, "rate": 1, "per": 1}]
    tyk.keys = {"0123abcd" * 4: make_session("orders", alias="first"), "acme/slash": make_session("orders", org_id="acme")}
    server = make_server("127.0.0.1", 0, tyk, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    tyk.url = f"http://127.0.0.1:{server.server_port}"
    yield tyk
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_everything_is_taken_along(run: Run, operator: Any, tyk: Tyk) -> None:
    """A name that a Tyk finds without `hashed` is a secret, whatever it looks like."""
    done = run("import", "tyk", tyk.url + "/", "--apply", environ=SECRET)
    assert (done.exit_code, "4 items: 4 creates." in done.output) == (0, True), done.output
    assert "tyks-own" not in done.output
    assert operator.gateway.keys_store.by_hash(secret_hash("0123abcd" * 4)).key.alias == "first"
    assert operator.gateway.keys_store.by_hash(secret_hash("acme/slash")) is not None
    assert "4 is the same" in run("import", "tyk", tyk.url, "--apply", environ=SECRET).output


def test_keys_of_a_tyk_that_hashes_them(run: Run, operator: Any, tyk: Tyk, make_session: Any) -> None:
    tyk.hashes = True
    tyk.keys = {secret_hash("a client's"): make_session("orders"), "0123abcd": make_session("orders"), "ended": None}
    done = run("import", "tyk", tyk.url, "--apply", environ=SECRET)
    assert (done.exit_code, "3 creates, 1 refused" in done.output, "1 key not found" in done.output) == (1, True, True), done.output
    assert operator.gateway.keys_store.by_hash(secret_hash("a client's")) is not None


def test_what_a_tyk_does_not_list_is_said(run: Run, tyk: Tyk) -> None:
    tyk.policies, tyk.keys = None, None
    said = run("import", "tyk", tyk.url, environ=SECRET).output
    assert "/tyk/policies: this Tyk does not list its policies" in said
    assert "/tyk/keys: this Tyk does not list its keys" in said


def test_the_secret_comes_from_a_file_or_the_environment(run: Run, tyk: Tyk, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("tyks-own\n")
    assert run("import", "tyk", tyk.url, "--secret-file", str(file)).exit_code == 0
    assert "set TYK_SECRET" in run("import", "tyk", tyk.url).output
    refused = run("import", "tyk", tyk.url, environ={"TYK_SECRET": "wrong"})
    assert (refused.exit_code, "refuses the secret (403)" in refused.output) == (1, True)
    assert run("import", "tyk", tyk.url, "--secret-file", str(tmp_path / "none")).exit_code == 2


def test_another_gatehouse_is_no_tyk(run: Run, operator: Any) -> None:
    """It lists public ids of keys, which open nothing; taken along, they would be secrets."""
    server = make_server("127.0.0.1", 0, operator.app)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    refused = run("import", "tyk", f"http://127.0.0.1:{server.server_port}", environ={"TYK_SECRET": operator.gateway.operator_key})
    thread.join(10)
    server.server_close()
    assert (refused.exit_code, "is a Gatehouse, not a Tyk" in refused.output) == (2, True), refused.output


def test_an_address_that_is_no_tyk(run: Run, tyk: Tyk) -> None:
    tyk.apis = {"not": "a list"}
    assert "is it the address of a Tyk gateway?" in run("import", "tyk", tyk.url, environ=SECRET).output
    away = run("import", "tyk", "http://127.0.0.1:1", environ=SECRET)
    assert (away.exit_code, "no Tyk can be reached" in away.output) == (3, True)


@pytest.mark.parametrize(
    ("address", "said"),
    [("http://me:passw0rd@tyk.example.com", "holds a user name or a password"), ("http://[::1", "is malformed")],
)
def test_an_address_that_cannot_be_used(address: str, said: str, run: Run) -> None:
    refused = run("import", "tyk", address, environ=SECRET)
    assert (refused.exit_code, said in refused.output, "passw0rd" in refused.output) == (2, True, False), refused.output
