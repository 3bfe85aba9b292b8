"""What a token is worth: JWTs that are expired, early, forged, rotated, revoked, cut off; the published keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from sqlalchemy.orm import Session

from services.auth.app import build
from services.auth.audit.rules import COMMAND_LINE
from services.auth.models import SigningKey
from services.auth.signing import service as signing
from services.common.refusal import Refusal
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth, settings_for


def role_token(auth: Auth, admin: str, subject: str = "exhibition", **fields: Any) -> dict[str, Any]:
    answer = auth.ask("POST", "/role-tokens", {"subject": subject, "label": "Hall 1", **fields}, token=admin)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def kids(auth: Auth) -> list[str]:
    return [key["kid"] for key in auth.ask("GET", "/.well-known/jwks.json").json["keys"]]


# role tokens


def test_a_role_token(auth: Auth, admin: str) -> None:
    made = role_token(auth, admin, expires_in=3600, not_before="2026-03-01T11:00:00Z")
    token = made.pop("token")
    assert made == {
        "jti": made["jti"],
        "subject": "exhibition",
        "label": "Hall 1",
        "not_before": "2026-03-01T11:00:00.000Z",
        "expires_at": "2026-03-01T13:00:00.000Z",
        "issued_at": "2026-03-01T12:00:00.000Z",
    }
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == ("EdDSA", kids(auth)[0])
    claims = jwt.decode(token, options={"verify_signature": False})
    issued = int(auth.clock.now().timestamp())
    assert claims == {
        "iss": auth.parts.settings.issuer,
        "aud": "gatehouse",
        "sub": "exhibition",
        "iat": issued,
        "exp": issued + 3600,
        "nbf": issued - 3600,
        "jti": made["jti"],
    }
    verified = auth.verify(token).json
    assert (verified["kind"], verified["subject"], verified["label"], verified["user"]) == ("role", "exhibition", "Hall 1", None)
    assert verified["expires_at"] == "2026-03-01T13:00:00.000Z"


def test_the_published_key_checks_it(auth: Auth, admin: str) -> None:
    token = role_token(auth, admin)["token"]
    key = jwt.PyJWK(auth.ask("GET", "/.well-known/jwks.json").json["keys"][0])
    options: Any = {"verify_iat": False, "verify_nbf": False, "verify_exp": False}
    assert jwt.decode(token, key, ["EdDSA"], audience="gatehouse", options=options)["sub"] == "exhibition"


def test_one_without_end_has_an_exp_all_the_same(auth: Auth, admin: str) -> None:
    made = role_token(auth, admin)
    assert made["expires_at"] is None
    assert jwt.decode(made["token"], options={"verify_signature": False})["exp"] == 253402214400
    auth.clock.move(50 * 366 * 86400)
    answer = auth.verify(made["token"])
    assert (answer.status_code, answer.json["expires_at"]) == (200, None)


def test_expired_and_not_yet_active_with_thirty_seconds_of_skew(auth: Auth, admin: str) -> None:
    token = role_token(auth, admin, expires_in=60)["token"]
    early = role_token(auth, admin, not_before="2026-03-01T12:01:00Z")["token"]
    assert auth.verify(early).json["error"] == "token not yet active"
    auth.clock.move(30)
    assert auth.verify(early).status_code == 200
    auth.clock.move(59)
    assert auth.verify(token).status_code == 200
    auth.clock.move(1)
    assert auth.verify(token).json["error"] == "token expired"


def test_revoking(auth: Auth, admin: str) -> None:
    made, other = role_token(auth, admin), role_token(auth, admin, "public")
    listed = auth.ask("GET", "/role-tokens", token=admin).json
    assert {one["jti"] for one in listed["items"]} == {made["jti"], other["jti"]}
    assert all("token" not in one for one in listed["items"])
    assert auth.ask("DELETE", f"/role-tokens/{made['jti']}", token=admin).status_code == 204
    assert auth.verify(made["token"]).json["error"] == "token revoked"
    assert auth.verify(other["token"]).status_code == 200
    assert auth.ask("DELETE", f"/role-tokens/{made['jti']}", token=admin).status_code == 404
    assert auth.ask("GET", "/role-tokens", token=admin).json["total"] == 1
    assert auth.ask("GET", "/role-tokens", token=admin, query_string={"subject": "exhibition"}).json["total"] == 0


def test_a_cut_off_ends_what_was_issued_before(auth: Auth, admin: str) -> None:
    old, public = role_token(auth, admin), role_token(auth, admin, "public")
    auth.clock.move(60)
    answer = auth.ask("PUT", "/role-tokens/cut-off/exhibition", {"cut_off": "2026-03-01T12:01:00Z"}, token=admin)
    assert answer.json == {"subject": "exhibition", "cut_off": "2026-03-01T12:01:00.000Z"}
    new = role_token(auth, admin)
    assert auth.verify(old["token"]).json["error"] == "subject expired"
    assert auth.verify(new["token"]).status_code == 200
    assert auth.verify(public["token"]).status_code == 200
    assert auth.ask("GET", "/role-tokens", token=admin).json["cut_offs"] == [answer.json]
    auth.ask("PUT", "/role-tokens/cut-off/exhibition", {"cut_off": "2026-03-01T12:00:00"}, token=admin)
    assert auth.verify(old["token"]).status_code == 200
    assert auth.ask("PUT", "/role-tokens/cut-off/king", {"cut_off": "2026-03-01T12:00:00Z"}, token=admin).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"subject": "king"}, "subject"),
        ({}, "subject"),
        ({"subject": "public", "expires_in": 0}, "expires_in"),
        ({"subject": "public", "expires_in": "60"}, "expires_in"),
        ({"subject": "public", "not_before": "soon"}, "not_before"),
        ({"subject": "public", "expires_in": 60, "not_before": "2026-03-02T00:00:00Z"}, "not_before"),
    ],
)
def test_wrong_fields_of_a_role_token_are_named(auth: Auth, admin: str, body: dict[str, Any], field: str) -> None:
    answer = auth.ask("POST", "/role-tokens", body, token=admin)
    assert (answer.status_code, list(answer.json["fields"])) == (422, [field])


# forgeries


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded(header)}.{encoded(claims)}."


def hmac_with_the_public_key(header: dict[str, Any], claims: dict[str, Any], public: bytes) -> str:
    text = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    signature = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def pem(auth: Auth) -> bytes:
    key: Any = jwt.PyJWK(auth.ask("GET", "/.well-known/jwks.json").json["keys"][0]).key
    return bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


Forge = Callable[[Auth, dict[str, Any], dict[str, Any], str], str]
OTHER = ed25519.Ed25519PrivateKey.generate()

FORGERIES: dict[str, Forge] = {
    "no signature": lambda auth, header, claims, good: unsigned(header, claims),
    "alg none": lambda auth, header, claims, good: unsigned({**header, "alg": "none"}, claims),
    "alg NONE": lambda auth, header, claims, good: unsigned({**header, "alg": "NONE"}, claims),
    "HMAC with the public key": lambda auth, header, claims, good: hmac_with_the_public_key(header, claims, pem(auth)),
    "another key": lambda auth, header, claims, good: jwt.encode(claims, OTHER, "EdDSA", headers={"kid": header["kid"]}),
    "unknown kid": lambda auth, header, claims, good: jwt.encode(claims, OTHER, "EdDSA", headers={"kid": "unknown"}),
    "kid of another type": lambda auth, header, claims, good: unsigned({**header, "kid": 1}, claims),
    "no kid": lambda auth, header, claims, good: jwt.encode(claims, OTHER, "EdDSA"),
    "key in the header": lambda auth, header, claims, good: unsigned({**header, "jwk": {"kty": "oct", "k": "eA"}}, claims),
    "claims changed": lambda auth, header, claims, good: ".".join(
        [good.split(".")[0], encoded({**claims, "sub": "admin"}), good.split(".")[2]]
    ),
    "last letter changed": lambda auth, header, claims, good: good[:-3] + ("A" if good[-3] != "A" else "B") + good[-2:],
    "two dots only": lambda auth, header, claims, good: "..",
    "nothing": lambda auth, header, claims, good: "",
    "too long": lambda auth, header, claims, good: good + "A" * 9000,
    "not ASCII": lambda auth, header, claims, good: "é.é.é",
}


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_forgeries(auth: Auth, admin: str, algorithm: str) -> None:
    auth.parts.keys.rotate(algorithm, COMMAND_LINE)
    good = role_token(auth, admin)["token"]
    assert auth.verify(good).status_code == 200
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    found = {name: auth.verify(forge(auth, header, claims, good)) for name, forge in FORGERIES.items()}
    assert {name: (one.status_code, one.json["code"]) for name, one in found.items()} == dict.fromkeys(FORGERIES, (401, "invalid-token"))


@pytest.mark.parametrize("kid", ["a\x00b", "\ud800", "a" * 44, "", ["a"], {}, 1, None, "../../etc/passwd"])
def test_keys_that_are_none(auth: Auth, kid: Any) -> None:
    token = f"{encoded({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': kid})}.{encoded({'sub': 'x'})}.AAAA"
    for answer in (auth.verify(token), auth.ask("GET", "/me", token=token)):
        assert (answer.status_code, answer.json["code"]) == (401, "invalid-token")


@pytest.mark.parametrize(
    "change",
    [{"iss": "https://other"}, {"aud": "other"}, {"exp": None}, {"jti": None}, {"iat": None}, {"exp": "soon"}, {"exp": 1e400}, {"sub": 5}],
)
def test_wrong_claims_signed_by_the_right_key(auth: Auth, admin: str, change: dict[str, Any]) -> None:
    good = role_token(auth, admin)["token"]

    with auth.parts.database.read() as session:
        key = signing.store.current(session)
        assert key is not None
        private = auth.parts.keys._opened(key)
    claims = {**jwt.decode(good, options={"verify_signature": False}), **change}
    claims = {name: value for name, value in claims.items() if value is not None}
    signing_input = f"{encoded({'alg': 'EdDSA', 'typ': 'JWT', 'kid': key.kid})}.{encoded(claims)}"
    forged = signing_input + "." + base64.urlsafe_b64encode(private.sign(signing_input.encode())).rstrip(b"=").decode()
    assert auth.verify(forged).status_code == 401


def test_no_kind_of_token_is_taken_for_another(auth: Auth, admin: str) -> None:
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    role = role_token(auth, admin, "admin")["token"]
    account = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    for wrong in (role, account, tokens["refresh_token"], key):
        assert auth.ask("GET", "/me", token=wrong).status_code == 401
    for wrong in (tokens["refresh_token"], key):
        assert auth.verify(wrong).status_code == 401
    assert auth.verify_basic(ADMIN, account).status_code == 401


# access JWTs


def test_an_access_token_lives_fifteen_minutes(auth: Auth, admin: str) -> None:
    answer = auth.verify(admin).json
    assert (answer["kind"], answer["expires_at"], answer["permission"]) == ("user", "2026-03-01T12:15:00.000Z", "full")
    auth.clock.move(900 + 29)
    assert auth.verify(admin).status_code == 200
    auth.clock.move(1)
    assert auth.verify(admin).json["code"] == "token-expired"
    assert auth.ask("GET", "/me", token=admin).json["code"] == "token-expired"


# signing keys


def test_a_first_key_that_came_second_is_not_kept(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes start at once: this one saw no key, and before it wrote its own the other's was there."""
    before = kids(auth)
    look = signing.store.current
    seen: list[None] = []

    def blind_once(session: Session) -> SigningKey | None:
        if not seen:
            seen.append(None)
            return None
        return look(session)

    monkeypatch.setattr(signing.store, "current", blind_once)
    assert auth.parts.keys.rotate("EdDSA", COMMAND_LINE, only_first=True).kid == before[0]
    assert kids(auth) == before


