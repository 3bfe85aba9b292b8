"""The client side of the auth service, against a stand-in that answers what the test says."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from services.common.clock import SettableClock
from services.common.http_client import Client
from services.common.identity.client import IdentityClient
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Throttled, Unauthenticated
from tests.support.waiting import free_port, wait_until

ISSUER = "http://house.example/auth"
USER = {
    "id": "u1",
    "email": "ada@example.org",
    "full_name": "Ada",
    "domain": "lab",
    "level": "EDITOR",
    "active": True,
    "layer_domains": ["trees"],
    "created_at": "2026-01-01T00:00:00.000Z",
    "last_login_at": None,
}
BASIC = {**USER, "credential": "password", "expires_at": None}
TOKEN = {
    "kind": "analysis",
    "id": "t1",
    "subject": "u1",
    "label": "lab",
    "user": USER,
    "permission": "read",
    "policy": [{"resource": "device", "actions": ["read", "edit"]}],
    "scope": None,
    "client_id": None,
    "expires_at": None,
}


class StandIn:
    """An auth service of the test's making."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, str | None]] = []
        self.answer: tuple[int, Any, dict[str, str]] = (200, TOKEN, {})
        self.keys: list[dict[str, Any]] = []
        self.hold: threading.Event | None = None
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def do_GET(self) -> None:
                stand_in.asked.append((self.path, None, None))
                self.send(200, {"keys": stand_in.keys}, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.asked.append((self.path, body, self.headers["Authorization"]))
                if stand_in.hold:
                    stand_in.hold.wait(30)
                self.send(*stand_in.answer)

            def send(self, status: int, body: Any, headers: dict[str, str]) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # who waited too long has gone
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def auth() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC))


@pytest.fixture
def client(auth: StandIn, clock: SettableClock) -> Iterator[IdentityClient]:
    http = Client(read=30.0, connect=30.0, retries=0)
    yield IdentityClient(auth.url, "sessions", "the secret", issuer=ISSUER, clock=clock, http=http)
    http.close()


