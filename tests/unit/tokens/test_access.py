"""Role tokens: the order of the checks, the two kinds of signature, the auth service away."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode

from services.common.clock import SettableClock
from services.common.identity.client import IdentityClient
from services.common.refusal import Refusal
from services.tokens.access import EXHIBITION, RoleTokens, require
from services.tokens.settings import parse_cut_offs
from tests.unit.tokens.conftest import API, EX, PUB, SECRET, role

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()


ISSUER = "http://127.0.0.1:8080/auth"


class AuthService:
    """Serves a key set, and what it says about a token; counts who asks."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.said: tuple[int, dict[str, Any]] = (200, {})
        self.verified = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, status: int, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                self.answer(200, {"keys": service.keys})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                service.verified += 1
                assert self.path == "/verify/token" and self.headers["Authorization"].startswith("Basic ")
                self.answer(*service.said)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def publish(self, kid: str, key: Any) -> None:
        algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "RS256"
        kind = jwt.get_algorithm_by_name(algorithm)
        self.keys.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "alg": algorithm, "use": "sig"})

    def says(self, kind: str, subject: str) -> None:
        rest = dict.fromkeys(("user", "label", "scope", "client_id", "expires_at"))
        self.said = 200, {"kind": kind, "id": "1", "subject": subject, "permission": "full", "policy": [], **rest}

    def refuses(self, message: str) -> None:
        self.said = 401, {"error": message, "code": message.replace(" ", "-")}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def auth() -> Iterator[AuthService]:
    service = AuthService()
    yield service
    service.close()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


def checker(auth_url: str, clock: SettableClock, cut_offs: str = "", *, secret: str | None = SECRET, asking: bool = False) -> RoleTokens:
    identities = IdentityClient(auth_url, "tokens", "secret", issuer=ISSUER, clock=clock)
    return RoleTokens(identities, secret, dict(parse_cut_offs(cut_offs)), clock, asking=asking)


def outcome(roles: RoleTokens, headers: dict[str, str]) -> str:
    try:
        caller = roles.caller(headers)
        require(caller, EXHIBITION)
        return caller.subject
    except Refusal as refusal:
        return f"{refusal.status} {refusal.message}"


@pytest.fixture
def roles(clock: SettableClock) -> RoleTokens:
    return checker("http://127.0.0.1:9", clock, "exhibition=2025-12-31T00:00:00Z")


@pytest.mark.parametrize(("headers", "expected"), [
    ({}, "401 invalid auth"),
    ({"Authorization": "Basic abc"}, "401 invalid auth"),
    ({"Authorization": "Bearer"}, "401 invalid auth"),
    ({"Authorization": "Bearer a.b.c"}, "401 invalid auth"),
    ({"Authorization": "Bearer " + "a" * 100_000}, "401 invalid auth"),
    ({"Authorization": "Bearer " + jwt.encode({"sub": "admin"}, "x" * 40, "HS256")}, "401 invalid auth"),
    ({"Authorization": "Bearer " + jwt.encode({"sub": "admin"}, None, "none")}, "401 invalid auth"),
    ({"Authorization": "Bearer " + jwt.encode({"sub": "admin"}, SECRET * 2, "HS384")}, "401 invalid auth"),
    (role("exhibition", nbf=NOW + 5, exp=NOW - 5), "401 token not yet active"),
    (role("public", nbf=NOW + 5), "401 token not yet active"),
    (role("public", exp=NOW - 5), "401 token expired"),
    (role("exhibition", exp="soon"), "401 invalid auth"),
    (role("public"), "403 wrong subject"),
    (role("generator"), "403 wrong subject"),
    (role("root"), "403 wrong subject"),
    (role(None), "403 wrong subject"),
    (role(None, sub=["exhibition"]), "403 wrong subject"),
    (role("exhibition"), "403 subject expired"),
    (role("exhibition", iat=NOW - 2 * 86400), "403 subject expired"),
    (role("generator", iat="today"), "403 wrong subject"),
    (role("exhibition", iat="today"), "401 invalid auth"),
    (role("admin", iat=True), "401 invalid auth"),
    (role("exhibition", iat=NOW), "exhibition"),
    (role("exhibition", iat=NOW, nbf=NOW, exp=NOW + 1), "exhibition"),
    (role("admin"), "admin"),
    ({"Authentication": role("admin")["Authorization"]}, "admin"),
    ({**role("admin"), "Authentication": role("admin")["Authorization"]}, "admin"),
    ({**role("admin"), "Authentication": role("exhibition")["Authorization"]}, "401 invalid auth"),
])  # fmt: skip
def test_checks_in_order(roles: RoleTokens, headers: dict[str, str], expected: str) -> None:
    assert outcome(roles, headers) == expected


def test_no_secret_accepts_no_shared_signature(clock: SettableClock) -> None:
    assert outcome(checker("http://127.0.0.1:9", clock, secret=None), role("admin")) == "401 invalid auth"