def test_rotation_with_overlap(auth: Auth, admin: str) -> None:
    old = role_token(auth, admin, expires_in=86400)["token"]
    first = kids(auth)[0]
    made = auth.ask("POST", "/signing-keys/rotate", {"algorithm": "RS256"}, token=admin)
    assert (made.status_code, made.json["algorithm"], made.json["current"]) == (201, "RS256", True)
    new = role_token(auth, admin)["token"]
    assert jwt.get_unverified_header(new)["alg"] == "RS256"
    assert set(kids(auth)) == {made.json["kid"], first}
    assert auth.verify(old).status_code == auth.verify(new).status_code == auth.verify(admin).status_code == 200

    auth.clock.move(86400)
    auth.parts.forget_expired()
    assert kids(auth) == [made.json["kid"]]
    listed = auth.ask("GET", "/signing-keys", basic=(ADMIN, PASSWORD)).json["items"]
    assert [(one["kid"], one["current"], one["published"]) for one in listed] == [(made.json["kid"], True, True)]


def test_an_old_key_goes_when_the_last_token_that_needs_it_does(auth: Auth, admin: str) -> None:
    forever = role_token(auth, admin)
    second = role_token(auth, admin, "public")
    first = kids(auth)[0]
    assert auth.ask("POST", "/signing-keys/rotate", token=admin).status_code == 201
    auth.clock.move(899)
    assert first in kids(auth)
    auth.clock.move(62)
    admin = auth.log_in()
    assert first in kids(auth)
    auth.ask("DELETE", f"/role-tokens/{forever['jti']}", token=admin)
    assert first in kids(auth)
    auth.ask("PUT", "/role-tokens/cut-off/public", {"cut_off": "2026-03-01T12:00:01Z"}, token=admin)
    assert first not in kids(auth)
    assert auth.verify(second["token"]).status_code == 401


