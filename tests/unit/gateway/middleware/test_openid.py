"""OpenID Connect: what is read of a definition, which ID tokens pass, and whose they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from jwt.api_jws import PyJWS

from services.gateway.compiler import lint, parse
from services.gateway.keys.key_sets import KeySets
from services.gateway.keys.model import Key
from services.gateway.keys.tokens import TokenVerifier, VerifyingKey
from services.gateway.middleware import openid
from services.gateway.refusals import (
    KEY_MISSING,
    KEY_SET_UNAVAILABLE,
    TOKEN_EXPIRED,
    TOKEN_NOT_FOR_THIS,
    TOKEN_NOT_VALID_YET,
    TOKEN_REFUSED,
    TOKEN_SCOPE_WITHOUT_POLICY,
    TOKEN_USED_EARLY,
    TOKEN_WITHOUT_IDENTITY,
    TOKEN_WITHOUT_POLICY,
)
from tests.support.token_issuer import SigningKey, sign
from tests.unit.gateway.exchanges import KnownKeys, Time, ask, built, document, exchange, mistakes, ports, refusal, spec

NOW = 1_800_000_000
ONE, OTHER = "https://one.example", "https://other.example/realm/"
KEYS = {ONE: SigningKey("RS256", "k"), OTHER: SigningKey("ES256", "k")}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def options(*providers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"use_openid": True, "openid_options": {"providers": list(providers), **more}}


def provider(issuer: str = ONE, **clients: Any) -> dict[str, Any]:
    return {"issuer": issuer, "client_ids": {b64(id): policy for id, policy in (clients or {"app": "p", "web": "q"}).items()}}


class Provider(KeySets):
    """The configuration and the keys of both issuers. asked: the URLs that were fetched; away: whether nothing is."""

    def __init__(self, time: Time) -> None:
        super().__init__(self.answer, time)
        self.asked: list[str] = []
        self.away = False

    def answer(self, url: str) -> bytes:
        self.asked.append(url)
        if self.away:
            raise ConnectionRefusedError(url)
        issuer = next(one for one in KEYS if url.startswith(one))
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}).encode()
        return json.dumps({"keys": [KEYS[issuer].jwk]}).encode()


class Counted(TokenVerifier[Any]):
    """checked: how many signatures were."""

    checked = 0

    async def claims(self, token: str, algorithm: str, key: VerifyingKey, client: str) -> Mapping[str, Any] | None:
        self.checked += 1
        return await super().claims(token, algorithm, key, client)


def checking(*providers: Mapping[str, Any], time: Time | None = None, tokens: Any = None, sets: KeySets | None = None, **more: Any) -> Any:
    time = time or Time(NOW)
    outside = ports(KnownKeys(policies=["p", "q"]), time=time, tokens=tokens, key_sets=sets or Provider(time))
    return built(openid, outside, **{**options(*(providers or (provider(),))), **more})


def token(issuer: str = ONE, sub: Any = "eve", **claims: Any) -> str:
    said = {"iss": issuer, "aud": "app", "iat": NOW - 5, "exp": NOW + 60, **claims}
    return KEYS[issuer].token(sub, **{name: value for name, value in said.items() if value is not None})


def sending(token: str, scheme: str = "Bearer ") -> Any:
    return exchange(headers=[("Authorization", f"{scheme}{token}")])


def holder(rule: Any, token: str) -> Key:
    request = sending(token)
    assert ask(rule, request) is None
    assert request.key is not None
    return request.key


# What is read.


def test_an_api_that_asks_for_no_id_token() -> None:
    assert spec(openid) is None
    assert spec(openid, openid_options={"providers": [{"issuer": "x", "client_ids": {"": 5}}], "segregate_by_client": True}) is None
    assert spec(openid, **options(provider()), use_keyless=True) is None


@pytest.mark.parametrize(
    ("found", "places"),
    [
        (options(), ["/openid_options/providers"]),
        ({"use_openid": True}, ["/openid_options/providers"]),
        (options({}), ["/openid_options/providers/0/issuer", "/openid_options/providers/0/client_ids"]),
        (options(provider(), provider()), ["/openid_options/providers/1/issuer"]),
        (options(provider(app="")), [f"/openid_options/providers/0/client_ids/{b64('app')}"]),
        (options(provider(app=5)), [f"/openid_options/providers/0/client_ids/{b64('app')}"]),
        (options({"issuer": ONE, "client_ids": {"": "p"}}), ["/openid_options/providers/0/client_ids/"]),
        (options({"issuer": ONE, "client_ids": {b64("a-b"): "p", "a-b": "q"}}), ["/openid_options/providers/0/client_ids/a-b"]),
        (options(provider(), segregate_by_client=1), ["/openid_options/segregate_by_client"]),
        ({**options(provider()), "scopes": {"oidc": {"scope_to_policy": {"a": 5}}}}, ["/scopes/oidc/scope_to_policy/a"]),
    ],
)
def test_mistakes(found: dict[str, Any], places: list[str]) -> None:
    assert mistakes(openid, **found) == places


@pytest.mark.parametrize(
    "issuer", ["", "issuer.example", "ftp://a", "https://", "https://a?b", "https://a#b", "https://a@b", "https://a b"]
)
def test_what_is_no_issuer(issuer: str) -> None:
    assert mistakes(openid, **options(provider(issuer))) == ["/openid_options/providers/0/issuer"]


def test_scopes_make_policies_of_clients_needless() -> None:
    assert mistakes(openid, **options(provider(app="")), jwt_scope_to_policy_mapping={"a": "p"}) == []


def test_warnings() -> None:
    def places(*providers: Mapping[str, Any]) -> list[str]:
        return [one.pointer for one in lint(parse(document(**options(*providers))))]

    assert places(provider(), provider("http://auth:8101"), provider("http://127.0.0.1:8080/auth")) == []
    assert places(provider("http://issuer.example")) == ["/openid_options/providers/0/issuer"]
    plain = {"issuer": ONE, "client_ids": {"a-b": "p"}}
    found = lint(parse(document(**options(plain))))
    assert [one.pointer for one in found] == ["/openid_options/providers/0/client_ids/a-b"] and b64("a-b") in found[0].message


@pytest.mark.parametrize(
    ("key", "id"),
    [
        (b64("a-b"), "a-b"),
        ("a-b", "a-b"),
        ("0oa1abcd", "0oa1abcd"),
        ("1-x.apps", "1-x.apps"),
        (b64("0oa1abcd"), "0oa1abcd"),
        ("YXBw", "app"),
    ],
)
def test_a_client_id_in_base64_or_as_it_is(key: str, id: str) -> None:
    found = spec(openid, **options({"issuer": ONE, "client_ids": {key: "p"}}))
    assert found.rules.clients == {ONE: {id: "p"}}


def test_it_is_one_way_of_several() -> None:
    found = parse(
        document(**options(provider()), enable_jwt=True, jwt_signing_method="hmac", jwt_source="x" * 40, jwt_default_policies=["p"])
    )
    assert [mode for mode, way in found.ways.items() if way.is_base] == ["oidc_user"]
    based = parse(document(**options(provider()), use_standard_auth=True, base_identity_provided_by="oidc_user"))
    assert [mode for mode, way in based.ways.items() if way.is_base] == ["oidc_user"]
    elsewhere = spec(openid, **options(provider()), auth_configs={"oidc": {"auth_header_name": "x-id"}})
    assert elsewhere.way.places.header == "x-id"


# Which tokens pass.


def test_a_token_of_a_user() -> None:
    for scheme in ("Bearer ", "bearer ", ""):
        request = sending(token(), scheme)
        assert ask(checking(), request) is None
        assert request.key is not None
        assert (request.key.alias, request.presented_key, request.key.org_id) == ("app:eve", "eve", "default")


def test_nobody() -> None:
    told = refusal(checking(name="A"), exchange(), KEY_MISSING)
    assert told.headers == ((b"WWW-Authenticate", b'Bearer realm="A"'),)
    assert told.detail == "Send an ID token in the header `Authorization`."


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"iss": OTHER}, TOKEN_NOT_FOR_THIS),
        ({"iss": ONE + "/"}, TOKEN_NOT_FOR_THIS),
        ({"iss": None}, TOKEN_NOT_FOR_THIS),
        ({"iss": [ONE]}, TOKEN_NOT_FOR_THIS),
        ({"aud": None}, TOKEN_NOT_FOR_THIS),
        ({"aud": "other"}, TOKEN_NOT_FOR_THIS),
        ({"aud": b64("app")}, TOKEN_NOT_FOR_THIS),
        ({"aud": {"app": 1}}, TOKEN_NOT_FOR_THIS),
        ({"aud": ["other"], "azp": "app"}, TOKEN_NOT_FOR_THIS),
        ({"aud": ["app", "x"], "azp": "x"}, TOKEN_NOT_FOR_THIS),
        ({"azp": ["app"]}, TOKEN_NOT_FOR_THIS),
        ({"sub": None}, TOKEN_WITHOUT_IDENTITY),
        ({"sub": ""}, TOKEN_WITHOUT_IDENTITY),
        ({"sub": 5}, TOKEN_WITHOUT_IDENTITY),
        ({"exp": None}, TOKEN_REFUSED),
        ({"exp": "never"}, TOKEN_REFUSED),
        ({"iat": None}, TOKEN_REFUSED),
        ({"events": {}}, TOKEN_REFUSED),
        ({"exp": NOW}, TOKEN_EXPIRED),
        ({"iat": NOW + 5}, TOKEN_USED_EARLY),
        ({"nbf": NOW + 5}, TOKEN_NOT_VALID_YET),
    ],
)
def test_a_token_that_is_refused_for_what_it_says(claims: dict[str, Any], kind: Any) -> None:
    said = {"iss": ONE, "aud": "app", "iat": NOW - 5, "exp": NOW + 60, "sub": "eve", **claims}
    body = json.dumps({name: value for name, value in said.items() if value is not None})
    sent = PyJWS().encode(body.encode(), KEYS[ONE].private, "RS256", {"kid": "k"})
    refusal(checking(), sending(sent), kind)


@pytest.mark.parametrize("skew", ["issued_at", "not_before", "expires_at"])
def test_skews(skew: str) -> None:
    late = {"issued_at": {"iat": NOW + 5}, "not_before": {"nbf": NOW + 5}, "expires_at": {"exp": NOW - 4}}[skew]
    assert ask(checking(**{f"jwt_{skew}_validation_skew": 5}), sending(token(**late))) is None


def test_only_keys_of_the_token_s_own_issuer_count() -> None:
    """Both have a key of this name; one must not vouch for users of the other."""
    rule = checking(provider(), provider(OTHER, mobile="q"))
    assert holder(rule, token()).alias == "app:eve"
    assert holder(rule, token(OTHER, aud="mobile")).alias == "mobile:eve"
    refusal(rule, sending(KEYS[ONE].token("eve", iss=OTHER, aud="mobile", iat=NOW, exp=NOW + 60)), TOKEN_REFUSED)
    refusal(rule, sending(KEYS[OTHER].token("eve", iss=ONE, aud="app", iat=NOW, exp=NOW + 60)), TOKEN_REFUSED)
    refusal(rule, sending(token(OTHER)), TOKEN_NOT_FOR_THIS)
    refusal(rule, sending(KEYS[ONE].token("eve", iss="https://evil.example", aud="app", exp=NOW + 60)), TOKEN_REFUSED)


@pytest.mark.parametrize("middle", ["e30", "bm9uZQ", "W10", "eyJpc3MiOlsxXX0", "a"])
def test_a_token_that_names_no_issuer(middle: str) -> None:
    head = token().partition(".")[0]
    refusal(checking(provider(), provider(OTHER)), sending(f"{head}.{middle}.AA"), TOKEN_REFUSED)


def test_a_secret_is_never_taken() -> None:
    """Neither a client's secret, nor a public key that somebody takes for one."""
    for secret in ("app" * 20, KEYS[ONE].pem.replace("-----", "=====")):
        forged = sign(secret, "HS256", iss=ONE, aud="app", iat=NOW, exp=NOW + 60, headers={"kid": "k"})
        refusal(checking(), sending(forged), TOKEN_REFUSED)
    strange = SigningKey("RS256", "k").token("eve", iss=ONE, aud="app", iat=NOW, exp=NOW + 60)
    refusal(checking(), sending(strange), TOKEN_REFUSED)


