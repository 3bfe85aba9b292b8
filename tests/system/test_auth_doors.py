"""Auth against attackers, as it is run and behind the gateway: who is kept out, and who is not."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.gateway import Gateway
from tests.support.processes import ROOT, running
from tests.support.waiting import wait_until
from tests.system.test_auth_service import ADMIN, SERVICE, Auth, environment

OWNER, STRANGER = "198.51.100.7", "203.0.113.9"
ADA = {"email": "ada@example.org", "password": "correct horse battery", "domain": "gatehouse"}


@pytest.fixture
def auth(database_url: str, tmp_path: Path) -> Iterator[Auth]:
    """Two workers; whoever asks from this machine is the gateway to it, so that a test says where a request comes from."""
    env = environment(database_url, tmp_path, AUTH_WORKERS="2")
    with running("auth", env, tmp_path) as (url, process):
        yield Auth(url, process, env, tmp_path)


def log_in(auth: Auth, password: str, address: str, email: str = ADMIN) -> requests.Response:
    return auth.ask("POST", "/login", {"email": email, "password": password}, headers={"X-Forwarded-For": address})


def test_a_stranger_keeps_nobody_out(auth: Auth) -> None:
    key = auth.ask("POST", "/me/login-key", headers=auth.bearer()).json()["key"]
    for _ in range(8):
        log_in(auth, "a wrong password", STRANGER)
    assert log_in(auth, "a wrong password", STRANGER).status_code == 429
    assert log_in(auth, auth.password, OWNER).status_code == 200
    assert log_in(auth, key, STRANGER).status_code == 200
    verified = auth.ask("POST", "/verify/basic", {"username": ADMIN, "password": key, "address": STRANGER}, auth=SERVICE)
    assert verified.status_code == 200


def test_many_addresses_slow_a_new_place_down_once(auth: Auth) -> None:
    assert log_in(auth, auth.password, OWNER).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: log_in(auth, "a wrong password", f"203.0.113.{n}").status_code, range(60)))
    assert found.count(401) >= 50
    assert log_in(auth, auth.password, OWNER).status_code == 200
    first = log_in(auth, auth.password, "192.0.2.1")
    assert (first.status_code, first.headers["Retry-After"]) == (429, "2")
    addresses = (f"203.0.{n // 250}.{n % 250}" for n in itertools.count(250))
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            log_in(auth, "a wrong password", next(addresses))

    attacker = threading.Thread(target=go_on)
    attacker.start()
    try:
        wait_until(lambda: log_in(auth, auth.password, "192.0.2.1").status_code == 200, 20, "the end of two seconds", pause=0.2)
    finally:
        stop.set()
        attacker.join()


def test_guesses_do_not_fill_the_queue(database_url: str, tmp_path: Path) -> None:
    """One check at a time and a short queue, and more guesses than it holds: each from an address and at an account without failures."""
    env = environment(
        database_url, tmp_path, AUTH_ARGON2_MEMORY_KIB="19456", AUTH_ARGON2_PASSES="3", AUTH_HASHERS="1", AUTH_HASH_QUEUE="20"
    )
    with running("auth", env, tmp_path) as (url, process):
        auth = Auth(url, process, env, tmp_path)
        assert log_in(auth, auth.password, OWNER).status_code == 200
        numbers, stop, heard = itertools.count(), threading.Event(), []

        def guess() -> None:
            while not stop.is_set():
                n = next(numbers)
                heard.append(log_in(auth, "a guess", f"10.{n // 65536}.{n // 256 % 256}.{n % 256}", f"user{n}@example.org").status_code)

        threads = [threading.Thread(target=guess) for _ in range(32)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: 503 in heard, 60, "a full queue")
            answers = [log_in(auth, auth.password, OWNER).status_code for _ in range(10)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert set(heard) == {401, 503}
    assert answers == [200] * 10


@pytest.fixture(params=["", "127.0.0.0/8"], ids=["nobody before the gateway", "a proxy before it"])
def behind(request: pytest.FixtureRequest, auth: Auth, tmp_path: Path) -> Iterator[tuple[Auth, str, bool]]:
    """The service, its address at the gateway, and whether a proxy's X-Forwarded-For counts."""
    trusted = {"GATEWAY_TRUSTED_PROXIES": request.param} if request.param else {}
    definitions = [json.loads((ROOT / "deploy/apis/auth.json").read_text())]
    folder = tmp_path / "second"
    folder.mkdir()
    with running("auth", {**auth.env, **trusted}, folder) as (url, _):
        gateway = Gateway(tmp_path, definitions, {"UPSTREAM_AUTH": url, **trusted})
        try:
            yield auth, f"{gateway.url}/auth", bool(trusted)
        finally:
            gateway.stop()


def test_a_client_cannot_invent_its_address(behind: tuple[Auth, str, bool]) -> None:
    """Through the gateway only its trusted proxies say where a client is; otherwise every guess could claim another address."""
    auth, public, trusting = behind
    admin = auth.bearer()

    def guess(address: str) -> int:
        body = {"email": ADMIN, "password": "a wrong password"}
        forged = {"X-Forwarded-For": address, "Forwarded": f"for={address}", "X-Real-IP": address}
        return requests.post(f"{public}/login", json=body, headers=forged, timeout=30).status_code

    found = [guess(f"203.0.113.{n}") for n in range(8)]
    lines = auth.ask("GET", "/audit", headers=admin, params={"action": "login.failed"}).json()["items"]
    seen = {line["address"] for line in lines}
    if trusting:
        assert found == [401] * 8
        assert seen == {f"203.0.113.{n}" for n in range(8)}
    else:
        assert found[:5] == [401] * 5
        assert 429 in found
        assert seen == {"127.0.0.1"}


@pytest.mark.parametrize("body", [b"{", b"[" * 30_000, b'{"more":1}', b"a" * 100_000])
def test_a_stranger_hears_401_whatever_the_body(auth: Auth, body: bytes) -> None:
    document = auth.ask("GET", "/openapi.json").json()
    asked = 0
    for path, operations in document["paths"].items():
        if path in ("/login", "/oauth/token", "/oauth/revoke") or path.startswith("/.well-known"):
            continue
        for method in set(operations) - {"parameters"}:
            url = auth.url + path.replace("{", "").replace("}", "")
            answer = requests.request(method, url, data=body, headers={"Content-Type": "application/json"}, timeout=10)
            assert answer.status_code == 401, (method, path, answer.text)
            asked += 1
    assert asked > 25