class Key:
    def __init__(self, kid: str, algorithm: str = "EdDSA") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any = (
            ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        to_jwk: Any = OKPAlgorithm.to_jwk if algorithm == "EdDSA" else RSAAlgorithm.to_jwk
        self.jwk = {**json.loads(to_jwk(self.private.public_key())), "kid": kid, "alg": algorithm, "use": "sig"}

    def token(self, clock: SettableClock, header: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(clock.now().timestamp())
        claims = {"iss": ISSUER, "aud": "gatehouse", "sub": "admin", "iat": now, "exp": now + 600, "jti": "j", **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.kid, **(header or {})})


def test_basic(auth: StandIn, client: IdentityClient) -> None:
    auth.answer = (200, {**BASIC, "credential": "login_key", "expires_at": "2026-03-01T13:00:00.000Z"}, {})
    who = client.basic("ada@example.org", "pass:word", "203.0.113.9")
    assert who.user is not None
    assert (who.kind, who.credential, who.user.email, who.user.level, who.user.layer_domains) == (
        "basic",
        "login_key",
        "ada@example.org",
        "EDITOR",
        ("trees",),
    )
    assert who.expires_at == dt.datetime(2026, 3, 1, 13, tzinfo=dt.UTC)
    path, body, authorization = auth.asked[0]
    assert (path, body) == ("/verify/basic", {"username": "ada@example.org", "password": "pass:word", "address": "203.0.113.9"})
    assert authorization == "Basic " + base64.b64encode(b"sessions:the secret").decode()


def test_an_access_token(auth: StandIn, client: IdentityClient) -> None:
    who = client.token("gh_ana_x")
    assert (who.kind, who.permission, who.policy, who.label) == ("analysis", "read", (("device", frozenset({"read", "edit"})),), "lab")
    assert auth.asked[0][:2] == ("/verify/token", {"token": "gh_ana_x"})


def test_a_user_is_asked_for_once_in_five_seconds_for_each_password(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    auth.answer = (200, {**USER, "password_stamp": "one"}, {})
    for _ in range(2):
        assert client.user("u1", "one").layer_domains == ("trees",)
    assert [asked[:2] for asked in auth.asked] == [("/verify/user", {"id": "u1"})]
    auth.answer = (200, {**USER, "password_stamp": "two", "layer_domains": []}, {})
    assert client.user("u1", "two").layer_domains == ()
    assert client.user("u1", "one").layer_domains == ("trees",)
    clock.move(5)
    with pytest.raises(Unauthenticated, match="password changed"):
        client.user("u1", "one")
    auth.answer = (401, {"error": "unknown user", "code": "unknown-user"}, {})
    clock.move(5)
    with pytest.raises(Unauthenticated, match="unknown user"):
        client.user("u1", "two")


def test_an_answer_is_kept_for_five_seconds(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    for _ in range(3):
        client.token("gh_ana_x")
    clock.move(4.9)
    client.token("gh_ana_x")
    assert len(auth.asked) == 1
    auth.answer = (401, {"error": "token revoked", "code": "token-revoked"}, {})
    clock.move(0.1)
    with pytest.raises(Unauthenticated, match="token revoked") as refused:
        client.token("gh_ana_x")
    assert (refused.value.status, refused.value.code) == (401, "token-revoked")
    assert len(auth.asked) == 2


def test_an_answer_is_not_kept_past_the_credentials_end(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    auth.answer = (200, {**TOKEN, "expires_at": "2026-03-01T12:00:02.000Z"}, {})
    client.token("gh_ana_x")
    clock.move(2)
    client.token("gh_ana_x")
    assert len(auth.asked) == 2


def test_different_credentials_share_no_answer(auth: StandIn, client: IdentityClient) -> None:
    auth.answer = (200, BASIC, {})
    client.basic("a\0b", "c")
    client.basic("a", "b\0c")
    client.basic("a", "other")
    assert len(auth.asked) == 3


def test_a_refused_token_is_kept_for_one_second(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    auth.answer = (401, {"error": "token expired", "code": "token-expired"}, {})
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="token expired"):
            client.token("gh_ana_x")
    assert len(auth.asked) == 1
    auth.answer = (200, TOKEN, {})
    clock.move(1)
    client.token("gh_ana_x")


def test_auth_hears_of_each_wrong_password(auth: StandIn, client: IdentityClient) -> None:
    """It counts failures; one that is not passed on is a guess for nothing."""
    auth.answer = (401, {"error": "login key expired, log in with the password", "code": "login-key-expired"}, {})
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="log in with the password"):
            client.basic("a", "b")
    assert len(auth.asked) == 3
    auth.answer = (200, BASIC, {})
    client.basic("a", "b")
    client.basic("a", "b")
    assert len(auth.asked) == 4  # a right one is kept, whatever was said before


def test_throttling_is_passed_on_and_not_kept(auth: StandIn, client: IdentityClient) -> None:
    auth.answer = (429, {"error": "too many failures, try again in 7 s", "code": "too-many-failures"}, {"Retry-After": "7"})
    for _ in range(2):
        with pytest.raises(Throttled) as refused:
            client.basic("a", "b")
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "7")
    assert len(auth.asked) == 2


def test_many_who_ask_the_same_at_once_are_one_question(auth: StandIn, client: IdentityClient) -> None:
    auth.hold = threading.Event()
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(client.token, "gh_ana_x") for _ in range(20)]
        auth.hold.set()
        assert {one.result().id for one in asking} == {"t1"}
    assert len(auth.asked) == 1


def test_auth_hears_of_each_of_many_wrong_passwords_at_once(auth: StandIn, client: IdentityClient) -> None:
    """From different places, too: whom it tells to wait is not told for the others."""
    auth.hold = threading.Event()
    auth.answer = (401, {"error": "invalid credentials", "code": "invalid-credentials"}, {})
    with ThreadPoolExecutor(10) as pool:
        asking = [pool.submit(client.basic, "a", "b", f"203.0.113.{place}") for place in range(10)]
        auth.hold.set()
        assert {type(one.exception(30)) for one in asking} == {Unauthenticated}
    assert {body["address"] for _, body, _ in auth.asked} == {f"203.0.113.{place}" for place in range(10)}


def test_many_who_send_the_same_right_password_at_once_are_one_question(auth: StandIn, client: IdentityClient) -> None:
    auth.hold = threading.Event()
    auth.answer = (200, BASIC, {})
    with ThreadPoolExecutor(20) as pool:
        asking = [pool.submit(client.basic, "a", "b") for _ in range(20)]
        auth.hold.set()
        assert {one.result(30).id for one in asking} == {"u1"}
    assert len(auth.asked) == 1


# what an application was allowed

OF_A_CLIENT = {**TOKEN, "kind": "user", "policy": [], "client_id": "app", "scope": "openid sessions"}


def test_a_token_of_an_application_needs_the_scope_that_is_asked_for(auth: StandIn, client: IdentityClient) -> None:
    auth.answer = (200, OF_A_CLIENT, {})
    assert client.token("gh_acc_x").client_id == "app"  # the service's own name
    assert client.token("gh_acc_x", scope="sessions").scope == "openid sessions"
    for needed in ("tokens", "session", "openid sessions", "profile"):
        with pytest.raises(InsufficientScope) as refused:
            client.token("gh_acc_x", scope=needed)
        assert (refused.value.status, refused.value.code) == (403, "insufficient-scope")
        assert refused.value.headers == {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}
    assert len(auth.asked) == 1


@pytest.mark.parametrize("scope", [None, "", "openid profile email"])
def test_one_that_was_allowed_nothing_of_the_kind_is_refused_everywhere(auth: StandIn, client: IdentityClient, scope: str | None) -> None:
    auth.answer = (200, {**OF_A_CLIENT, "scope": scope}, {})
    for needed in (None, "sessions", "tokens"):
        with pytest.raises(InsufficientScope):
            client.token("gh_acc_x", scope=needed)


@pytest.mark.parametrize("kind", ["user", "account", "analysis", "middleware", "role"])
def test_peoples_own_tokens_are_not_asked_for_a_scope(auth: StandIn, client: IdentityClient, kind: str) -> None:
    auth.answer = (200, {**TOKEN, "kind": kind}, {})
    assert client.token("gh_acc_x", scope="tokens").kind == kind


# auth away: nobody is let in


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "internal error", "code": "internal-error"}, {}),
        (503, {"error": "database unavailable", "code": "database-unavailable"}, {}),
        (503, b"<html>", {}),
        (200, b"not JSON", {}),
        (200, {}, {}),
        (200, [], {}),
        (302, b"", {"Location": "http://evil.example"}),
        (401, {"error": "client credentials of a service needed", "code": "service-credentials-needed"}, {}),
    ],
)
def test_a_strange_answer_lets_nobody_in(auth: StandIn, client: IdentityClient, answer: Any) -> None:
    auth.answer = answer
    with pytest.raises(AuthUnavailable) as refused:
        client.token("gh_ana_x")
    assert (refused.value.status, refused.value.code, refused.value.headers) == (503, "auth-unavailable", {"Retry-After": "1"})


