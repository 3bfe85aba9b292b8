"""The neighbours' client against the service itself: what they hear, and how soon a revocation reaches them."""

from __future__ import annotations

import pytest

from services.common.http_client import Client
from services.common.identity.client import IdentityClient
from services.common.identity.refusals import AuthUnavailable, Throttled, Unauthenticated
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth


def test_every_kind_of_credential(auth: Auth, admin: str, identities: IdentityClient) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    assert identities.basic(ADMIN, PASSWORD).credential == "password"
    assert identities.basic(ADMIN, key).credential == "login_key"
    body = {"kind": "analysis", "permission": "read", "policy": [{"resource": "device", "actions": ["read"]}]}
    who = identities.token(auth.ask("POST", "/me/tokens", body, token=admin).json["secret"])
    assert (who.kind, who.permission, who.policy) == ("analysis", "read", (("device", frozenset({"read"})),))
    role = identities.token(auth.ask("POST", "/role-tokens", {"subject": "generator"}, token=admin).json["token"])
    assert (role.kind, role.subject, role.user, role.expires_at) == ("role", "generator", None, None)
    person = identities.token(admin)
    assert person.user is not None
    assert (person.kind, person.user.email, person.user.level) == ("user", ADMIN, "SUPER_USER")


def test_a_revocation_arrives_within_five_seconds(auth: Auth, admin: str, identities: IdentityClient) -> None:
    made = auth.ask("POST", "/role-tokens", {"subject": "generator"}, token=admin).json
    assert identities.token(made["token"]).subject == "generator"
    auth.ask("DELETE", f"/role-tokens/{made['jti']}", token=admin)
    auth.clock.move(5)
    with pytest.raises(Unauthenticated, match="token revoked"):
        identities.token(made["token"])


def test_a_rotated_key_is_found(auth: Auth, admin: str, identities: IdentityClient) -> None:
    assert identities.token(admin)
    auth.ask("POST", "/signing-keys/rotate", {"algorithm": "RS256"}, token=admin)
    auth.clock.move(11)
    assert identities.token(auth.log_in()).kind == "user"
    assert identities.token(admin).kind == "user"


def test_the_reasons_are_passed_on(auth: Auth, admin: str, identities: IdentityClient) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    auth.clock.move(8 * 86400)
    with pytest.raises(Unauthenticated, match="login key expired, log in with the password"):
        identities.basic(ADMIN, key)


@pytest.mark.parametrize("guess", ["always the same", "another one, the {n}th"])
def test_each_wrong_password_counts(auth: Auth, admin: str, identities: IdentityClient, guess: str) -> None:
    for n in range(5):
        with pytest.raises(Unauthenticated, match="invalid credentials"):
            identities.basic(ADMIN, guess.format(n=n))
    for _ in range(5):
        with pytest.raises(Throttled) as refused:
            identities.basic(ADMIN, guess.format(n=6))
        assert refused.value.headers["Retry-After"] == "2"
    auth.clock.move(2)
    assert identities.basic(ADMIN, PASSWORD).credential == "password"


def test_a_wrong_service_secret_lets_nobody_in(auth: Auth, admin: str, served: str) -> None:
    http = Client(retries=0)
    identities = IdentityClient(served, SERVICE[0], None, issuer=auth.parts.settings.issuer, clock=auth.clock, http=http)
    with pytest.raises(AuthUnavailable):
        identities.basic(ADMIN, PASSWORD)
    http.close()


def test_keys_that_could_not_be_had_are_asked_for_again_soon(
    auth: Auth, admin: str, identities: IdentityClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(auth.parts.keys, "published", lambda: 1 / 0)
        with pytest.raises(AuthUnavailable):
            identities.claims(admin)
    with pytest.raises(AuthUnavailable):  # left alone for a moment
        identities.claims(admin)
    auth.clock.move(0.5)
    assert identities.claims(admin)["sub"]


def test_a_user_is_known_as_long_as_auth_lets_it_in(auth: Auth, admin: str, identities: IdentityClient) -> None:
    body = {
        "email": "u@example.org",
        "password": PASSWORD,
        "full_name": "U",
        "domain": "gatehouse",
        "level": "EDITOR",
        "layer_domains": ["a"],
    }
    user_id = auth.ask("POST", "/users", body, token=admin).json["id"]
    at_login = identities.basic("u@example.org", PASSWORD).user
    assert at_login is not None
    assert identities.user(user_id) == at_login
    assert (at_login.layer_domains, len(at_login.password_stamp)) == (("a",), 32)
    auth.ask("PATCH", f"/users/{user_id}", {"layer_domains": [], "level": "NONE"}, token=admin)
    auth.clock.move(5)
    assert (identities.user(user_id).layer_domains, identities.user(user_id).level) == ((), "NONE")
    assert identities.user(user_id).password_stamp == at_login.password_stamp
    auth.ask("POST", f"/users/{user_id}/password", {"new_password": "another " + PASSWORD}, token=admin)
    signed_in = identities.basic("u@example.org", "another " + PASSWORD).user
    assert signed_in is not None
    assert identities.user(user_id, signed_in.password_stamp) == signed_in
    assert identities.user(user_id) != signed_in  # kept for 5 seconds
    auth.clock.move(5)
    with pytest.raises(Unauthenticated, match="password changed"):
        identities.user(user_id, at_login.password_stamp)
    auth.ask("PATCH", f"/users/{user_id}", {"active": False}, token=admin)
    auth.clock.move(5)
    for gone in (user_id, "nobody", "", "a\x00b", "\ud800", "é", "x" * 5000):
        with pytest.raises(Unauthenticated, match=r"unknown user|invalid credentials"):
            identities.user(gone)
