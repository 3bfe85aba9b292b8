"""The OAuth2 endpoints of an API: which paths are handed over, and what its definition lets clients ask for."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.exchange import HandedOver
from services.gateway.middleware import oauth_endpoints
from tests.unit.gateway.exchanges import ask, built, definition, exchange, mistakes, ports, spec

META = {
    "allowed_access_types": ["authorization_code"],
    "allowed_authorize_types": ["code"],
    "auth_login_redirect": "https://login.example/",
}


def test_an_api_without_them() -> None:
    assert built(oauth_endpoints, ports()) is None
    assert built(oauth_endpoints, ports(), use_oauth2=True, use_keyless=True) is None


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", sorted(oauth_endpoints.PATHS))
def test_the_endpoints_are_handed_over(path: str, end: str) -> None:
    stage = built(oauth_endpoints, ports(), use_oauth2=True)
    answer = ask(stage, exchange("POST", f"/api{path}{end}"))
    assert isinstance(answer, HandedOver)
    assert answer.endpoint == path


@pytest.mark.parametrize("path", ["/", "/oauth/", "/oauth/token/x", "/oauth/tokens", "/x/oauth/token/", "/tyk/oauth/", "/OAuth/token"])
def test_other_paths_go_on(path: str) -> None:
    assert ask(built(oauth_endpoints, ports(), use_oauth2=True), exchange("POST", f"/api{path}")) is None


def test_what_clients_may_ask_for() -> None:
    found = spec(oauth_endpoints, use_oauth2=True, oauth_meta=META, notifications={"oauth_on_keychange_url": "https://a.example/n"})
    assert found.access_types == {"authorization_code"}
    assert found.authorize_types == {"code"}
    assert (found.login, found.notify) == ("https://login.example/", "https://a.example/n")


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"oauth_meta": {"allowed_access_types": ["code"]}}, "/oauth_meta/allowed_access_types/0"),
        ({"oauth_meta": {"allowed_authorize_types": ["codes"]}}, "/oauth_meta/allowed_authorize_types/0"),
        ({"oauth_meta": {"auth_login_redirect": "javascript:alert(1)"}}, "/oauth_meta/auth_login_redirect"),
        ({"notifications": {"oauth_on_keychange_url": "ftp://a/"}}, "/notifications/oauth_on_keychange_url"),
        ({"notifications": {"shared_secret": "a\r\nb: c"}}, "/notifications/shared_secret"),
    ],
)
def test_mistakes(more: dict[str, Any], place: str) -> None:
    assert mistakes(oauth_endpoints, use_oauth2=True, **more) == [place]
    assert mistakes(oauth_endpoints, **more) == []  # nobody reads them


def test_warnings_of_an_api_whose_clients_get_no_tokens() -> None:
    def warned(**meta: Any) -> set[str]:
        return {one.pointer for one in lint(definition(use_oauth2=True, oauth_meta=meta)) if one.pointer.startswith("/oauth_meta")}

    assert warned() == {"/oauth_meta/allowed_access_types"}
    assert warned(allowed_access_types=["client_credentials"]) == set()
    assert warned(allowed_access_types=["authorization_code", "password"]) == {"/oauth_meta/allowed_access_types"}
    assert warned(allowed_access_types=["authorization_code"], allowed_authorize_types=["code"]) == {"/oauth_meta/auth_login_redirect"}
    assert warned(**META) == set()
