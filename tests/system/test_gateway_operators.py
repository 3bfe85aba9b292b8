"""Two organisations at one gateway: their operators see and change their own, and a revoked key is refused by every worker at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


class Operator:
    """Calls with an access key, by one connection each: whichever worker takes it. workers: the names of those that answered."""

    def __init__(self, running: Gateway, org_id: str, role: str) -> None:
        self._running = running
        body = {"email_address": f"{role}@{org_id}.example", "org_id": org_id, "role": role}
        status, made = running.operator("POST", "/api/users", body)
        assert status == 200, made
        self.id, self.key = made["Meta"], made["access_key"]

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        key = key or self.key
        return self._running.operator(method, path, body, {"Authorization": f"Bearer {key}", "X-Tyk-Authorization": key})

    def must(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert status == 200, (method, path, answer)
        return answer


def keyed(name: str, odd_upstream: OddUpstream) -> dict[str, Any]:
    document = definition(name, f"{odd_upstream.url}/", use_keyless=False)
    del document["org_id"]
    return document


def status_of(running: Gateway, api: str, key: str) -> int:
    with RawClient(running.port) as client:
        return client.get(f"/{api}/a", f"Authorization: {key}".encode()).status


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def test_two_organisations(odd_upstream: OddUpstream, tmp_path: Path, valkey: Valkey, database: str) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url, "GATEWAY_DATABASE_URL": database}
    with gateway(tmp_path, [], env) as running:
        acme, bell = Operator(running, "acme", "admin"), Operator(running, "bell", "admin")
        secrets = {}
        for name, one in (("acme", acme), ("bell", bell)):
            one.must("POST", "/tyk/apis", keyed(name, odd_upstream))
            secrets[name] = one.must("POST", "/tyk/keys/create", {"access_rights": {name: {"versions": ["Default"]}}})["key"]
            assert secrets[name].startswith(name)
        assert [status_of(running, api, secrets[of]) for api in secrets for of in secrets] == [200, 403, 403, 200]

        # what is the other's does not exist, and cannot be opened
        assert [one["api_id"] for one in acme.must("GET", "/tyk/apis")] == ["acme"]
        assert acme.call("GET", "/tyk/apis/bell")[0] == 404
        assert acme.call("DELETE", "/tyk/apis/bell")[0] == 404
        assert acme.call("GET", f"/tyk/keys/{secrets['bell']}")[0] == 404
        assert acme.must("DELETE", f"/tyk/keys/{secrets['bell']}")["action"] == "deleted"
        assert acme.call("POST", "/tyk/keys/create", {"access_rights": {"bell": {}}})[0] == 400
        assert acme.call("POST", "/tyk/keys/create", {"rate": 1, "per": 1})[0] == 403
        taken = acme.call(
            "POST", "/tyk/apis", {**keyed("mine", odd_upstream), "proxy": {"listen_path": "/bell/", "target_url": "http://h/"}}
        )
        assert (taken[0], "another API already listens on /bell/" in json.dumps(taken[1])) == (400, True)
        assert acme.call("PUT", f"/api/users/{bell.id}", {"active": False, "first_name": "x"})[0] == 404
        assert status_of(running, "bell", secrets["bell"]) == 200

        # each has its own audit, the first key all of it
        kinds = {record["org_id"] for record in acme.must("GET", "/api/gatehouse/audit?page_size=1000")["records"]}
        assert kinds == {"acme"}
        everything = running.operator("GET", "/api/gatehouse/audit?page_size=1000")[1]
        assert {record["org_id"] for record in everything["records"]} == {"acme", "bell"}
        shown = json.dumps(everything)
        assert not any(secret in shown for secret in (*secrets.values(), acme.key, bell.key, OPERATOR_KEY))


def test_a_revoked_key_is_refused_by_all_workers_when_the_call_answers(tmp_path: Path, valkey: Valkey, database: str) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url, "GATEWAY_DATABASE_URL": database}
    with gateway(tmp_path, [], env) as running:
        admin, other = Operator(running, "", "admin"), Operator(running, "acme", "reader")

        def asked(key: str) -> list[int]:
            """By many connections at once, so that both workers are asked."""
            with _Connections(running, 16) as connections:
                return connections.ask(key)

        assert asked(other.key) == [200] * 16
        new = admin.must("POST", f"/api/users/{other.id}/rotate", {"overlap": 0})["access_key"]
        assert (asked(other.key), asked(new)) == ([401] * 16, [200] * 16)
        admin.must("PUT", f"/api/users/{other.id}", {"first_name": "x", "active": False})
        assert asked(new) == [401] * 16
        admin.must("PUT", f"/api/users/{other.id}", {"first_name": "x", "active": True})
        assert asked(new) == [200] * 16
        admin.must("DELETE", f"/api/users/{other.id}")
        assert asked(new) == [401] * 16
        admin.must("DELETE", f"/api/users/{admin.id}")
        assert asked(admin.key) == [401] * 16, "also one's own"
        assert asked(OPERATOR_KEY) == [200] * 16


class _Connections:
    """Connections to the operator port that are open together. The kernel spreads them over the workers."""

    def __init__(self, running: Gateway, count: int) -> None:
        self._all = [http.client.HTTPConnection("127.0.0.1", running.operator_port, timeout=30) for _ in range(count)]

    def __enter__(self) -> _Connections:
        for one in self._all:
            one.connect()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.close()

    def ask(self, key: str) -> list[int]:
        for one in self._all:
            one.request("GET", "/api/apis", headers={"Authorization": key})
        answers = [one.getresponse() for one in self._all]
        for answer in answers:
            answer.read()
        return [answer.status for answer in answers]


def test_the_body_of_a_stranger_is_not_read_and_that_of_an_operator_is(tmp_path: Path) -> None:
    with gateway(tmp_path, []) as running:
        editor = Operator(running, "acme", "editor")
        hook = json.dumps({"method": "POST", "target_path": "http://h/", "name": "n" * 70_000}).encode()
        for header in ("Authorization: ", "Authorization: Bearer "):
            assert _post(running, header + editor.key, hook).startswith(b"HTTP/1.1 200")
        stranger = editor.key[:-1] + ("0" if editor.key[-1] != "0" else "1")
        assert _post(running, f"Authorization: {stranger}", b"", length=70_000).startswith(b"HTTP/1.1 401"), "answered without the body"


def _post(running: Gateway, header: str, body: bytes, length: int | None = None) -> bytes:
    with socket.create_connection(("127.0.0.1", running.operator_port), timeout=30) as connection:
        head = f"POST /api/hooks HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Length: {length or len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection.recv(65536)


def test_old_records_are_deleted(tmp_path: Path) -> None:
    with gateway(tmp_path, [], {"GATEWAY_AUDIT_DAYS": "7"}) as running:
        old, new = Operator(running, "acme", "editor"), Operator(running, "acme", "editor")
        running.stop()
        with contextlib.closing(sqlite3.connect(running.folder / "gateway.db")) as database:
            database.execute("UPDATE audit SET at = '2000-01-01 00:00:00.000000' WHERE item = ?", (old.id,))
            database.commit()
        running.start()

        def listed() -> list[str]:
            return [record["item"] for record in running.operator("GET", "/api/gatehouse/audit")[1]["records"]]

        wait_until(lambda: listed() == [new.id], 30, "the deletion")
