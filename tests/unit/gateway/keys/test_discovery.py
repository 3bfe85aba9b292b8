"""Where the keys of an OpenID provider are: what its configuration may say."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.gateway.keys.discovery import discovered
from services.gateway.keys.key_sets import COOL_DOWN_S, FRESH_S, KeySets, fetch_key_set
from services.gateway.refusals import KEY_SET_UNAVAILABLE, Refusal
from tests.support.log_lines import captured
from tests.support.token_issuer import Issuer, SigningKey
from tests.unit.gateway.exchanges import Time

ISSUER, KEYS = "https://issuer.example/realm", "https://keys.example/set"


def fetching(issuer: str, configuration: Any, place: str = "") -> str:
    """The URL of the keys that are fetched."""
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"the keys" if len(asked) == 2 else configuration if isinstance(configuration, bytes) else json.dumps(configuration).encode()

    assert discovered(fetch)(issuer) == b"the keys"
    assert asked[0] == (place or f"{issuer}/.well-known/openid-configuration")
    return asked[1]


def test_the_keys_of_an_issuer() -> None:
    assert fetching(ISSUER, {"issuer": ISSUER, "jwks_uri": KEYS}) == KEYS
    place = "https://issuer.example/.well-known/openid-configuration"
    assert fetching("https://issuer.example/", {"issuer": "https://issuer.example/", "jwks_uri": KEYS}, place) == KEYS
    for keys in ("http://auth:8101/keys", "http://auth:9/keys", KEYS):
        assert fetching("http://auth:8101", {"issuer": "http://auth:8101", "jwks_uri": keys}) == keys


WRONG_PLACES = (
    "http://issuer.example/keys", "file:///etc/passwd", "/keys", "https://", "", "https://a:b/", "https://a:0/", "https://ü.example/",
    "https://a/\r\nb", "https://a/ b", 5,
)  # fmt: skip


@pytest.mark.parametrize(
    "configuration",
    [
        b"<html>", b"\xff", b"[" * 100_000, [], {"jwks_uri": KEYS}, {"issuer": ISSUER},
        *({"issuer": other, "jwks_uri": KEYS} for other in (ISSUER + "/", "https://evil.example", [ISSUER])),
        *({"issuer": ISSUER, "jwks_uri": wrong} for wrong in WRONG_PLACES),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_used(configuration: Any) -> None:
    with pytest.raises(ValueError, match="configuration"):
        fetching(ISSUER, configuration)


def test_keys_of_an_http_issuer_do_not_come_from_elsewhere_unencrypted() -> None:
    with pytest.raises(ValueError, match="jwks_uri"):
        fetching("http://auth:8101", {"issuer": "http://auth:8101", "jwks_uri": "http://other:8101/keys"})


def test_a_provider_that_moves_its_keys() -> None:
    """The configuration is read again with the keys; what is known stays in use while that fails."""
    one, two = SigningKey("ES256", "one"), SigningKey("ES256", "two")
    provider, clock = Issuer(one), Time()

    async def scenario() -> None:
        sets = KeySets(fetch_key_set(lambda: None), clock)  # type: ignore[arg-type, return-value]
        own = sets.of_issuer(provider.issuer)
        assert sets.of_issuer(provider.issuer) is own is not sets.of(provider.issuer)
        assert own.known("one", "ES256") is None and (provider.told, provider.fetched) == (0, 0)
        await asyncio.gather(*[own.ask() for _ in range(9)])
        first = own.known("one", "ES256")
        assert first is not None and (provider.told, provider.fetched) == (1, 1)
        provider.configuration, kept = {"issuer": "https://evil.example", "jwks_uri": provider.url}, provider.configuration
        clock.now += FRESH_S + 1
        with captured() as lines:
            await own.ask()
        assert own.known("one", "ES256") is first and not first.gone
        assert [(line["event"], line["url"]) for line in lines if line["level"] == "warning"] == [("key set not fetched", provider.issuer)]
        provider.configuration = {**kept, "jwks_uri": f"{provider.url}/moved"}
        provider.keys = [two]
        clock.now += COOL_DOWN_S + 1
        await own.ask()
        assert own.known("two", "ES256") is not None and first.gone

    try:
        asyncio.run(scenario())
    finally:
        provider.close()


def test_a_provider_that_is_away() -> None:
    async def scenario() -> None:
        own = KeySets(fetch_key_set(lambda: None), Time()).of_issuer("http://127.0.0.1:9")  # type: ignore[arg-type, return-value]
        with pytest.raises(Refusal) as told:
            await own.ask()
        assert told.value.kind is KEY_SET_UNAVAILABLE

    asyncio.run(scenario())
