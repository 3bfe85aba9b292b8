"""The check of the house's JWTs; what it has in common with its users is tested with them, in auth and in `test_client.py`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from services.common.identity import house_jwt

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
PRIVATE = ed25519.Ed25519PrivateKey.generate()
PUBLIC = jwt.PyJWK({**OKPAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True), "alg": "EdDSA"})


def token(**changes: Any) -> str:
    now = int(NOW.timestamp())
    claims = {"iss": "house", "aud": "gatehouse", "sub": "admin", "iat": now, "exp": now + 600, "jti": "j", **changes}
    return jwt.encode(claims, PRIVATE, "EdDSA", headers={"kid": "k1", "typ": "JWT"})


def read(text: str) -> house_jwt.Read:
    return house_jwt.read(text, {"k1": PUBLIC}.get, issuer="house", audience="gatehouse", now=NOW)


def test_what_it_says() -> None:
    found = read(token())
    assert (found.claims["sub"], found.kind, found.kid) == ("admin", "JWT", "k1")


def test_a_token_without_end_has_the_last_moment_that_counts() -> None:
    never = int(house_jwt.NEVER.timestamp())
    assert read(token(exp=never)).claims["exp"] == never


@pytest.mark.parametrize("end", [-1, int(house_jwt.NEVER.timestamp()) + 1, float("nan"), float("inf"), 10**400, "soon", None])
def test_an_end_that_is_not_a_moment_is_invalid(end: Any) -> None:
    with pytest.raises(house_jwt.Invalid) as refused:
        read(token(exp=end))
    assert type(refused.value) is house_jwt.Invalid


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"exp": int(NOW.timestamp()) - 30}, house_jwt.Expired),
        ({"nbf": int(NOW.timestamp()) + 31}, house_jwt.NotYetActive),
        ({"iat": int(NOW.timestamp()) + 31}, house_jwt.NotYetActive),
    ],
)
def test_clocks_may_differ_by_thirty_seconds(changes: dict[str, int], kind: type[house_jwt.Invalid]) -> None:
    with pytest.raises(kind):
        read(token(**changes))
    assert read(token(**{name: value + (1 if name == "exp" else -1) for name, value in changes.items()}))


def test_what_the_search_for_a_key_raises_is_raised() -> None:
    def away(kid: str) -> jwt.PyJWK:
        raise LookupError(kid)

    with pytest.raises(LookupError, match="k1"):
        house_jwt.read(token(), away, issuer="house", audience="gatehouse", now=NOW)
