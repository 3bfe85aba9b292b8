"""JSON Web Tokens: what is read of a definition, which tokens pass, whose they are, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from hmac import digest
from typing import Any

import pytest

from services.gateway.compiler import interpret, lint, parse
from services.gateway.definitions.reader import Mistakes
from services.gateway.keys.key_sets import KeySets
from services.gateway.keys.model import Key, Made, made_key
from services.gateway.keys.tokens import TokenVerifier, VerifyingKey
from services.gateway.middleware import jwt
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
    TOKENS_BUSY,
    Refusal,
)
from tests.support.log_lines import captured
from tests.support.token_issuer import SigningKey, sign
from tests.unit.gateway.exchanges import KnownKeys, Time, ask, built, document, exchange, mistakes, ports, refusal, spec

SECRET = "a secret of the tests, with as many bytes as the longest of its digests has: 64"
RSA, EC = SigningKey("RS256"), SigningKey("ES256")
NOW = 1_800_000_000
HMAC: dict[str, Any] = {"enable_jwt": True, "jwt_signing_method": "hmac", "jwt_source": SECRET, "jwt_default_policies": ["p"]}


class Counted(TokenVerifier[Any]):
    """checked: how many signatures were."""

    def __init__(self, **limits: int) -> None:
        super().__init__(**limits)
        self.checked = 0

    async def claims(self, token: str, algorithm: str, key: VerifyingKey, client: str) -> Mapping[str, Any] | None:
        self.checked += 1
        return await super().claims(token, algorithm, key, client)


def checking(
    *,
    keys: KnownKeys | None = None,
    time: Time | None = None,
    tokens: TokenVerifier[Any] | None = None,
    key_sets: KeySets | None = None,
    **more: Any,
) -> Any:
    outside = ports(keys or KnownKeys(policies=["p", "q"]), time=time or Time(NOW), tokens=tokens, key_sets=key_sets)
    return built(jwt, outside, **{**HMAC, **more})


def sending(token: str, scheme: str = "Bearer ", **more: Any) -> Any:
    return exchange(headers=[("Authorization", f"{scheme}{token}")], **more)


def hmac(sub: Any = "eve", **claims: Any) -> str:
    return sign(SECRET, "HS256", sub, **{"exp": NOW + 60, **claims})


def made(rule: Any, token: str) -> Key:
    request = sending(token)
    assert ask(rule, request) is None
    assert request.key is not None
    return request.key


def claims(token: str, **more: Any) -> Mapping[str, Any]:
    """The claims that later stages see, of a token that was checked now, and once more of one that is known."""
    rule = checking(**more)
    first, second = sending(token), sending(token)
    assert ask(rule, first) is None
    assert ask(rule, second) is None
    assert first.claims == second.claims
    return first.claims


# What is read.


def test_an_api_that_asks_for_no_token() -> None:
    assert spec(jwt) is None
    assert spec(jwt, jwt_signing_method="rsa", jwt_source="") is None
    assert spec(jwt, enable_jwt=True, use_keyless=True) is None


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"jwt_source": ""}, "/jwt_source"),
        ({"jwt_source": "  "}, "/jwt_source"),
        ({"jwt_source": RSA.pem}, "/jwt_source"),
        ({"jwt_source": "https://issuer.example/keys"}, "/jwt_source"),
        ({"jwt_signing_method": "", "jwt_source": SECRET}, "/jwt_signing_method"),
        ({"jwt_signing_method": "none"}, "/jwt_signing_method"),
        ({"jwt_signing_method": "rsa"}, "/jwt_source"),
        ({"jwt_signing_method": "rsa", "jwt_source": EC.pem}, "/jwt_source"),
        ({"jwt_signing_method": "ecdsa", "jwt_source": RSA.pem}, "/jwt_source"),
        ({"jwt_signing_method": "rsa", "jwt_source": RSA.private_pem}, "/jwt_source"),
        ({"jwt_signing_method": "rsa", "jwt_source": "https://"}, "/jwt_source"),
        ({"jwt_signing_method": "rsa", "jwt_source": "https://a:b/"}, "/jwt_source"),
        ({"jwt_signing_method": "rsa", "jwt_jwks_uris": [{"url": "ftp://a/"}]}, "/jwt_jwks_uris/0/url"),
        ({"jwt_client_base_field": "azp"}, "/jwt_client_base_field"),
        ({"jwt_scope_to_policy_mapping": {"a/b": 5}}, "/jwt_scope_to_policy_mapping/a~1b"),
        ({"jwt_expires_at_validation_skew": -1}, "/jwt_expires_at_validation_skew"),
        ({"jwt_default_policies": [5]}, "/jwt_default_policies/0"),
    ],
)
def test_what_is_a_mistake(more: dict[str, Any], place: str) -> None:
    assert mistakes(jwt, **{**HMAC, **more}) == [place]


def test_a_mistake_does_not_repeat_a_secret() -> None:
    for source in ("s3cr3t!", RSA.private_pem, "env://PATH"):
        with pytest.raises(Mistakes) as wrong:
            interpret(document(**{**HMAC, "jwt_signing_method": "rsa", "jwt_source": source}), {"PATH": "s3cr3t!"})
        assert "s3cr3t" not in str(wrong.value) and RSA.private_pem[40:60] not in str(wrong.value)


def test_a_secret_of_the_environment() -> None:
    for name in ("TYK_JWT", "UPSTREAM_JWT"):
        found = interpret(document(**{**HMAC, "jwt_source": f"env://{name}"}), {name: SECRET})
        assert lint(found) == []
        used = found.spec(jwt.Spec)
        assert used is not None and used.key is not None and used.key.material == SECRET.encode()
        assert SECRET not in json.dumps(found.raw)
    uris = {"jwt_source": "", "jwt_signing_method": "rsa", "jwt_jwks_uris": [{"url": "env://UPSTREAM_A/keys"}]}
    used = interpret(document(**{**HMAC, **uris}), {"UPSTREAM_A": "http://a:1/"}).spec(jwt.Spec)
    assert used is not None and used.urls == ("http://a:1/keys",)


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ({}, ["/jwt_source"]),
        ({"jwt_source": "short"}, ["/jwt_source", "/jwt_source"]),
        ({"jwt_signing_method": "rsa", "jwt_source": RSA.pem}, []),
        ({"jwt_signing_method": "rsa", "jwt_source": RSA.pem, "jwt_default_policies": []}, ["/jwt_default_policies"]),
        ({"jwt_signing_method": "rsa", "jwt_source": "http://issuer.example/keys"}, ["/jwt_source"]),
        ({"jwt_signing_method": "rsa", "jwt_source": "http://auth:8101/keys"}, []),
        ({"jwt_signing_method": "rsa", "jwt_jwks_uris": [{"url": "https://a.example/"}, {"url": "http://b.example/"}]}, ["/jwt_jwks_uris"]),
    ],
)
def test_what_is_warned_of(more: dict[str, Any], places: list[str]) -> None:
    assert [one.pointer for one in lint(parse(document(**{**HMAC, **more})))] == places


# Which tokens pass.


@pytest.mark.parametrize("source", [SECRET, base64.b64encode(SECRET.encode()).decode()])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", ""])
def test_a_secret(source: str, algorithm: str, scheme: str) -> None:
    request = sending(sign(SECRET, algorithm, exp=NOW + 60), scheme)
    assert ask(checking(jwt_source=source), request) is None
    assert request.key is not None
    assert (request.key.alias, request.presented_key, request.key.org_id) == ("eve", "eve", "default")
    assert request.key.id.startswith("jwt-")


@pytest.mark.parametrize(
    ("kind", "algorithm", "others"),
    [
        ("rsa", "RS256", ["ES256"]),
        ("rsa", "PS512", ["EdDSA"]),
        ("ecdsa", "ES256", ["RS256", "ES384"]),
        ("ecdsa", "ES384", ["ES256"]),
        ("ecdsa", "ES512", []),
        ("eddsa", "EdDSA", ["ES256"]),
    ],
)
@pytest.mark.parametrize("encoded", [False, True])
def test_a_public_key(kind: str, algorithm: str, others: list[str], encoded: bool) -> None:
    key = SigningKey(algorithm)
    source = base64.b64encode(key.pem.encode()).decode() if encoded else key.pem
    rule = checking(jwt_signing_method=kind, jwt_source=source)
    assert ask(rule, sending(key.token(exp=NOW + 60))) is None
    refusal(rule, sending(SigningKey(algorithm).token(exp=NOW + 60)), TOKEN_REFUSED)
    for other in others:
        refusal(rule, sending(SigningKey(other).token(exp=NOW + 60)), TOKEN_REFUSED)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_without_a_signature_or_with_the_public_key_for_a_secret() -> None:
    rule = checking(jwt_signing_method="rsa", jwt_source=RSA.pem)
    claims = {"sub": "eve", "exp": NOW + 60}
    refusal(rule, sending(f"{part({'alg': 'none'})}.{part(claims)}."), TOKEN_REFUSED)
    refusal(rule, sending(f"{part({'alg': 'none'})}.{part(claims)}.{part(b'x')}"), TOKEN_REFUSED)
    signed = f"{part({'alg': 'HS256'})}.{part(claims)}"
    forged = part(digest(RSA.pem.encode(), signed.encode(), "sha256"))
    refusal(rule, sending(f"{signed}.{forged}"), TOKEN_REFUSED)


@pytest.mark.parametrize(
    "token",
    [
        "zzz", "a.b", "a.b.c.d", "ü.b.c", "..", f"{part([])}.e30.AA", f"{part({'alg': 5})}.e30.AA", f"{part(b'[' * 5000)}.e30.AA",
        f"{part({'alg': 'HS256', 'crit': ['x']})}.e30.AA", f"{part({'alg': 'HS256', 'b64': False})}.e30.AA", "a" * 20_000,
        f"{part({'alg': 'ES256'})}.e30.AA",
    ],
)  # fmt: skip
def test_what_is_no_token_is_told_without_a_check(token: str) -> None:
    tokens = Counted()
    refusal(checking(tokens=tokens), sending(token), TOKEN_REFUSED)
    assert tokens.checked == 0


def test_nobody() -> None:
    told = refusal(checking(name="A"), exchange(), KEY_MISSING)
    assert told.headers == ((b"WWW-Authenticate", b'Bearer realm="A"'),)
    refusal(checking(), sending("", "Bearer"), KEY_MISSING)


@pytest.mark.parametrize(
    ("claims", "kind", "skew"),
    [
        ({"exp": NOW}, TOKEN_EXPIRED, "expires_at"),
        ({"exp": NOW - 4.5}, TOKEN_EXPIRED, "expires_at"),
        ({"iat": NOW + 5}, TOKEN_USED_EARLY, "issued_at"),
        ({"nbf": NOW + 5}, TOKEN_NOT_VALID_YET, "not_before"),
    ],
)
def test_times(claims: dict[str, Any], kind: Any, skew: str) -> None:
    told = refusal(checking(), sending(hmac(**claims)), kind)
    assert told.headers[0][0] == b"WWW-Authenticate"
    assert ask(checking(**{f"jwt_{skew}_validation_skew": 5}), sending(hmac(**claims))) is None
    for other in {"expires_at", "issued_at", "not_before"} - {skew}:
        refusal(checking(**{f"jwt_{other}_validation_skew": 5}), sending(hmac(**claims)), kind)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["1900000000", True, None, [], 1e999])
def test_a_time_that_is_none(name: str, value: Any) -> None:
    token = f"{part({'alg': 'HS256'})}.{part({'sub': 'eve', name: value})}"
    signature = part(digest(SECRET.encode(), token.encode(), "sha256"))
    refusal(checking(), sending(f"{token}.{signature}"), TOKEN_REFUSED)


def test_issuers_and_audiences() -> None:
    rule = checking(jwt_allowed_issuers=["i"], jwt_allowed_audiences=["a", "b"])
    for right in ({"iss": "i", "aud": "a"}, {"iss": "i", "aud": ["x", "b"]}):
        assert ask(rule, sending(hmac(**right))) is None
    for wrong in ({"iss": "i"}, {"aud": "a"}, {"iss": "j", "aud": "a"}, {"iss": "i", "aud": ["x"]}, {"iss": "i", "aud": {"a": 1}}):
        refusal(rule, sending(hmac(**wrong)), TOKEN_NOT_FOR_THIS)


# Whose they are.


def test_who_calls() -> None:
    rule = checking(jwt_identity_base_field="email", org_id="o")
    assert made(rule, hmac(email="e@x")) == made_key("o", "e@x", ["p"]).key(made_key("o", "e@x", ["p"]).session)
    assert made(rule, hmac("sue")).alias == "sue"
    for claims in ({"email": ""}, {"email": "x" * 2000}, {"email": "half of a letter: \ud800"}):
        refusal(rule, sending(hmac(**claims)), TOKEN_WITHOUT_IDENTITY)
    refusal(rule, sending(hmac(None, email=5)), TOKEN_WITHOUT_IDENTITY)


def test_the_same_one_has_the_same_counters() -> None:
    rule, other = checking(org_id="o"), checking(org_id="o", api_id="other", jwt_default_policies=["q"])
    keys = [made(rule, hmac()), made(rule, hmac(jti="2")), made(other, hmac())]
    assert len({(key.id, key.quota_counter) for key in keys}) == 1
    assert keys[0] is keys[1]
    assert len({keys[0].id, made(rule, hmac("eva")).id, made(checking(org_id="p"), hmac()).id}) == 3


@pytest.mark.parametrize(
    ("claims", "policies"),
    [
        ({}, ["p"]),
        ({"pol": "q"}, ["q"]),
        ({"pol": ["q", "p"]}, ["q", "p"]),
        ({"pol": ""}, ["p"]),
        ({"pol": []}, ["p"]),
        ({"scope": "read other"}, ["q"]),
        ({"scope": ["read"]}, ["q"]),
        ({"pol": "p", "scope": "read"}, ["p", "q"]),
        ({"pol": "q", "scope": "read"}, ["q"]),
        ({"pol": "q", "scope": "none"}, ["q"]),
        ({"scope": ""}, ["p"]),
    ],
)
def test_policies(claims: dict[str, Any], policies: list[str]) -> None:
    rule = checking(jwt_policy_field_name="pol", jwt_scope_to_policy_mapping={"read": "q"})
    assert made(rule, hmac(**claims)).session["apply_policies"] == policies


@pytest.mark.parametrize("name", ["https://a.example/scope", "realm.roles"])
def test_where_scopes_are(name: str) -> None:
    claims: dict[str, Any] = {name: "read"} if "/" in name else {"realm": {"roles": ["read"]}}
    for more in (
        {"jwt_scope_claim_name": name, "jwt_scope_to_policy_mapping": {"read": "q"}},
        {"scopes": {"jwt": {"scope_claim_name": name, "scope_to_policy": {"read": "q"}}}},
    ):
        assert made(checking(**more), hmac(**claims)).session["apply_policies"] == ["q"]


def test_tokens_without_a_policy() -> None:
    rule = checking(jwt_policy_field_name="pol", jwt_scope_to_policy_mapping={"read": "q"})
    refusal(rule, sending(hmac(scope="write")), TOKEN_SCOPE_WITHOUT_POLICY)
    refusal(rule, sending(hmac(pol=5)), TOKEN_WITHOUT_POLICY)
    refusal(checking(jwt_default_policies=[]), sending(hmac()), TOKEN_WITHOUT_POLICY)
    with captured() as lines:
        for _ in range(3):
            refusal(rule, sending(hmac(pol="gone")), TOKEN_WITHOUT_POLICY)
    assert [line["policies"] for line in lines if line["level"] == "warning"] == [["gone"]]


class Nobody(KnownKeys):
    """Keys that must not be asked for."""

    def find_made(self, made: Made) -> Key | None:
        raise AssertionError(made.policies)


@pytest.mark.parametrize("policy", ["a\0b", "a\ud800b"])
def test_no_database_is_asked_for_what_cannot_be_a_policy(policy: str) -> None:
    rule = checking(keys=Nobody(), jwt_policy_field_name="pol")
    for claim in (policy, ["p", policy]):
        refusal(rule, sending(hmac(pol=claim)), TOKEN_WITHOUT_POLICY)


def test_a_key_that_is_found_later() -> None:
    assert made(checking(keys=KnownKeys(later=True, policies=["p"])), hmac()).alias == "eve"


def test_a_second_way() -> None:
    rule = checking(use_standard_auth=True)
    request = sending(hmac())
    ask(rule, request)
    assert request.key is None and [key.alias for key in request.further_keys] == ["eve"]


def test_the_upstream_does_not_see_what_is_stripped() -> None:
    request = sending(hmac())
    ask(checking(strip_auth_data=True), request)
    assert request.drop_headers == {b"authorization"}


# What is remembered.


def test_a_token_is_checked_once_until_it_ends() -> None:
    tokens, time = Counted(), Time(NOW)
    rule = checking(tokens=tokens, time=time)
    token = hmac()
    for _ in range(3):
        assert ask(rule, sending(token)) is None
    request = sending(token)
    for _ in range(3):
        assert ask(rule, request) is None
    assert tokens.checked == 1
    time.now += 61
    refusal(rule, request, TOKEN_EXPIRED)
    refusal(rule, sending(token), TOKEN_EXPIRED)
    assert tokens.checked == 1


def test_a_forged_token_is_checked_once_a_second() -> None:
    tokens, time = Counted(), Time(NOW)
    rule = checking(tokens=tokens, time=time)
    forged = sign(SECRET + "!", "HS256", exp=NOW + 60)
    for _ in range(3):
        told = refusal(rule, sending(forged), TOKEN_REFUSED)
        assert "eyJ" not in str(told.detail)
    assert tokens.checked == 1
    time.now += 1.5
    refusal(rule, sending(forged), TOKEN_REFUSED)
    assert tokens.checked == 2


def test_all_who_send_a_new_token_share_one_check() -> None:
    tokens = Counted()
    rule = checking(tokens=tokens)

    async def many() -> None:
        requests = [sending(hmac()) for _ in range(50)]
        await asyncio.gather(*[rule.on_request(request) for request in requests])
        assert {request.key.alias for request in requests if request.key is not None} == {"eve"}

    asyncio.run(many())
    assert tokens.checked == 1


def test_another_api_does_not_know_a_token_that_one_remembers() -> None:
    tokens = Counted()
    assert ask(checking(tokens=tokens), sending(hmac())) is None
    refusal(checking(tokens=tokens, jwt_source=SECRET[::-1]), sending(hmac()), TOKEN_REFUSED)
    assert tokens.checked == 2


def test_what_is_remembered_is_bounded() -> None:
    tokens = Counted(capacity=10)
    rule = checking(tokens=tokens)
    for n in range(25):
        assert ask(rule, sending(hmac(jti=str(n)))) is None
    assert len(tokens.known) == 10


def test_a_flood_of_new_tokens_is_turned_away() -> None:
    rule = checking(tokens=TokenVerifier(3, 2))

    async def flood() -> list[Any]:
        requests = [sending(hmac(jti=str(n)), client=f"192.0.2.{n // 3}") for n in range(9)]
        return await asyncio.gather(*[rule.on_request(request) for request in requests], return_exceptions=True)

    outcomes = asyncio.run(flood())
    refused = [one for one in outcomes if isinstance(one, Refusal)]
    assert {one.kind for one in refused} == {TOKENS_BUSY} and len(refused) == 6
    assert all(one.headers == ((b"Retry-After", b"1"),) for one in refused)
    assert isinstance(outcomes[2], Refusal), "the third of one client, with room for another"


def test_a_token_in_a_query_counts_for_its_own_request() -> None:
    """The fields of two requests may be the same, and their queries not."""
    rule = checking(auth={"use_param": True, "param_name": "t"})
    right, wrong = exchange(target=f"/api/?t={hmac()}"), exchange(target="/api/?t=zzz")
    wrong.section = right.section
    assert ask(rule, right) is None
    refusal(rule, wrong, TOKEN_REFUSED)


# Sets of keys.


class Sets(KeySets):
    """Sets by URL. fetched: the URLs that were asked for."""

    def __init__(self, time: Time, **sets: list[SigningKey] | None) -> None:
        super().__init__(self.answer, time)
        self.sets = sets
        self.fetched: list[str] = []

    def answer(self, url: str) -> bytes:
        self.fetched.append(url)
        keys = self.sets[url.rpartition("/")[2]]
        if keys is None:
            raise OSError("refused")
        return json.dumps({"keys": [key.jwk for key in keys]}).encode()


def test_the_first_set_that_has_the_key() -> None:
    one, other = SigningKey("ES256", "1"), SigningKey("ES256", "2")
    time = Time(NOW)
    sets = Sets(time, a=None, b=[one], c=[other])
    uris = [{"url": f"http://issuer/{name}"} for name in "abc"]
    rule = checking(jwt_source="", jwt_signing_method="ecdsa", jwt_jwks_uris=uris, time=time, key_sets=sets)
    for key in (one, other):
        assert ask(rule, sending(key.token(exp=NOW + 60))) is None
    strange = sending(SigningKey("ES256", "3").token(exp=NOW + 60))
    assert refusal(rule, strange, KEY_SET_UNAVAILABLE).headers[0][0] == b"Retry-After"
    sets.sets["a"] = []
    refusal(checking(jwt_signing_method="hmac", key_sets=sets), sending(one.token(exp=NOW + 60)), TOKEN_REFUSED)


def test_a_remembered_token_ends_with_its_key() -> None:
    """Also when every request repeats its head, and nothing else is asked of the set."""
    one, other, time = SigningKey("ES256", "1"), SigningKey("ES256", "2"), Time(NOW)
    sets, tokens = Sets(time, a=[one]), Counted()
    rule = checking(jwt_source="http://issuer/a", jwt_signing_method="ecdsa", time=time, key_sets=sets, tokens=tokens)
    request = sending(one.token(exp=NOW + 100_000))

    async def again() -> None:
        answer = rule.on_request(request)
        if answer is not None:
            await answer

    async def scenario() -> None:
        await again()
        await again()
        sets.sets["a"] = [one, other]
        time.now += 241
        await again()
        await rule._sets[0]._fetching
        await again()
        assert (tokens.checked, len(sets.fetched)) == (1, 2)
        sets.sets["a"] = [other]
        time.now += 241
        await again()
        await rule._sets[0]._fetching
        with pytest.raises(Refusal) as told:
            await again()
        assert told.value.kind is TOKEN_REFUSED

    asyncio.run(scenario())


# What later stages see.


def test_only_claims_that_the_definition_speaks_of_are_remembered() -> None:
    token = hmac(role=["a"], other="x")
    assert claims(token) == {}
    spoken = {"global_headers": {"X-Role": "by $tyk_context.jwt_claims_role.", "X-Absent": "$tyk_context.jwt_claims_absent"}}
    assert claims(token, version=spoken) == {"role": ["a"]}
    triggers = [{"options": {"request_context_matches": {"jwt_claims_other": {"match_rx": "x"}}}, "rewrite_to": "/"}]
    rewrites = {"url_rewrites": [{"path": "/", "match_pattern": ".", "rewrite_to": "/", "triggers": triggers}]}
    assert claims(token, version={"use_extended_paths": True, "extended_paths": rewrites}) == {"other": "x"}


def test_templates_may_see_all_claims() -> None:
    template = {"path": "/", "template_data": {"template_source": base64.b64encode(b"{{._tyk_context}}").decode()}}
    version = {"use_extended_paths": True, "extended_paths": {"transform": [template]}}
    assert claims(hmac(), version=version) == {}
    assert claims(hmac(a=1), version=version, enable_context_vars=True) == {"sub": "eve", "exp": NOW + 60, "a": 1}
