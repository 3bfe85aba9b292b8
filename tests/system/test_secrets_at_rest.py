"""What an installation leaves on the disk: nobody else may read it, and no secret stands in it where none has to."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.support.gateway import Gateway, definition, gateway
from tests.support.processes import running
from tests.support.raw_client import RawClient
from tests.support.waiting import wait_until
from tests.system.test_auth_service import environment as auth_environment
from tests.system.test_tokens_service import environment as tokens_environment

BODY = "0Az9" * 12 + "x"
HOOK_SECRET = "hunter2-signs-the-calls"


@pytest.fixture(autouse=True)
def _no_umask() -> Iterator[None]:
    """The umask of whoever starts the processes must not be what protects the files."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Every folder and file below `folder` that its owner is not alone with."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077 and path.suffix not in (".json",):
            found[str(path.relative_to(folder))] = f"{mode:04o}"
    return found


def test_files_of_the_services(tmp_path: Path) -> None:
    data = tmp_path / "var"
    (data / "auth").mkdir(parents=True)  # as an earlier version left it
    (data / "auth").chmod(0o755)
    auth = auth_environment(f"sqlite:///{data}/auth/auth.db", data)
    tokens = tokens_environment(f"sqlite:///{data}/tokens/tokens.db", data / "tokens")
    with running("auth", auth, tmp_path) as (url, _), running("tokens", tokens, tmp_path) as (other, _):
        for service in (url, other):  # asks the database
            assert requests.get(f"{service}/ready", timeout=30).json()["checks"]["database"] == "ok"
        names = {path.name for path in data.rglob("*")}
        assert {"auth.db", "auth.db-wal", "master.key", "admin.password", "tokens.db", "tokens.db-wal"} <= names
        assert open_to_others(data / "auth") == {}
        assert open_to_others(data / "tokens") == {}


class Receiver:
    """Notes the signatures of the webhook calls that come in."""

    def __init__(self) -> None:
        self.signatures: list[str | None] = []
        self.bodies: list[str] = []
        noted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                noted.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                noted.signatures.append(self.headers["webhook-signature"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    noted = Receiver()
    yield noted
    noted.close()


def with_signed_hook(started: Gateway, receiver: Receiver) -> None:
    """A keyed API whose refusals are told to the receiver, signed."""
    hook = {"name": "h", "method": "POST", "target_path": receiver.url, "secret": HOOK_SECRET}
    status, made = started.operator("POST", "/api/hooks", hook)
    assert status == 200, made
    reference = {"event_name": "AuthFailure", "hook": {"id": made["Meta"]}}
    keyed = definition("keyed", "http://127.0.0.1:1/", use_keyless=False)
    assert started.operator("POST", "/api/apis", {"api_definition": keyed, "hook_references": [reference]})[0] == 200


def test_files_of_the_gateway_and_what_stands_in_them(database_url: str, receiver: Receiver, tmp_path: Path) -> None:
    """The signing secret is used, and is in no file; a secret of auth is refused, told and logged, and is in no file."""
    files = tmp_path / "data"
    database = database_url if database_url.startswith("postgresql") else f"sqlite:///{files}/gateway.db"
    env = {
        "GATEWAY_DATABASE_URL": database,
        "GATEWAY_MASTER_KEY_PATH": str(files / "master.key"),
        "GATEWAY_ACCESS_LOG": str(files / "log" / "access.log"),
    }
    with gateway(tmp_path, [], env) as started:
        with_signed_hook(started, receiver)
        with RawClient(started.port) as client:
            for spelled in (f"gh_acc_{BODY}", f"gh%5Facc%5f{BODY}", f"gh%255Facc%255F{BODY}"):
                assert client.get(f"/keyed/{spelled}?k={spelled}", b"authorization: gh_acc_" + BODY.encode()).status == 403
        wait_until(lambda: len(receiver.signatures) == 3, what="the webhook calls")
        access = files / "log" / "access.log"
        wait_until(lambda: access.read_text().count("/keyed/gh") == 3, what="the lines of the access log")
        assert all(receiver.signatures)
        assert BODY not in "".join(receiver.bodies)
        assert "/keyed/gh_acc_***" in "".join(receiver.bodies)
        assert access.read_text().count('"path":"/keyed/gh_acc_***"') == 2
        assert stat.S_IMODE(access.stat().st_mode) == 0o640
        if database == database_url:
            shown = "\n".join(str(row) for row in rows_of(database_url))
            assert HOOK_SECRET not in shown and BODY not in shown
        else:
            assert open_to_others(files) == {"log/access.log": "0640"}
        for path in (one for one in tmp_path.rglob("*") if one.is_file()):
            content = path.read_bytes()
            assert HOOK_SECRET.encode() not in content, path
            assert BODY.encode() not in content, path


def rows_of(database_url: str) -> list[tuple[object, ...]]:
    import psycopg

    with contextlib.closing(psycopg.connect(database_url)) as connection:
        tables = ("hooks", "deliveries", "definitions", "definition_revisions")
        return [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"').fetchall()]  # type: ignore[arg-type]


def test_a_service_logs_no_secret_of_a_path(tmp_path: Path) -> None:
    env = tokens_environment(f"sqlite:///{tmp_path}/tokens.db", tmp_path)
    with running("tokens", env, tmp_path) as (url, process), RawClient(int(url.rpartition(":")[2])) as client:
        for spelled in (f"gh_acc_{BODY}", f"gh%5Facc%5f{BODY}", f"gh%255Facc%255F{BODY}"):
            client.get(
                f"/none/{spelled}?token={spelled}", b"Referer: http://h/" + spelled.encode(), b"X-Request-Id: gh_acc_" + BODY.encode()
            )
        wait_until(lambda: process.text().count("/none/gh") == 3, what="the lines of the requests")
        assert BODY not in process.text()
        assert "/none/gh_acc_***" in process.text()
