"""Access tokens: what is read, and whose tokens open an API."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.exchange import HandedOver
from services.gateway.keys.model import Key, secret_hash
from services.gateway.middleware import oauth, oauth_endpoints
from services.gateway.refusals import BEARER_MALFORMED, OAUTH_TOKEN_MISSING, OAUTH_TOKEN_UNKNOWN, Refusal
from tests.unit.gateway.exchanges import KnownKeys, ask, built, definition, exchange, make_key, mistakes, ports, refusal, spec

OURS = Key.from_session("t1", [secret_hash("t0ken")], {}, issued_by="api")
THEIRS = Key.from_session("t2", [secret_hash("other")], {}, issued_by="another")
PLAIN = make_key("plain", oauth_client_id="app")
META = {
    "allowed_access_types": ["authorization_code"],
    "allowed_authorize_types": ["code"],
    "auth_login_redirect": "https://login.example/",
}


def asking(*, later: bool = False, **more: Any) -> Any:
    keys = KnownKeys({"t0ken": OURS, "other": THEIRS, "plain": PLAIN}, later=later)
    return built(oauth, ports(keys), use_oauth2=True, **more)


def bearer(token: str, scheme: str = "Bearer") -> list[tuple[str, str]]:
    return [("Authorization", f"{scheme} {token}")]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_a_token_of_the_apis_own_client_opens_it(scheme: str, later: bool) -> None:
    request = exchange(headers=bearer("t0ken", scheme))
    assert ask(asking(later=later), request) is None
    assert (request.key, request.presented_key, request.drop_headers) == (OURS, "t0ken", None)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("token", ["nobodys", "other", "plain", "x" * 5000, "\xff\xfe"])
def test_no_other_key_opens_it(token: str, later: bool) -> None:
    """Neither a key that an operator created, whatever its session says, nor another API's token."""
    request = exchange(headers=bearer(token))
    refused = refusal(asking(later=later), request, OAUTH_TOKEN_UNKNOWN)
    assert refused.headers == ((b"WWW-Authenticate", b'Bearer realm="Api", error="invalid_token"'),)
    assert request.key is None


def test_nothing_is_sent() -> None:
    refused = refusal(asking(), exchange(), OAUTH_TOKEN_MISSING)
    assert refused.headers == ((b"WWW-Authenticate", b'Bearer realm="Api"'),)


@pytest.mark.parametrize("value", ["t0ken", "Basic t0ken", "Bearer", "Bearer  "])
def test_not_in_the_form_of_the_scheme(value: str) -> None:
    refusal(asking(), exchange(headers=[("Authorization", value)]), BEARER_MALFORMED)


def test_in_another_place_the_token_may_stand_alone() -> None:
    check = asking(auth_configs={"oauth": {"use_param": True, "param_name": "access_token"}}, strip_auth_data=True)
    request = exchange(target="/api/?access_token=t0ken&a=1")
    ask(check, request)
    assert (request.key, request.upstream_query) == (OURS, "a=1")


def test_beside_another_way_its_limits_count_when_the_definition_says_so() -> None:
    for base, counted in (("oauth_key", True), ("auth_token", False)):
        request = exchange(headers=bearer("t0ken"))
        ask(asking(use_standard_auth=True, base_identity_provided_by=base), request)
        assert (request.key is OURS, request.further_keys) == (counted, () if counted else (OURS,))


def test_an_api_without_it() -> None:
    assert built(oauth, ports()) is None
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


def test_a_refusal_tells_of_a_failure_only_where_somebody_tried_a_token() -> None:
    assert [kind.event for kind in (OAUTH_TOKEN_MISSING, BEARER_MALFORMED, OAUTH_TOKEN_UNKNOWN)] == [None, None, "AuthFailure"]
    assert isinstance(Refusal(OAUTH_TOKEN_UNKNOWN), Exception)