def test_a_rotation_that_crashes_leaves_the_old_key_signing(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kids(auth)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(signing.audit, "write", crash)
        with pytest.raises(RuntimeError):
            auth.parts.keys.rotate("EdDSA", COMMAND_LINE)
    assert kids(auth) == before
    assert auth.verify(role_token(auth, admin)["token"]).status_code == 200


def test_other_processes_see_a_rotation_at_once(auth: Auth, admin: str, database_url: str, tmp_path: Path) -> None:
    second = Auth(build(settings_for(database_url, tmp_path), auth.clock, key="k" * 32), auth.clock)
    try:
        assert second.verify(role_token(auth, admin)["token"]).status_code == 200
        kid = auth.ask("POST", "/signing-keys/rotate", {}, token=admin).json["kid"]
        token = role_token(second, admin)["token"]
        assert jwt.get_unverified_header(token)["kid"] == kid
        assert auth.verify(token).status_code == second.verify(role_token(auth, admin)["token"]).status_code == 200
    finally:
        second.parts.close()


def test_the_private_key_is_sealed(auth: Auth, database_url: str, tmp_path: Path) -> None:
    other = build(settings_for(database_url, tmp_path), auth.clock, key="another master key of 32 letters.")
    parts = other.extensions["auth"]
    try:
        with pytest.raises(Refusal, match="master key"):
            parts.start()
        answer = other.test_client().get("/ready")
        assert answer.status_code == 503
    finally:
        parts.close()


def test_nobody_rotates_under_another_master_key(auth: Auth, database_url: str, tmp_path: Path) -> None:
    """The command line with the right database and another folder: the service could not sign with the key that it creates."""
    parts = build(settings_for(database_url, tmp_path), auth.clock, key="another master key of 32 letters.").extensions["auth"]
    try:
        with pytest.raises(Refusal, match="master key"):
            parts.keys.rotate("EdDSA", COMMAND_LINE)
    finally:
        parts.close()
    assert auth.log_in()


def test_a_key_that_has_leaked_is_ended_with_all_that_it_signed(auth: Auth, admin: str) -> None:
    signed_in = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    role = role_token(auth, admin)["token"]
    kid = auth.parts.keys.rotate("EdDSA", COMMAND_LINE, end_former=True).kid
    for token in (signed_in["access_token"], role):
        assert auth.verify(token).status_code == 401
    assert [one["kid"] for one in auth.ask("GET", "/.well-known/jwks.json").json["keys"]] == [kid]
    form = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
    refreshed = auth.ask("POST", "/oauth/token", data=form).json
    assert auth.verify(refreshed["access_token"]).status_code == 200


def test_rotations_at_once_leave_one_current_key(auth: Auth, admin: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: auth.ask("POST", "/signing-keys/rotate", {}, token=admin).status_code, range(4)))
    assert answers == [201] * 4
    listed = auth.ask("GET", "/signing-keys", token=admin).json["items"]
    assert len(listed) == 5
    assert len([one for one in listed if one["current"]]) == 1
    assert auth.verify(role_token(auth, admin)["token"]).status_code == 200


def test_there_is_never_a_second_current_key(auth: Auth) -> None:
    from services.auth.models import SigningKey

    with pytest.raises(sa.exc.IntegrityError), auth.parts.database.transaction() as session:
        session.add(
            SigningKey(kid="x", algorithm="EdDSA", public_jwk={}, sealed="", created_at=auth.clock.now(), retired_at=None, current=True)
        )


# well-known documents


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/.well-known/openid-configuration"])
def test_well_known_documents_may_be_cached(auth: Auth, path: str) -> None:
    answer = auth.ask("GET", path)
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert auth.ask("GET", path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_no_private_part_is_published(auth: Auth) -> None:
    auth.parts.keys.rotate("RS256", COMMAND_LINE)
    for key in auth.ask("GET", "/.well-known/jwks.json").json["keys"]:
        assert set(key) <= {"kty", "crv", "x", "n", "e", "use", "alg", "kid"}


def test_discovery_names_the_public_address(auth: Auth) -> None:
    document = auth.ask("GET", "/.well-known/openid-configuration").json
    assert document["issuer"] == auth.parts.settings.issuer
    assert document["token_endpoint"] == document["issuer"] + "/oauth/token"
    assert document["code_challenge_methods_supported"] == ["S256"]
