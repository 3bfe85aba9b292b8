"""What a person allowed an application is what its tokens carry, and what is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.auth.models import Grant
from services.auth.oauth.rules.clients import SCOPES, SERVICES
from services.auth.pages.consent import MEANING
from services.common.identity.client import IdentityClient
from services.common.identity.refusals import InsufficientScope
from tests.unit.auth.browsing import Browser, client_of, exchange, introspect, refresh, request_of, sent_back
from tests.unit.auth.conftest import ADMIN, SERVICE, Auth


def tokens_for(auth: Auth, client: dict[str, Any], browser: Browser, scope: str) -> dict[str, Any]:
    answer = exchange(auth, client, sent_back(browser.authorize(client["client_id"], scope=scope))["code"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_the_document_names_every_scope(auth: Auth) -> None:
    supported = auth.ask("GET", "/.well-known/openid-configuration").json["scopes_supported"]
    assert supported == ["openid", "profile", "email", "sessions", "tokens", "devices", "mobility"]
    assert set(MEANING) == set(supported) == set(SCOPES)


def test_the_consent_page_says_each_in_plain_words(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    for scope in SCOPES:
        page = browser.client.get("/oauth/authorize", query_string={**request_of(client), "scope": scope}).text
        assert [one for one in MEANING if f"<li>{MEANING[one]}</li>" in page] == [scope]


@pytest.mark.parametrize("scope", [None, "", " "])
def test_a_request_that_names_nothing_is_refused(auth: Auth, admin: str, browser: Browser, scope: str | None) -> None:
    back = sent_back(browser.authorize(client_of(auth, admin)["client_id"], scope=scope))
    assert (back["error"], back["state"]) == ("invalid_scope", "a state/é")


@pytest.mark.parametrize("scope", ["openid profile", "tokens", "openid tokens devices"])
def test_a_token_carries_what_was_allowed_through_every_refresh(
    auth: Auth,
    admin: str,
    browser: Browser,
    scope: str,
) -> None:
    client = client_of(auth, admin)
    tokens = tokens_for(auth, client, browser, scope)
    for _ in range(2):
        assert tokens["scope"] == scope
        assert auth.verify(tokens["access_token"]).json["scope"] == scope
        assert introspect(auth, tokens["access_token"])["scope"] == introspect(auth, tokens["refresh_token"])["scope"] == scope
        tokens = refresh(auth, tokens["refresh_token"], client).json


def test_services_ask_for_their_own(auth: Auth, admin: str, browser: Browser, identities: IdentityClient) -> None:
    client = client_of(auth, admin)
    little = tokens_for(auth, client, browser, "openid profile email")["access_token"]
    for service in SERVICES:
        allowed = tokens_for(auth, client, browser, f"openid {service}")["access_token"]
        assert identities.token(allowed, scope=service).client_id == client["client_id"]
        for token, needed in [(little, service), *((allowed, other) for other in SERVICES if other != service)]:
            with pytest.raises(InsufficientScope) as refused:
                identities.token(token, scope=needed)
            assert (refused.value.status, refused.value.code) == (403, "insufficient-scope")
            assert refused.value.headers == {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}


def test_a_service_that_does_not_say_asks_for_its_own_name(
    auth: Auth,
    admin: str,
    browser: Browser,
    identities: IdentityClient,
) -> None:
    client = client_of(auth, admin)
    assert SERVICE[0] == "sessions"
    assert identities.token(tokens_for(auth, client, browser, "sessions")["access_token"]).scope == "sessions"
    with pytest.raises(InsufficientScope, match="sessions"):
        identities.token(tokens_for(auth, client, browser, "tokens")["access_token"])


def test_peoples_own_tokens_have_everything(auth: Auth, admin: str, identities: IdentityClient) -> None:
    account = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    role = auth.ask("POST", "/role-tokens", {"subject": "admin"}, token=admin).json["token"]
    assert [identities.token(one, scope="devices").kind for one in (admin, account, role)] == ["user", "account", "role"]


def test_a_sign_in_from_before_that_named_nothing_may_do_nothing(
    auth: Auth,
    admin: str,
    browser: Browser,
    identities: IdentityClient,
) -> None:
    client = client_of(auth, admin)
    tokens = tokens_for(auth, client, browser, "openid")
    auth.parts.database.run(lambda session: session.execute(sa.update(Grant).where(Grant.client_id.is_not(None)).values(scope="")))
    tokens = refresh(auth, tokens["refresh_token"], client).json
    assert "scope" not in tokens
    assert auth.ask("GET", "/me", token=tokens["access_token"]).json["code"] == "insufficient-scope"
    for service in SERVICES:
        with pytest.raises(InsufficientScope):
            identities.token(tokens["access_token"], scope=service)


def me(auth: Auth, token: str) -> TestResponse:
    return auth.ask("GET", "/me", token=token)


def test_the_profile_needs_its_scope_and_the_address_another(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    for scope in ("openid", "openid email tokens"):
        answer = me(auth, tokens_for(auth, client, browser, scope)["access_token"])
        assert (answer.status_code, answer.json["code"]) == (403, "insufficient-scope")
        assert 'error="insufficient_scope", scope="profile"' in answer.headers["WWW-Authenticate"]
    seen = me(auth, tokens_for(auth, client, browser, "profile")["access_token"])
    assert (seen.status_code, seen.json["full_name"]) == (200, "Administrator")
    assert ADMIN not in seen.text
    assert me(auth, tokens_for(auth, client, browser, "profile email")["access_token"]).json["email"] == ADMIN


def test_introspection_tells_an_application_the_address_only_with_its_scope(
    auth: Auth,
    admin: str,
    browser: Browser,
) -> None:
    client = client_of(auth, admin)
    own = (client["client_id"], client["client_secret"])
    for scope, told in (("openid", False), ("openid email", True)):
        tokens = tokens_for(auth, client, browser, scope)
        for token in (tokens["access_token"], tokens["refresh_token"]):
            assert ("username" in introspect(auth, token, own)) is told
            assert introspect(auth, token)["username"] == ADMIN


def test_a_refresh_may_ask_for_less(auth: Auth, admin: str, browser: Browser) -> None:
    """RFC 6749 6: the access token is for less, the next refresh token for all of it again."""
    client = client_of(auth, admin)
    tokens = tokens_for(auth, client, browser, "openid profile tokens")
    for asked, scope in [("tokens", "tokens"), ("tokens openid", "openid tokens"), ("", "openid profile tokens")]:
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": asked}
        tokens = auth.ask("POST", "/oauth/token", data=form, basic=(client["client_id"], client["client_secret"])).json
        assert tokens["scope"] == scope
        assert auth.verify(tokens["access_token"]).json["scope"] == introspect(auth, tokens["access_token"])["scope"] == scope
        assert introspect(auth, tokens["refresh_token"])["scope"] == "openid profile tokens"
        assert me(auth, tokens["access_token"]).status_code == (200 if "profile" in scope else 403)


def test_a_refresh_gets_no_more_than_was_allowed(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    tokens = tokens_for(auth, client, browser, "openid tokens")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": "openid devices"}
    answer = auth.ask("POST", "/oauth/token", data=form, basic=(client["client_id"], client["client_secret"]))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")
    assert refresh(auth, tokens["refresh_token"], client).json["scope"] == "openid tokens"