def test_auth_away(clock: SettableClock) -> None:
    http = Client(connect=0.5, retries=0)
    client = IdentityClient(f"http://127.0.0.1:{free_port()}", "sessions", "s", issuer=ISSUER, clock=clock, http=http)
    for ask in (lambda: client.token("gh_ana_x"), lambda: client.basic("a", "b"), lambda: client.token(Key("k").token(clock))):
        with pytest.raises(AuthUnavailable):
            ask()
    http.close()


def test_auth_that_hangs_is_asked_once_and_then_left_alone(auth: StandIn, clock: SettableClock) -> None:
    http = Client(read=0.2, retries=0)
    client = IdentityClient(auth.url, "sessions", "s", issuer=ISSUER, clock=clock, http=http)
    auth.hold = threading.Event()
    client.PAUSE_S = 60
    for n in range(5):
        with pytest.raises(AuthUnavailable):
            client.token(f"gh_ana_{n}")
    auth.hold.set()
    client.PAUSE_S = 0
    http._timeout = (5.0, 30.0)
    assert client.token("gh_ana_0").id == "t1"
    wait_until(lambda: len(auth.asked) > 1)  # a busy machine takes note of the first one later than it is given up
    assert sorted(body["token"] for _, body, _ in auth.asked) == ["gh_ana_0", "gh_ana_0"]
    http.close()


def test_a_kept_answer_outlives_an_outage_by_no_more_than_its_five_seconds(
    auth: StandIn, client: IdentityClient, clock: SettableClock
) -> None:
    client.token("gh_ana_x")
    auth.answer = (500, b"", {})
    clock.move(4)
    assert client.token("gh_ana_x").id == "t1"
    clock.move(1)
    with pytest.raises(AuthUnavailable):
        client.token("gh_ana_x")


