"""JSON Web Tokens through a running gateway: each kind of key, sets of keys that change, and limits of those whom tokens name."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import ROOT
from tests.support.processes import running as running_service
from tests.support.raw_client import Answer, RawClient
from tests.support.stores import Valkey
from tests.support.token_issuer import Issuer, SigningKey, sign
from tests.support.waiting import wait_until

SECRET = "a secret of the tests, with as many bytes as the longest of its digests has: 64"
OLD, NEW = SigningKey("RS256", "old"), SigningKey("ES256", "new")
PEM = SigningKey("PS256")


def api(name: str, upstream: OddUpstream, kind: str, source: str, **more: Any) -> dict[str, Any]:
    fields = {"enable_jwt": True, "jwt_signing_method": kind, "jwt_source": source, "jwt_default_policies": ["plain"], **more}
    return definition(name, f"{upstream.url}/", use_keyless=False, **fields)


def policy(running: Gateway, id: str, *apis: str, **more: Any) -> None:
    body = {"id": id, "name": id, "access_rights": {name: {"versions": ["Default"]} for name in apis}, **more}
    status, answer = running.operator("POST", "/tyk/policies", body)
    assert status == 200, answer


def get(running: Gateway, path: str, token: str) -> Answer:
    with RawClient(running.port) as client:
        return client.get(path, f"Authorization: Bearer {token}".encode())


def said(answer: Answer) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status, body["error"], body["code"]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    serving = Issuer(OLD)
    yield serving
    serving.close()


@pytest.fixture(scope="module")
def running(odd_upstream: OddUpstream, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    definitions = [
        api("secret", odd_upstream, "hmac", "env://TYK_SECRET_OF_TOKENS", jwt_policy_field_name="pol"),
        api("pem", odd_upstream, "rsa", base64.b64encode(PEM.pem.encode()).decode(), strip_auth_data=True),
        api("set", odd_upstream, "rsa", issuer.url),
        api(
            "claims",
            odd_upstream,
            "hmac",
            SECRET,
            version={"global_headers": {"X-Sub": "$tyk_context.jwt_claims_sub", "X-Roles": "$tyk_context.jwt_claims_roles"}},
        ),
        api("turning", odd_upstream, "ecdsa", f"{issuer.url}?turning"),
        api("away", odd_upstream, "rsa", "http://127.0.0.1:9/keys"),
    ]
    with gateway(tmp_path_factory.mktemp("jwt"), definitions, {"TYK_SECRET_OF_TOKENS": SECRET}) as house:
        policy(house, "plain", "secret", "pem", "set", "claims", "turning", "away")
        policy(house, "twice", "secret", quota_max=2, quota_renewal_rate=3600)
        yield house


def test_a_token_signed_by_a_secret(running: Gateway) -> None:
    now = int(time.time())
    assert get(running, "/secret/a", sign(SECRET, "HS256")).status == 200
    with RawClient(running.port) as client:
        missing = client.get("/secret/a")
    assert (said(missing), missing.field("www-authenticate")) == (
        (401, "Authorization field missing", "key-missing"),
        'Bearer realm="secret"',
    )
    for wrong in (sign(SECRET + "!", "HS256"), sign(SECRET, "HS256")[:-4], OLD.token(), "zzz"):
        assert said(get(running, "/secret/a", wrong)) == (403, "Key not authorized", "token-refused")
    ended = said(get(running, "/secret/a", sign(SECRET, "HS512", exp=now - 5)))
    assert ended == (401, "Key not authorized: token has expired", "token-expired")
    early = said(get(running, "/secret/a", sign(SECRET, "HS256", nbf=now + 600)))
    assert early == (401, "Key not authorized: token is not valid yet", "token-not-valid-yet")
    nobody = said(get(running, "/secret/a", sign(SECRET, "HS256", None)))
    assert nobody == (403, "no suitable claims for user ID were found", "token-without-identity")
    other = said(get(running, "/secret/a", sign(SECRET, "HS256", pol="other")))
    assert other == (403, "key not authorized: no matching policy found", "token-without-policy")
    assert SECRET not in running.process.text()


def test_a_policy_counts_for_all_tokens_of_one_name_and_changes_at_once(running: Gateway) -> None:
    answers = [get(running, "/secret/a", sign(SECRET, "HS256", "ann", pol="twice", jti=str(n))).status for n in range(4)]
    assert answers == [200, 200, 403, 403]
    token = sign(SECRET, "HS256", "bob", pol="changing")
    assert get(running, "/secret/a", token).status == 403
    policy(running, "changing", "secret")
    assert get(running, "/secret/a", token).status == 200
    running.operator("PUT", "/tyk/policies/changing", {"name": "c", "access_rights": {"pem": {"versions": ["Default"]}}})
    assert said(get(running, "/secret/a", token))[2] == "access-denied"
    running.operator("DELETE", "/tyk/policies/changing")
    assert said(get(running, "/secret/a", token))[2] == "token-without-policy"


def test_a_public_key_in_the_definition(running: Gateway, odd_upstream: OddUpstream) -> None:
    assert get(running, "/pem/pem-token", PEM.token()).status == 200
    assert "authorization" not in {name.lower() for name, _ in odd_upstream.requests("/pem-token")[-1].fields}
    forged = sign(PEM.pem.encode().hex(), "HS256")
    assert said(get(running, "/pem/a", forged)) == (403, "Key not authorized", "token-refused")


def test_the_upstream_gets_claims(running: Gateway, odd_upstream: OddUpstream) -> None:
    for sub, roles in (("eve\r\nX-Admin: 1", ["a", "b,c"]), ("ann", None)):
        token = sign(SECRET, "HS256", sub, **({"roles": roles} if roles else {}))
        for _ in range(2):  # the second time it is known
            assert get(running, "/claims/of-token", token).status == 200
            found = {name.lower(): value for name, value in odd_upstream.requests("/of-token")[-1].fields if name.lower().startswith("x-")}
            assert found["x-sub"] == sub.replace("\r\n", "")
            assert found["x-roles"] == ("a,b%2Cc" if roles else "")
            assert "x-admin" not in found


def test_a_set_of_keys(running: Gateway, issuer: Issuer) -> None:
    token = OLD.token()
    assert [get(running, "/set/a", token).status for _ in range(5)] == [200] * 5
    assert get(running, "/set/a", OLD.token("ann")).status == 200
    assert issuer.fetched == 1
    assert said(get(running, "/set/a", SigningKey("RS256", "strange").token())) == (403, "Key not authorized", "token-refused")


def test_a_set_that_cannot_be_fetched(running: Gateway) -> None:
    answer = get(running, "/away/a", OLD.token())
    assert said(answer) == (503, "The token cannot be checked now", "key-set-unavailable")
    assert answer.field("retry-after")


def test_keys_of_a_set_come_and_go(running: Gateway, odd_upstream: OddUpstream) -> None:
    """A token of a new key makes the gateway look again, ten seconds after the last time at the earliest."""
    first, second = SigningKey("ES256", "first"), SigningKey("ES384", "second")
    turning = Issuer(first)
    try:
        status, _ = running.operator("PUT", "/tyk/apis/turning", api("turning", odd_upstream, "ecdsa", turning.url))
        assert status == 200
        old, new = first.token(), second.token()
        assert get(running, "/turning/a", old).status == 200
        turning.keys = [second]
        assert get(running, "/turning/a", old).status == 200
        wait_until(lambda: get(running, "/turning/a", new).status == 200, 30, "the new key", pause=0.2)
        assert said(get(running, "/turning/a", old)) == (403, "Key not authorized", "token-refused")
        assert turning.fetched == 2
    finally:
        turning.close()


def test_a_quota_is_exact_over_workers(odd_upstream: OddUpstream, tmp_path: Path, valkey: Valkey) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with gateway(tmp_path, [api("shared", odd_upstream, "hmac", SECRET, jwt_default_policies=["ten"])], env) as house:
        policy(house, "ten", "shared", quota_max=10, quota_renewal_rate=3600)
        for name in ("ann", "bob"):
            answers = [get(house, "/shared/a", sign(SECRET, "HS256", name, jti=str(n))).status for n in range(30)]
            assert sorted(answers) == [200] * 10 + [403] * 20


def test_a_token_of_the_house(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """The example as it is delivered, with its policy, and tokens that auth signs."""
    deployed = json.loads((ROOT / "deploy/apis/example-jwt.json").read_text())
    policies = shutil.copy(ROOT / "deploy/policies.json", tmp_path)
    env = {
        "AUTH_DATABASE_URL": f"sqlite:///{tmp_path}/auth.db",
        "AUTH_DATA": str(tmp_path / "auth"),
        "AUTH_ADMIN_PASSWORD": "a password of the tests",
        "AUTH_ARGON2_MEMORY_KIB": "8192",
        "AUTH_ARGON2_PASSES": "1",
    }
    with running_service("auth", env, tmp_path) as (auth, _):
        login = {"email": "admin@gatehouse.local", "password": env["AUTH_ADMIN_PASSWORD"]}
        token = requests.post(f"{auth}/login", json=login, timeout=20).json()["access_token"]
        more = {"UPSTREAM_AUTH": auth, "UPSTREAM_TOKENS": odd_upstream.url, "GATEWAY_POLICIES": str(policies)}
        with gateway(tmp_path, [deployed], more) as house:
            assert get(house, "/example/jwt/a", token).status == 200
            answer = get(house, "/example/jwt/a", token)
            assert answer.field("ratelimit-policy") and "30" in (answer.field("ratelimit-policy") or ""), answer.fields
            assert said(get(house, "/example/jwt/a", token[:-2]))[2] == "token-refused"
            assert "refused" not in house.process.text()
