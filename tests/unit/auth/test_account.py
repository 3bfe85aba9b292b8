"""Signing in and one's own account."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth


def test_root_names_the_service(auth: Auth) -> None:
    answer = auth.ask("GET", "/")
    assert answer.status_code == 200
    assert set(answer.json) == {"name", "version", "git_sha"}


def test_log_in_gives_tokens(auth: Auth) -> None:
    answer = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 900
    assert answer.json["refresh_token"].startswith("gh_ref_")
    assert answer.headers["Cache-Control"] == "no-store"
    me = auth.ask("GET", "/me", token=answer.json["access_token"])
    assert me.json["email"] == ADMIN
    assert me.json["last_login_at"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize("email", [ADMIN.upper(), f"  {ADMIN} ", "ａｄｍｉｎ@gatehouse.local"])
def test_the_address_is_case_blind_and_normalised(auth: Auth, email: str) -> None:
    assert auth.log_in(email)


def test_unknown_wrong_and_inactive_are_answered_alike(auth: Auth, admin: str) -> None:
    auth.add_user("gone@example.org", admin, active=False)
    answers = [
        auth.ask("POST", "/login", {"email": email, "password": password}, headers={"X-Request-Id": "same"})
        for email, password in [("nobody@example.org", PASSWORD), (ADMIN, "wrong password!"), ("gone@example.org", PASSWORD), ("", "")]
    ]
    assert {(one.status_code, one.text) for one in answers} == {
        (401, '{"error": "invalid credentials", "code": "invalid-credentials", "request_id": "same"}')
    }


def test_an_unknown_user_costs_as_much_work(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    fits = auth.parts.hasher._fits
    monkeypatch.setattr(auth.parts.hasher, "_fits", lambda kept, password: checked.append(kept) or fits(kept, password))
    auth.ask("POST", "/login", {"email": "nobody@example.org", "password": PASSWORD})
    auth.ask("POST", "/login", {"email": ADMIN, "password": "wrong password!"})
    assert len(checked) == 2
    assert all(kept.startswith("$argon2id$v=19$m=64,t=1,p=1$") for kept in checked)


def test_a_password_is_hashed_again_when_the_parameters_change(auth: Auth, admin: str) -> None:
    import argon2

    auth.parts.hasher._argon2 = argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
    auth.log_in()
    with auth.parts.database.read() as session:
        from services.auth.models import User

        assert session.query(User).one().password_hash.startswith("$argon2id$v=19$m=64,t=2,p=1$")
    assert auth.log_in()


def test_a_password_is_one_in_every_unicode_spelling(auth: Auth, admin: str) -> None:
    auth.add_user("u@example.org", admin, password="Gru\u0308ße aus Köln")
    assert auth.log_in("u@example.org", "Grüße aus Ko\u0308ln")


def test_a_huge_password_is_refused_unread(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth.parts.hasher, "_fits", lambda *_: pytest.fail("hashed"))
    assert auth.ask("POST", "/login", {"email": ADMIN, "password": "a" * 1_000_000}).status_code == 413
    assert auth.ask("POST", "/login", {"email": ADMIN, "password": "a" * 50_000}).status_code == 401


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ("{", 400, "malformed-json"),
        ("[" * 30_000, 400, "malformed-json"),
        ('{"email":' + "9" * 6000 + "}", 400, "malformed-json"),
        ("[]", 422, "invalid-fields"),
        ('{"email":1,"password":null}', 422, "invalid-fields"),
        ('{"email":"a@b.c","password":"x","more":1}', 422, "invalid-fields"),
        ('{"email":"\\ud800@b.c","password":"\\ud800"}', 401, "invalid-credentials"),
        ('{"email":"a\\u0000@b.c","password":"\\u0000"}', 401, "invalid-credentials"),
    ],
    ids=range(8),
)
def test_bad_input_is_answered_clearly(auth: Auth, data: str, status: int, code: str) -> None:
    answer = auth.ask("POST", "/login", data=data, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_every_error_has_the_same_shape(auth: Auth) -> None:
    for method, path, status in [("GET", "/nothing", 404), ("PUT", "/login", 405), ("GET", "/me", 401)]:
        answer = auth.ask(method, path)
        assert answer.status_code == status
        assert set(answer.json) == {"error", "code", "request_id"}
        assert answer.headers["X-Request-Id"] == answer.json["request_id"]


def test_the_profile_is_changed(auth: Auth, admin: str) -> None:
    answer = auth.ask("PATCH", "/me", {"full_name": "Ada Lovelace", "email": "Ada@Example.org"}, token=admin)
    assert answer.status_code == 200
    assert (answer.json["full_name"], answer.json["email"]) == ("Ada Lovelace", "Ada@Example.org")
    assert auth.log_in("ada@example.org")


def test_nobody_raises_the_own_level(auth: Auth, admin: str) -> None:
    auth.add_user("u@example.org", admin)
    answer = auth.ask("PATCH", "/me", {"level": "SUPER_USER"}, token=auth.log_in("u@example.org"))
    assert answer.status_code == 422
    assert answer.json["fields"] == {"level": ["Unknown field."]}


def test_basic_works_where_a_sign_in_does(auth: Auth) -> None:
    assert auth.ask("GET", "/me", basic=(ADMIN, PASSWORD)).json["email"] == ADMIN
    assert auth.ask("GET", "/me", headers={"Authorization": "Basic !!"}).json["code"] == "credentials-missing"


# passwords


def test_a_password_change_ends_sign_ins_and_login_key(auth: Auth, admin: str) -> None:
    refresh = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json["refresh_token"]
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    new = "another horse, same battery"
    answer = auth.ask("POST", "/me/password", {"current_password": PASSWORD, "new_password": new}, token=admin)
    assert answer.status_code == 204
    assert auth.ask("GET", "/me", token=admin).json["code"] == "token-revoked"
    assert auth.ask("POST", "/oauth/token", data={"grant_type": "refresh_token", "refresh_token": refresh}).status_code == 400
    assert auth.verify_basic(ADMIN, key).status_code == 401
    assert auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).status_code == 401
    assert auth.log_in(password=new)


def test_a_password_change_needs_the_password_not_the_login_key(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    answer = auth.ask("POST", "/me/password", {"current_password": key, "new_password": "another horse, same battery"}, token=admin)
    assert answer.status_code == 422
    assert answer.json["fields"] == {"current_password": ["Not the current password."]}


def test_an_administrators_login_key_is_no_way_around_that(auth: Auth, admin: str) -> None:
    me = f"/users/{auth.ask('GET', '/me', token=admin).json['id']}"
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    for method, path, body in [
        ("POST", f"{me}/password", {"new_password": "another horse battery"}),
        ("PATCH", me, {"email": "thief@example.org"}),
        ("PATCH", "/me", {"email": "thief@example.org"}),
    ]:
        answer = auth.ask(method, path, body, basic=(ADMIN, key))
        assert (answer.status_code, answer.json["code"]) == (403, "password-needed")
    assert auth.ask("PATCH", me, {"full_name": "Ada"}, basic=(ADMIN, key)).status_code == 200
    assert auth.ask("PATCH", me, {"email": "ada@example.org"}, token=admin).status_code == 200


@pytest.mark.parametrize("new", ["eleven char", "x" * 257, "aaaaaaaaaaaaaaa", "tab\tin the password", ADMIN.upper()])
def test_weak_passwords_are_refused(auth: Auth, admin: str, new: str) -> None:
    answer = auth.ask("POST", "/me/password", {"current_password": PASSWORD, "new_password": new}, token=admin)
    assert answer.status_code == 422
    assert list(answer.json["fields"]) == ["new_password"]


def test_guessing_the_current_password_slows_down(auth: Auth, admin: str) -> None:
    body = {"current_password": "a wrong password", "new_password": "another horse, same battery"}
    statuses = [auth.ask("POST", "/me/password", body, token=admin).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


# login keys


def test_a_login_key_stands_for_the_password(auth: Auth, admin: str) -> None:
    made = auth.ask("POST", "/me/login-key", basic=(ADMIN, PASSWORD))
    assert made.status_code == 201
    assert made.json["expires_at"] == "2026-03-08T12:00:00.000Z"
    key = made.json["key"]
    assert auth.ask("GET", "/me/login-key", token=admin).json == {
        "created_at": "2026-03-01T12:00:00.000Z",
        "expires_at": "2026-03-08T12:00:00.000Z",
    }
    answer = auth.verify_basic(ADMIN, key)
    assert (answer.status_code, answer.json["credential"], answer.json["expires_at"]) == (200, "login_key", "2026-03-08T12:00:00.000Z")
    assert auth.ask("GET", "/me", basic=(ADMIN, key)).status_code == 200
    assert auth.log_in(password=key)


def test_one_login_key_at_a_time(auth: Auth, admin: str) -> None:
    first = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    second = auth.ask("POST", "/me/login-key", basic=(ADMIN, first)).json["key"]
    assert auth.verify_basic(ADMIN, first).status_code == 401
    assert auth.verify_basic(ADMIN, second).status_code == 200
    assert auth.ask("DELETE", "/me/login-key", token=admin).status_code == 204
    assert auth.verify_basic(ADMIN, second).status_code == 401
    assert auth.ask("DELETE", "/me/login-key", token=admin).status_code == 404
    assert auth.ask("GET", "/me/login-key", token=admin).status_code == 404


def test_an_expired_login_key_says_so_and_makes_no_new_one(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    auth.clock.move(7 * 24 * 3600)
    for answer in (auth.verify_basic(ADMIN, key), auth.ask("POST", "/me/login-key", basic=(ADMIN, key))):
        assert answer.status_code == 401
        assert answer.json["error"] == "login key expired, log in with the password"
    assert auth.ask("POST", "/me/login-key", basic=(ADMIN, PASSWORD)).status_code == 201


def test_the_key_of_another_user_is_a_wrong_password(auth: Auth, admin: str) -> None:
    auth.add_user("u@example.org", admin)
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    assert auth.verify_basic("u@example.org", key).json["error"] == "invalid credentials"


def test_the_domain_rules_how_long_a_login_key_lives(auth: Auth, admin: str) -> None:
    assert auth.ask("PATCH", "/domains/gatehouse", {"login_key_lifetime_s": 600}, token=admin).status_code == 200
    assert auth.ask("POST", "/me/login-key", token=admin).json["expires_at"] == "2026-03-01T12:10:00.000Z"


def test_a_sign_in_by_login_key_ends_with_the_key(auth: Auth, admin: str) -> None:
    auth.ask("PATCH", "/domains/gatehouse", {"login_key_lifetime_s": 600}, token=admin)
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": key}).json
    assert tokens["expires_in"] == 600
    auth.ask("DELETE", "/me/login-key", token=admin)
    assert auth.ask("GET", "/me", token=tokens["access_token"]).status_code == 401


# access tokens

POLICY = [{"resource": "device", "actions": ["read", "edit"]}]


@pytest.mark.parametrize(("kind", "prefix", "policy"), [("account", "acc", []), ("analysis", "ana", POLICY), ("middleware", "mid", POLICY)])
def test_access_tokens(auth: Auth, admin: str, kind: str, prefix: str, policy: list[object]) -> None:
    body = {"kind": kind, "label": "lab", "permission": "read", "policy": policy, "expires_in": 60}
    made = auth.ask("POST", "/me/tokens", body, token=admin)
    assert made.status_code == 201
    shown = made.json
    secret = shown.pop("secret")
    assert secret.startswith(f"gh_{prefix}_")
    assert shown == {
        "id": shown["id"],
        "kind": kind,
        "label": "lab",
        "permission": "read",
        "policy": policy,
        "expires_at": "2026-03-01T12:01:00.000Z",
        "last_used_at": None,
        "created_at": "2026-03-01T12:00:00.000Z",
    }
    answer = auth.verify(secret)
    assert answer.status_code == 200
    assert {name: answer.json[name] for name in ("kind", "permission", "policy", "expires_at")} == {
        "kind": kind,
        "permission": "read",
        "policy": policy,
        "expires_at": "2026-03-01T12:01:00.000Z",
    }
    assert answer.json["user"]["email"] == ADMIN
    listed = auth.ask("GET", "/me/tokens", token=admin).json
    assert (listed["total"], listed["page"], listed["per_page"]) == (1, 1, 50)
    assert listed["items"][0]["last_used_at"] == "2026-03-01T12:00:00.000Z"
    assert "secret" not in listed["items"][0]
    auth.clock.move(60)
    assert auth.verify(secret).json["code"] == "token-expired"


def test_rotating_and_removing_a_token_counts_at_once(auth: Auth, admin: str) -> None:
    made = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    rotated = auth.ask("POST", f"/me/tokens/{made['id']}/rotate", token=admin)
    assert rotated.status_code == 200
    assert rotated.json["id"] == made["id"]
    assert auth.verify(made["secret"]).status_code == 401
    assert auth.verify(rotated.json["secret"]).status_code == 200
    assert auth.ask("DELETE", f"/me/tokens/{made['id']}", token=admin).status_code == 204
    assert auth.verify(rotated.json["secret"]).status_code == 401
    assert auth.ask("DELETE", f"/me/tokens/{made['id']}", token=admin).status_code == 404


def test_the_last_use_of_a_token_outlives_an_outage(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    auth.verify(token["secret"])

    def away(*_: object) -> None:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("connection refused"))

    with monkeypatch.context() as patch:
        patch.setattr(auth.parts.database, "run", away)
        assert auth.ask("GET", "/me/tokens", token=admin).status_code == 503
    assert auth.ask("GET", "/me/tokens", token=admin).json["items"][0]["last_used_at"] is not None


def test_nobody_touches_another_users_tokens(auth: Auth, admin: str) -> None:
    auth.add_user("u@example.org", admin)
    made = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    other = auth.log_in("u@example.org")
    assert auth.ask("DELETE", f"/me/tokens/{made['id']}", token=other).status_code == 404
    assert auth.ask("POST", f"/me/tokens/{made['id']}/rotate", token=other).status_code == 404
    assert auth.ask("GET", "/me/tokens", token=other).json["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "network"}, "kind"),
        ({"kind": "account", "policy": POLICY}, "policy"),
        ({"kind": "analysis"}, "policy"),
        ({"kind": "analysis", "policy": [{"resource": "", "actions": ["read"]}]}, "policy"),
        ({"kind": "analysis", "policy": [{"resource": "a", "actions": []}]}, "policy"),
        ({"kind": "account", "permission": "deny"}, "permission"),
        ({"kind": "account", "expires_in": 0}, "expires_in"),
        ({"kind": "account", "expires_in": 10**12}, "expires_in"),
        ({"kind": "account", "label": "x" * 101}, "label"),
        ({"kind": "account", "label": "a\x00b"}, "label"),
    ],
)
def test_wrong_fields_of_a_token_are_named(auth: Auth, admin: str, body: dict[str, object], field: str) -> None:
    answer = auth.ask("POST", "/me/tokens", body, token=admin)
    assert answer.status_code == 422
    assert list(answer.json["fields"]) == [field]


def test_no_secret_is_kept(auth: Auth, admin: str) -> None:
    from services.auth.models import db

    secrets = [
        PASSWORD,
        SERVICE[1],
        auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json["refresh_token"],
        auth.ask("POST", "/me/login-key", token=admin).json["key"],
        auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"],
        auth.ask("POST", "/clients", {"name": "c", "service": True}, token=admin).json["client_secret"],
        auth.ask("POST", "/role-tokens", {"subject": "admin"}, token=admin).json["token"],
        admin,
    ]
    with auth.parts.database.read() as session:
        kept = "\n".join(str(row) for table in db.metadata.sorted_tables for row in session.execute(sa.select(table)))
    assert ADMIN in kept
    assert not [secret for secret in secrets if secret in kept]
    assert "PRIVATE KEY" not in kept