# Whose they are.


def test_the_client_decides_on_the_policy() -> None:
    rule = checking()
    for claims, policy in (
        ({}, "p"), ({"aud": ["x", "web"]}, "q"), ({"aud": ["app", "web"]}, "p"), ({"aud": ["app", "web"], "azp": "web"}, "q"),
        ({"aud": "app", "azp": "app"}, "p"), ({"aud": "app", "azp": "web"}, "p"),
    ):  # fmt: skip
        request = sending(token(**claims))
        assert ask(rule, request) is None
        assert rule._checks._tokens.known
        made = next(reversed(rule._checks._tokens.known.values())).said.made
        assert made.policies == (policy,)


def test_the_same_user_of_two_clients() -> None:
    rule = checking()
    app, web, other = holder(rule, token()), holder(rule, token(aud="web")), holder(rule, token(sub="ann"))
    assert app.id == web.id != other.id and (app.alias, web.alias) == ("app:eve", "web:eve")
    apart = checking(**options(provider(), segregate_by_client=True))
    assert holder(apart, token()).id != holder(apart, token(aud="web")).id
    assert holder(apart, token()).id == holder(apart, token(iat=NOW - 1)).id


def test_users_of_two_providers_and_of_two_organisations() -> None:
    rule = checking(provider(), provider(OTHER, app="p"))
    assert holder(rule, token()).id != holder(rule, token(OTHER)).id
    assert holder(rule, token()).id != holder(checking(org_id="another"), token()).id


