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

from services.common.app import Refusal
from services.common.clock import SettableClock
from services.tokens.clients import KeySet, RoleTokens
from services.tokens.settings import parse_cut_offs
from tests.unit.tokens.conftest import API, EX, PUB, SECRET, role

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
ROLES = frozenset({"exhibition"})


class AuthService:
    """Serves a key set and counts who asks."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.asked = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked += 1
                body = json.dumps({"keys": service.keys}).encode()
                self.send_response(200 if self.path == "/.well-known/jwks.json" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def publish(self, kid: str, key: Any) -> None:
        algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PrivateKey) else "RS256"
        kind = jwt.get_algorithm_by_name(algorithm)
        self.keys.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "alg": algorithm, "use": "sig"})

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


def checker(auth_url: str, clock: SettableClock, cut_offs: str = "") -> RoleTokens:
    return RoleTokens(KeySet(auth_url, clock), SECRET, dict(parse_cut_offs(cut_offs)), clock)


def outcome(roles: RoleTokens, headers: dict[str, str]) -> str:
    try:
        return roles.require(headers, ROLES)
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
    roles = RoleTokens(KeySet("http://127.0.0.1:9", clock), None, {}, clock)
    assert outcome(roles, role("admin")) == "401 invalid auth"


def signed(key: Any, kid: str | None, algorithm: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": "Bearer " + jwt.encode(claims, key, algorithm, {"kid": kid} if kid else None)}


def test_keys_of_the_auth_service(auth: AuthService, clock: SettableClock) -> None:
    edwards, rivest = ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)
    auth.publish("e", edwards)
    auth.publish("r", rivest)
    roles = checker(auth.url, clock)
    assert outcome(roles, signed(edwards, "e", "EdDSA", sub="exhibition")) == "exhibition"
    assert outcome(roles, signed(rivest, "r", "RS256", sub="admin")) == "admin"
    assert auth.asked == 1
    assert outcome(roles, signed(edwards, "r", "EdDSA", sub="admin")) == "401 invalid auth"
    assert outcome(roles, signed(rivest, "e", "RS256", sub="admin")) == "401 invalid auth"
    assert outcome(roles, signed(rivest, "r", "RS512", sub="admin")) == "401 invalid auth"
    assert outcome(roles, signed(edwards, "e", "EdDSA", sub="exhibition", exp=NOW - 20)) == "exhibition"  # within the skew
    assert outcome(roles, signed(edwards, "e", "EdDSA", sub="exhibition", exp=NOW - 31)) == "401 token expired"


def test_public_key_is_no_shared_secret(auth: AuthService, clock: SettableClock) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from jwt.utils import base64url_encode

    key = rsa.generate_private_key(65537, 2048)
    auth.publish("r", key)
    roles = checker(auth.url, clock)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (base64url_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "r"}, {"sub": "admin"}))
    signature = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, pem)
    token = b".".join((head, body, base64url_encode(signature))).decode()
    assert outcome(roles, {"Authorization": f"Bearer {token}"}) == "401 invalid auth"


def test_unknown_key_is_asked_for_once_then_there_is_a_pause(auth: AuthService, clock: SettableClock) -> None:
    first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    auth.publish("1", first)
    roles = checker(auth.url, clock)
    assert outcome(roles, signed(first, "1", "EdDSA", sub="admin")) == "admin"
    auth.publish("2", second)
    for _ in range(5):
        assert outcome(roles, signed(second, "2", "EdDSA", sub="admin")) == "401 invalid auth"
    assert auth.asked == 1  # within the pause
    clock.move(11)
    assert outcome(roles, signed(second, "2", "EdDSA", sub="admin")) == "admin"
    assert auth.asked == 2
    assert outcome(roles, signed(first, "1", "EdDSA", sub="admin")) == "admin"


def test_auth_service_away(clock: SettableClock, auth: AuthService) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    away = checker("http://127.0.0.1:9", clock)
    assert outcome(away, signed(key, "1", "EdDSA", sub="admin")) == "503 auth unavailable"
    assert outcome(away, role("admin")) == "admin"  # a secret needs nobody
    auth.publish("1", key)
    known = checker(auth.url, clock)
    assert outcome(known, signed(key, "1", "EdDSA", sub="admin")) == "admin"
    auth.keys.clear()
    auth.publish("1", key)
    clock.move(400)
    assert outcome(known, signed(key, "1", "EdDSA", sub="admin")) == "admin"


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
