"""Access tokens: what is read, and whose tokens open an API."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.keys.model import Key, secret_hash
from services.gateway.middleware import oauth
from services.gateway.refusals import BEARER_MALFORMED, OAUTH_TOKEN_MISSING, OAUTH_TOKEN_UNKNOWN
from tests.unit.gateway.exchanges import KnownKeys, ask, built, exchange, make_key, ports, refusal

OURS = Key.from_session("t1", [secret_hash("t0ken")], {}, issued_by="api")
THEIRS = Key.from_session("t2", [secret_hash("other")], {}, issued_by="another")
PLAIN = make_key("plain", oauth_client_id="app")


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
    assert built(oauth, ports(), use_oauth2=True, use_keyless=True) is None


def test_a_refusal_tells_of_a_failure_only_where_somebody_tried_a_token() -> None:
    assert [kind.event for kind in (OAUTH_TOKEN_MISSING, BEARER_MALFORMED, OAUTH_TOKEN_UNKNOWN)] == [None, None, "AuthFailure"]