def test_a_policy_that_does_not_exist() -> None:
    told = refusal(checking(provider(app="gone")), sending(token()), TOKEN_WITHOUT_POLICY)
    assert told.kind.event == "AuthFailure"


@pytest.mark.parametrize(
    "more",
    [
        {"jwt_scope_to_policy_mapping": {"read": "q"}},
        {"scopes": {"oidc": {"scope_to_policy": {"read": "q"}}}, "jwt_scope_to_policy_mapping": {"read": "p"}},
    ],
)
def test_scopes_replace_the_policies_of_clients(more: dict[str, Any]) -> None:
    rule = checking(**more)
    assert holder(rule, token(scope="read other")).alias == "app:eve"
    assert next(iter(rule._checks._tokens.known.values())).said.made.policies == ("q",)
    for scope in (None, "other"):
        refusal(rule, sending(token(scope=scope)), TOKEN_SCOPE_WITHOUT_POLICY)


# What it costs.


def test_a_token_is_checked_once_and_keys_are_fetched_once() -> None:
    time, tokens = Time(NOW), Counted()
    sets = Provider(time)
    rule = checking(time=time, tokens=tokens, sets=sets)
    sent = token()
    for _ in range(3):
        assert ask(rule, sending(sent)) is None
    request = sending(sent)
    for _ in range(3):
        assert ask(rule, request) is None
    assert (tokens.checked, sets.asked) == (1, [f"{ONE}/.well-known/openid-configuration", f"{ONE}/keys"])


def test_a_provider_that_is_away() -> None:
    time = Time(NOW)
    sets = Provider(time)
    sets.away = True
    assert refusal(checking(time=time, sets=sets), sending(token()), KEY_SET_UNAVAILABLE).headers[0][0] == b"Retry-After"


def test_claims_that_the_definition_speaks_of_are_remembered() -> None:
    asked = sending(token(email="eve@one.example"))
    assert ask(checking(version={"global_headers": {"X-Mail": "$tyk_context.jwt_claims_email"}}), asked) is None
    assert asked.claims == {"email": "eve@one.example"}
