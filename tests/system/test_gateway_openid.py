"""OpenID Connect through a running gateway: a provider that is found by its issuer, and its clients' policies."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import Answer, RawClient
from tests.support.token_issuer import Issuer, SigningKey

KEY = SigningKey("RS256", "key")


def api(name: str, upstream: OddUpstream, issuer: str) -> dict[str, Any]:
    clients = {base64.b64encode(id.encode()).decode(): policy for id, policy in (("app", "plain"), ("trial", "twice"))}
    found = {"use_openid": True, "openid_options": {"providers": [{"issuer": issuer, "client_ids": clients}]}}
    return definition(name, f"{upstream.url}/", use_keyless=False, strip_auth_data=True, **found)


def get(running: Gateway, path: str, token: str) -> Answer:
    with RawClient(running.port) as client:
        return client.get(path, f"Authorization: Bearer {token}".encode())


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Issuer]:
    serving = Issuer(KEY)
    yield serving
    serving.close()


@pytest.fixture(scope="module")
def running(odd_upstream: OddUpstream, provider: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    definitions = [api("people", odd_upstream, provider.issuer), api("away", odd_upstream, "http://127.0.0.1:9")]
    with gateway(tmp_path_factory.mktemp("openid"), definitions) as house:
        for id, more in (("plain", {}), ("twice", {"quota_max": 2, "quota_renewal_rate": 3600})):
            body = {"id": id, "name": id, "access_rights": {"people": {"versions": ["Default"]}}, **more}
            status, answer = house.operator("POST", "/tyk/policies", body)
            assert status == 200, answer
        yield house


def test_the_users_of_a_provider(running: Gateway, provider: Issuer, odd_upstream: OddUpstream) -> None:
    def token(sub: str = "eve", **claims: Any) -> str:
        return KEY.token(sub, **{"iss": provider.issuer, "aud": "app", "iat": int(time.time()) - 5, **claims})

    assert [get(running, "/people/seen", token()).status for _ in range(3)] == [200] * 3
    assert "authorization" not in {name.lower() for name, _ in odd_upstream.requests("/seen")[-1].fields}
    assert [get(running, "/people/a", token("ann", aud="trial", jti=str(n))).status for n in range(4)] == [200, 200, 403, 403]
    assert (provider.told, provider.fetched) == (1, 1)
    with RawClient(running.port) as client:
        assert code(client.get("/people/a")) == (401, "key-missing")
    assert code(get(running, "/people/a", token(aud="other"))) == (403, "token-not-for-this-api")
    assert code(get(running, "/people/a", token(iss="http://evil.example"))) == (403, "token-not-for-this-api")
    assert code(get(running, "/people/a", token(exp=int(time.time()) - 5))) == (401, "token-expired")
    assert code(get(running, "/people/a", token()[:-4])) == (403, "token-refused")
    assert code(get(running, "/away/a", token())) == (503, "key-set-unavailable")