# JWTs


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_jwt_is_checked_here_and_asked_about(auth: StandIn, client: IdentityClient, clock: SettableClock, algorithm: str) -> None:
    key = Key("k1", algorithm)
    auth.keys = [key.jwk]
    auth.answer = (200, {**TOKEN, "kind": "role", "user": None, "policy": [], "subject": "admin"}, {})
    who = client.token(key.token(clock))
    assert (who.kind, who.subject, who.user) == ("role", "admin", None)
    assert auth.paths() == ["/.well-known/jwks.json", "/verify/token"]
    auth.answer = (401, {"error": "token revoked", "code": "token-revoked"}, {})
    clock.move(5)
    with pytest.raises(Unauthenticated, match="token revoked"):
        client.token(key.token(clock))


def _hmac_with(public: bytes, token: str) -> str:
    head, claims, _ = token.split(".")
    header = {**jwt.get_unverified_header(token), "alg": "HS256"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    signature = hmac.new(public, f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return f"{head}.{claims}." + base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def test_forgeries_never_reach_auth(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    key, rsa_key = Key("k1"), Key("k2", "RS256")
    auth.keys = [key.jwk, rsa_key.jwk]
    pem = rsa_key.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    good = key.token(clock)
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').rstrip(b"=").decode()
    for forged in [
        good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        f"{none}.{good.split('.')[1]}.",
        _hmac_with(pem, rsa_key.token(clock)),
        Key("k1").token(clock),
        Key("k1", "RS256").token(clock),
        key.token(clock, iss="other"),
        key.token(clock, aud="other"),
        key.token(clock, exp=None),
        key.token(clock, jti=None),
        "a.b.c",
        "..",
        "é.é.é",
        "x" * 9000,
        "plain",
        "",
    ]:
        with pytest.raises(Unauthenticated, match="invalid token"):
            client.token(forged)
    assert set(auth.paths()) == {"/.well-known/jwks.json"}


def test_times_with_thirty_seconds_of_skew(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    key = Key("k1")
    auth.keys = [key.jwk]
    now = int(clock.now().timestamp())
    assert client.claims(key.token(clock, exp=now - 29))["sub"] == "admin"
    with pytest.raises(Unauthenticated, match="token expired"):
        client.claims(key.token(clock, exp=now - 30))
    assert client.claims(key.token(clock, nbf=now + 30))["sub"] == "admin"
    with pytest.raises(Unauthenticated, match="token not yet active"):
        client.claims(key.token(clock, nbf=now + 31))
    with pytest.raises(Unauthenticated, match="token not yet active"):
        client.claims(key.token(clock, iat=now + 31))


def test_an_unknown_kid_is_looked_up_once_then_not_for_a_while(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    old, new = Key("old"), Key("new")
    auth.keys = [old.jwk]
    client.claims(old.token(clock))
    clock.move(11)
    auth.keys = [old.jwk, new.jwk]
    client.claims(new.token(clock))
    assert len(auth.asked) == 2
    for n in range(10):
        with pytest.raises(Unauthenticated):
            client.claims(Key(f"unknown-{n}").token(clock))
    assert len(auth.asked) == 2
    clock.move(10.1)
    with pytest.raises(Unauthenticated):
        client.claims(Key("unknown").token(clock))
    assert len(auth.asked) == 3


def test_a_key_that_auth_no_longer_publishes_is_forgotten(auth: StandIn, client: IdentityClient, clock: SettableClock) -> None:
    key = Key("k1")
    auth.keys = [key.jwk]
    client.claims(key.token(clock))
    auth.keys = []
    clock.move(301)
    with pytest.raises(Unauthenticated):
        client.claims(key.token(clock))


def test_old_keys_are_believed_for_a_quarter_of_an_hour_without_auth(auth: StandIn, clock: SettableClock) -> None:
    http = Client(retries=0)
    client = IdentityClient(auth.url, "sessions", "s", issuer=ISSUER, clock=clock, http=http)
    key = Key("k1")
    auth.keys = [key.jwk]
    client.claims(key.token(clock))
    auth.keys = [{"kid": "k1", "alg": "EdDSA", "kty": "nonsense"}]
    clock.move(900)
    assert client.claims(key.token(clock))
    clock.move(1)
    with pytest.raises(AuthUnavailable):
        client.claims(key.token(clock))
    http.close()


def test_the_memory_of_answers_is_bounded(auth: StandIn, client: IdentityClient) -> None:
    client._answers.LARGEST = 10
    for n in range(25):
        client.token(f"gh_ana_{n}")
    assert len(client._answers._kept) <= 10
    assert not [key for key in client._answers._kept if b"gh_ana" in key]
