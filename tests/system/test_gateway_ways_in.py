"""Users with passwords, signed requests and both at once, by the libraries that clients have; policies and organisations under load."""

from __future__ import annotations

import base64
import email.utils
import hmac
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from tests.support.clients import Clients
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

ALGORITHMS = {"hmac-sha1": "sha1", "hmac-sha256": "sha256", "hmac-sha384": "sha384", "hmac-sha512": "sha512"}
PASSWORD = "s3:crét wörd"
MANY = 60


def apis(upstream: OddUpstream, receiver: Receiver) -> list[dict[str, Any]]:
    target = f"{upstream.url}/"
    called = {"handler_name": "eh_web_hook_handler", "handler_meta": {"method": "POST", "target_path": f"{receiver.url}/"}}
    told: dict[str, Any] = {"event_handlers": {"events": {"AuthFailure": [called], "OrgQuotaExceeded": [called], "KeyExpired": [called]}}}
    elsewhere: dict[str, Any] = {"auth_configs": {"hmac": {"auth_header_name": "X-Signature"}}}
    keyed: dict[str, Any] = {"use_keyless": False, "strip_auth_data": True}
    return [
        definition("keyed", target, use_keyless=False),
        definition("users", target, use_basic_auth=True, **keyed, **told),
        definition("signed", target, enable_signature_checking=True, **keyed),
        definition("both", target, use_basic_auth=True, enable_signature_checking=True, **keyed, **elsewhere),
        definition("owned", target, org_id="owner", **told),
    ]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as noted:
        yield noted