def signed(key: Any, kid: str | None, algorithm: str, typ: str = "JWT", **claims: Any) -> dict[str, str]:
    whole = {"iss": ISSUER, "aud": "gatehouse", "iat": NOW, "exp": NOW + 600, "jti": "1", **claims}
    return {"Authorization": "Bearer " + jwt.encode(whole, key, algorithm, {"typ": typ, **({"kid": kid} if kid else {})})}


def test_keys_of_the_auth_service(auth: AuthService, clock: SettableClock) -> None:
    edwards, rivest = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    auth.publish("e", edwards)
    auth.publish("r", rivest)
    roles = checker(auth.url, clock, "generator=2026-01-01T00:00:01Z")
    for headers, expected in (
        (signed(edwards, "e", "EdDSA", sub="exhibition"), "exhibition"),
        (signed(rivest, "r", "RS256", sub="admin"), "admin"),
        (signed(edwards, "r", "EdDSA", sub="admin"), "401 invalid auth"),
        (signed(rivest, "e", "RS256", sub="admin"), "401 invalid auth"),
        (signed(rivest, "r", "RS512", sub="admin"), "401 invalid auth"),
        (signed(edwards, None, "EdDSA", sub="admin"), "401 invalid auth"),
        (signed(edwards, "e", "EdDSA", sub="admin", aud="another"), "401 invalid auth"),
        (signed(edwards, "e", "EdDSA", sub="admin", iss="https://evil.example"), "401 invalid auth"),
        (signed(edwards, "e", "EdDSA", "at+jwt", sub="admin"), "401 invalid auth"),
        (signed(edwards, "e", "EdDSA", sub="5b1c"), "403 wrong subject"),
        (signed(edwards, "e", "EdDSA", sub="exhibition", exp=NOW - 20), "exhibition"),  # within the skew
        (signed(edwards, "e", "EdDSA", sub="exhibition", exp=NOW - 31), "401 token expired"),
        (signed(edwards, "e", "EdDSA", sub="exhibition", nbf=NOW + 31), "401 token not yet active"),
    ):
        assert outcome(roles, headers) == expected
    assert auth.verified == 0


def test_public_key_is_no_shared_secret(auth: AuthService, clock: SettableClock) -> None:
    key = rsa.generate_private_key(65537, 2048)
    auth.publish("r", key)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (base64url_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "r"}, {"sub": "admin"}))
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, pem)
    token = b".".join((head, body, base64url_encode(signature))).decode()
    for secret in (SECRET, None):
        assert outcome(checker(auth.url, clock, secret=secret), {"Authorization": f"Bearer {token}"}) == "401 invalid auth"


def test_auth_is_asked_about_revocation(auth: AuthService, clock: SettableClock) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    auth.publish("1", key)
    roles, token = checker(auth.url, clock, asking=True), signed(key, "1", "EdDSA", sub="exhibition")
    auth.says("role", "exhibition")
    assert [outcome(roles, token) for _ in range(5)] == ["exhibition"] * 5
    assert auth.verified == 1  # kept for 5 s
    auth.refuses("token revoked")
    clock.move(5.1)
    assert outcome(roles, token) == "401 invalid auth"
    auth.refuses("subject expired")
    clock.move(5.1)
    assert outcome(roles, token) == "403 subject expired"
    auth.says("user", "exhibition")
    clock.move(5.1)
    assert outcome(roles, token) == "403 wrong subject"
    asked = auth.verified
    assert outcome(roles, signed(ed25519.Ed25519PrivateKey.generate(), "1", "EdDSA", sub="admin")) == "401 invalid auth"
    assert outcome(roles, role("admin")) == "admin"
    assert auth.verified == asked  # a forged token and a shared secret's are none of auth's business


def test_auth_service_away(clock: SettableClock) -> None:
    away = checker("http://127.0.0.1:9", clock)
    key = ed25519.Ed25519PrivateKey.generate()
    assert outcome(away, signed(key, "1", "EdDSA", sub="admin")) == "503 auth unavailable"
    assert outcome(away, role("admin")) == "admin"  # a secret needs nobody


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", "/request_interaction", {"exhibition"}), ("GET", "/deposit_interaction", {"exhibition"}),
    ("GET", "/interaction_updates", {"exhibition"}), ("GET", "/new_interaction_updates", {"generator"}),
    ("GET", "/waiting_interactions", {"generator"}), ("GET", "/update_interaction", {"generator"}),
    ("PUT", "/token", {"generator"}), ("DELETE", "/token", set()), ("DELETE", "/tokens", set()),
])  # fmt: skip
def test_who_may_do_what(api: API, method: str, path: str, allowed: set[str]) -> None:
    for subject in ("public", "exhibition", "generator", "admin"):
        status = api.client.open(path, method=method, headers=role(subject), query_string={"timeout": 0}).status_code
        assert (status != 403) is (subject in allowed or subject == "admin"), subject
        assert status != 401
    answer = api.client.open(path, method=method)
    assert (answer.status_code, answer.json) == (401, {"error": "invalid auth"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_authentication_header_over_http(api: API) -> None:
    assert api.client.get("/request_interaction", headers={"Authentication": EX["Authorization"]}).status_code == 200
    assert api.client.get("/request_interaction", headers={"Authentication": PUB["Authorization"]}).status_code == 403