@pytest.fixture(scope="module", params=["one worker", "two workers"])
def running(
    request: pytest.FixtureRequest, odd_upstream: OddUpstream, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """One worker counts in process; two hear each other through Valkey."""
    env = {}
    if request.param == "two workers":
        valkey: Valkey = request.getfixturevalue("module_valkey")
        env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with gateway(tmp_path_factory.mktemp("ways"), apis(odd_upstream, receiver), env) as started:
        yield started


@pytest.fixture(scope="module")
def module_valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()


def saved(running: Gateway, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """What an operator's call answers when every worker has it."""
    status, answer = running.operator(method, path, body)
    assert status == 200, answer
    assert "unconfirmed" not in str(answer).lower()
    found: dict[str, Any] = answer
    return found


def session(*apis: str, **more: Any) -> dict[str, Any]:
    return {"quota_max": -1, "access_rights": {api: {"api_id": api, "versions": ["Default"]} for api in apis}, **more}


def new_user(running: Gateway, name: str, *apis: str, password: str = PASSWORD, **more: Any) -> None:
    saved(running, "POST", f"/api/apis/keys/basic/{name}", session(*apis, basic_auth_data={"password": password}, **more))


def ask(running: Gateway, path: str, auth: Callable[..., Any] | None = None, **more: Any) -> requests.Response:
    """On a connection of its own, so that any worker may answer."""
    return requests.request(more.pop("method", "GET"), f"{running.url}/{path}", auth=auth, timeout=30, **more)


def statuses(running: Gateway, path: str, auth: Callable[..., Any] | None = None, times: int = 16, **more: Any) -> set[int]:
    return {ask(running, path, auth, **more).status_code for _ in range(times)}


def by_utf_8(user: str, password: str = PASSWORD) -> HTTPBasicAuth:
    return HTTPBasicAuth(user.encode(), password.encode())


class Signed(AuthBase):
    """Signs as draft-cavage says, with httpsig where it knows the algorithm. header: that holds the signature."""

    def __init__(self, key: dict[str, Any], algorithm: str = "hmac-sha256", header: str = "authorization") -> None:
        self._id, self._secret = key["key_id"], key["data"]["hmac_string"]
        self._algorithm = algorithm
        self._header = header

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Date"] = email.utils.formatdate(usegmt=True)
        names = ["(request-target)", "host", "date"]
        host = f"127.0.0.1:{(r.url or '').split(':')[2].split('/')[0]}"
        if self._algorithm == "hmac-sha384":
            text = f"(request-target): {(r.method or '').lower()} {r.path_url}\nhost: {host}\ndate: {r.headers['Date']}"
            made = base64.b64encode(hmac.digest(self._secret.encode(), text.encode(), "sha384")).decode()
            signature = f'Signature keyId="{self._id}",algorithm="{self._algorithm}",headers="{" ".join(names)}",signature="{made}"'
        else:
            from httpsig import HeaderSigner

            signer = HeaderSigner(key_id=self._id, secret=self._secret, algorithm=self._algorithm, headers=names)
            signature = signer.sign(dict(r.headers), host=host, method=r.method, path=r.path_url)["authorization"]
        r.headers[self._header] = signature
        return r


def new_key(running: Gateway, *apis: str, **more: Any) -> dict[str, Any]:
    return saved(running, "POST", "/api/keys", session(*apis, **more))


def test_a_user_in_both_encodings(running: Gateway, odd_upstream: OddUpstream) -> None:
    new_user(running, "j%C3%B6rg", "users")
    for auth in (HTTPBasicAuth("jörg", PASSWORD), by_utf_8("jörg"), by_utf_8("jörg", "s3:cre\u0301t wo\u0308rd")):
        assert statuses(running, "users/in", auth, 4) == {200}
    assert all(one.field("authorization") is None for one in odd_upstream.requests("/in"))
    for auth in (by_utf_8("jörg", PASSWORD + "!"), by_utf_8("nobody")):
        refused = ask(running, "users/in", auth)
        assert (refused.status_code, refused.json()["error"]) == (401, "User not authorised")
        assert refused.headers["WWW-Authenticate"] == 'Basic realm="users"'
    assert ask(running, "keyed/in", headers={"Authorization": "defaultjörg".encode()}).status_code == 403, "a name is not a key"


def test_requests_of_a_user_at_the_same_time(running: Gateway) -> None:
    """Also the first ones, before the password was ever checked."""
    new_user(running, "hasty", "users")
    with ThreadPoolExecutor(MANY) as pool:
        assert Counter(pool.map(lambda _: ask(running, "users/a", by_utf_8("hasty")).status_code, range(MANY))) == {200: MANY}


def test_the_rate_and_the_quota_of_a_user(running: Gateway) -> None:
    new_user(running, "limited", "users", quota_max=20, quota_renewal_rate=3600)
    with ThreadPoolExecutor(MANY) as pool:
        answers = Counter(pool.map(lambda _: ask(running, "users/a", by_utf_8("limited")).status_code, range(MANY)))
    assert answers == {200: 20, 403: MANY - 20}
    new_user(running, "slow", "users", rate=3, per=3600)
    assert Counter(ask(running, "users/a", by_utf_8("slow")).status_code for _ in range(6)) == {200: 3, 429: 3}


def test_a_new_password_is_in_force_when_the_call_answers(running: Gateway) -> None:
    new_user(running, "eve", "users", password="first")
    kept = [requests.Session() for _ in range(8)]
    for client in kept:
        assert client.get(f"{running.url}/users/a", auth=by_utf_8("eve", "first"), timeout=30).status_code == 200
    for before, after in (("first", "second"), ("second", "third")):
        assert statuses(running, "users/a", by_utf_8("eve", before)) == {200}
        new_user(running, "eve", "users", password=after)
        assert statuses(running, "users/a", by_utf_8("eve", before)) == {401}
        for client in kept:
            assert client.get(f"{running.url}/users/a", auth=by_utf_8("eve", before), timeout=30).status_code == 401
            assert client.get(f"{running.url}/users/a", auth=by_utf_8("eve", after), timeout=30).status_code == 200
    saved(running, "DELETE", "/api/keys/defaulteve")
    assert statuses(running, "users/a", by_utf_8("eve", "third")) == {401}
    for client in kept:
        client.close()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_signed_request(algorithm: str, running: Gateway, odd_upstream: OddUpstream) -> None:
    key = new_key(running, "signed", hmac_enabled=True)
    assert statuses(running, "signed/s?b=%20&a=1", Signed(key, algorithm), 4) == {200}
    assert ask(running, "signed/s", Signed(key, algorithm), method="POST", data=b"body").status_code == 200
    assert all(one.field("authorization") is None for one in odd_upstream.requests("/s"))
    forged = {**key, "data": {"hmac_string": "another"}}
    refused = ask(running, "signed/s", Signed(forged, algorithm))
    assert (refused.status_code, refused.json()["error"]) == (400, "Authorization field missing, malformed or invalid")


def test_a_rotation_has_two_secrets_for_signatures(running: Gateway) -> None:
    former = new_key(running, "signed", hmac_enabled=True)
    assert statuses(running, "signed/s", Signed(former)) == {200}
    new = saved(running, "POST", f"/api/keys/{former['id']}/rotate", {"overlap": 3600})
    assert former["data"]["hmac_string"] != new["data"]["hmac_string"]
    assert statuses(running, "signed/s", Signed(former)) == statuses(running, "signed/s", Signed(new)) == {200}
    assert statuses(running, "signed/s", Signed({**former, "data": new["data"]}), 4) == {400}
    last = saved(running, "POST", f"/api/keys/{former['id']}/rotate", {"overlap": 0})
    assert statuses(running, "signed/s", Signed(former)) == statuses(running, "signed/s", Signed(new)) == {400}
    assert statuses(running, "signed/s", Signed(last)) == {200}


def test_both_ways_at_once(running: Gateway, odd_upstream: OddUpstream) -> None:
    """A request must pass both; the limits of the signature's key count."""
    new_user(running, "pair", "both", quota_max=1, quota_renewal_rate=3600)
    key = new_key(running, "both", hmac_enabled=True, quota_max=5, quota_renewal_rate=3600)
    signed, user = Signed(key, header="x-signature"), by_utf_8("pair")

    class Both(AuthBase):
        def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
            return signed(user(r))

    assert ask(running, "both/b", user).status_code == 400
    assert ask(running, "both/b", signed).status_code == 401
    assert Counter(ask(running, "both/b", Both()).status_code for _ in range(7)) == {200: 5, 403: 2}
    assert all(one.field("authorization") is None and one.field("x-signature") is None for one in odd_upstream.requests("/b"))
    saved(running, "PUT", f"/api/keys/{key['id']}", session("keyed", hmac_enabled=True))
    assert statuses(running, "both/b", Both(), 8) == {403}
    saved(running, "PUT", f"/api/keys/{key['id']}", session("both", hmac_enabled=True))
    assert statuses(running, "both/b", Both(), 8) == {200}
    saved(running, "PUT", "/api/keys/defaultpair", session("both", is_inactive=True))
    assert statuses(running, "both/b", Both(), 8) == {403}


class Asking(Clients):
    """Clients that ask without a pause, each on one connection and on new ones by turns. answers: when each was sent and came, and what."""

    def __init__(self, running: Gateway, path: str, headers: dict[str, str]) -> None:
        self._url = f"{running.url}/{path}"
        self._headers = headers
        self.answers: list[tuple[float, float, int]] = []
        super().__init__([self._run] * 4)

    def _run(self) -> None:
        with requests.Session() as kept:
            while not self._stop.is_set():
                for get in (kept.get, requests.get):
                    sent = time.monotonic()
                    status = get(self._url, headers=self._headers, timeout=30).status_code
                    with self._lock:
                        self.answers.append((sent, time.monotonic(), status))

    def go_on(self) -> None:
        """Wait for more answers to requests that are sent from now on."""
        now = time.monotonic()
        wait_until(lambda: sum(sent > now for sent, _, _ in list(self.answers)) > 20, 60, "more answers")

    def between(self, after: float, before: float) -> set[int]:
        """Of the requests that were sent after one moment and answered before another."""
        return {status for sent, came, status in self.answers if sent > after and came < before}


def switched(running: Gateway, asking: Asking, path: str, states: list[tuple[Any, int]]) -> None:
    """Save one state after the other while clients ask: each holds for all who ask between its answer and the next call."""
    answered: list[tuple[float, int]] = []
    called: list[float] = []
    with asking:
        for body, expected in states:
            called.append(time.monotonic())
            saved(running, "PUT", path, body)
            answered.append((time.monotonic(), expected))
            asking.go_on()
    for (since, expected), until in zip(answered, [*called[1:], time.monotonic()], strict=True):
        assert asking.between(since, until) == {expected}


def test_a_policy_is_in_force_when_the_call_answers(running: Gateway) -> None:
    right = {"access_rights": {"keyed": {"versions": ["Default"]}}}
    saved(running, "POST", "/api/portal/policies", {"id": "gold", "name": "gold", **right})
    key = saved(running, "POST", "/api/keys", {"apply_policies": ["gold"]})["key_id"]
    asking = Asking(running, "keyed/p", {"Authorization": key})
    states = [({**right, "is_inactive": True}, 403), (right, 200), ({"access_rights": {"users": {}}}, 403), ({**right, "rate": -1}, 200)]
    switched(running, asking, "/api/portal/policies/gold", states)
    assert running.operator("DELETE", "/api/portal/policies/gold")[0] == 409, "a key names it"
    saved(running, "DELETE", "/api/portal/policies/gold?force=1")
    assert statuses(running, "keyed/p", headers={"Authorization": key}) == {403}


def test_a_policy_gives_its_limits(running: Gateway) -> None:
    saved(running, "POST", "/api/portal/policies", {"id": "few", "quota_max": 20, "access_rights": {"keyed": {"versions": ["Default"]}}})
    key = saved(running, "POST", "/api/keys", {"apply_policies": ["few"]})["key_id"]

    def one(_: int) -> int:
        return ask(running, "keyed/p", headers={"Authorization": key}).status_code

    with ThreadPoolExecutor(MANY) as pool:
        assert Counter(pool.map(one, range(MANY))) == {200: 20, 403: MANY - 20}


def test_an_organisation_is_switched_off_when_the_call_answers(running: Gateway) -> None:
    asking = Asking(running, "owned/o", {})
    off, on = {"is_inactive": True}, {"is_inactive": False}
    switched(running, asking, "/tyk/org/keys/owner", [(off, 403), (on, 200), (off, 403), (on, 200)])
    saved(running, "DELETE", "/tyk/org/keys/owner")


def test_the_quota_of_an_organisation_is_exact(running: Gateway, receiver: Receiver) -> None:
    """And whoever wants to hear of it does."""
    saved(running, "PUT", "/tyk/org/keys/owner?reset_quota=1", {"quota_max": 20, "quota_renewal_rate": 3600})
    start = threading.Barrier(MANY)

    def one(_: int) -> int:
        start.wait(30)
        return ask(running, "owned/o").status_code

    with ThreadPoolExecutor(MANY) as pool:
        assert Counter(pool.map(one, range(MANY))) == {200: 20, 403: MANY - 20}
    refused = ask(running, "owned/o")
    assert refused.json()["error"] == "This organisation quota has been exceeded, please contact your API administrator"
    wait_until(lambda: any(b'"OrgQuotaExceeded"' in call.body for call in receiver.calls), 30, "the call")
    saved(running, "DELETE", "/tyk/org/keys/owner")
    assert statuses(running, "owned/o", times=4) == {200}


def test_no_password_stands_anywhere(running: Gateway, receiver: Receiver) -> None:
    """Neither a right one nor a wrong one: in calls of webhooks, logs, the database and its copies."""
    right, wrong = "right-3e8a51c07f", "wrong-91b2d6a4c8"
    new_user(running, "quiet", "users", password=right)
    before = len(receiver.calls)
    assert ask(running, "users/quiet", by_utf_8("quiet", right)).status_code == 200
    for user, password in (("quiet", wrong), ("nobody-at-all", wrong), (wrong, "x")):
        assert ask(running, "users/quiet", by_utf_8(user, password)).status_code == 401
    assert ask(running, "users/quiet", headers={"Authorization": f"Basic {wrong}"}).status_code == 400
    assert ask(running, "users/quiet?password=x", headers={"Authorization": f"Basic {wrong} x"}).status_code == 400

    def told() -> bool:
        return sum(b'"AuthFailure"' in call.body for call in receiver.calls[before:]) >= 3

    wait_until(told, 30, "the calls")
    wait_until(lambda: running.access_log.read_text().count("/users/quiet") >= 6, 30, "the lines of the access log")
    spelled = [
        right,
        wrong,
        *(base64.b64encode(f"{user}:{word}".encode()).decode() for user in ("quiet", "nobody-at-all") for word in (right, wrong)),
    ]
    seen = {str(path): path.read_bytes() for path in running.folder.rglob("*") if path.is_file()}
    seen["calls"] = b"".join(call.body + str(call.headers).encode() for call in receiver.calls)
    assert [(place, word) for place, content in seen.items() for word in spelled if word.encode() in content] == []
    assert {"gateway.db", "access.log", "log"} <= {Path(path).name for path in seen}
