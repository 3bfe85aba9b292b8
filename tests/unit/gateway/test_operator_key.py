"""Whether a caller brings the operator key."""

from __future__ import annotations

import hashlib

import pytest

from services.common import logging as logs
from services.gateway.operator_key import access_key_hash, given_in, is_operator_key, new_access_key


@pytest.mark.parametrize(
    ("authorization", "key"),
    [(b"the-key", b"the-key"), (b"Bearer the-key", b"the-key"), (b"BEARER  the-key ", b"the-key"), (b"Bearer", b"Bearer"), (b"", b"")],
)
def test_with_or_without_bearer(authorization: bytes, key: bytes) -> None:
    assert given_in(authorization) == key


def test_only_the_key_is_the_key() -> None:
    assert is_operator_key(b"the-key", "the-key")
    assert is_operator_key("schlüssel".encode(), "schlüssel")
    assert not is_operator_key(b"the-ke", "the-key")
    assert not is_operator_key(b"", "the-key")
    assert not is_operator_key(b"", ""), "an empty key is nobody's"


def test_an_access_key_is_told_by_its_form() -> None:
    key = new_access_key()
    assert access_key_hash(key.encode()) == hashlib.sha256(key.encode()).hexdigest()
    assert len({new_access_key() for _ in range(100)}) == 100
    for wrong in (key[:-1], key + "0", key.replace("ope", "acc"), key[:20] + ("1" if key[20] == "0" else "0") + key[21:], "", "\xff"):
        assert access_key_hash(wrong.encode("latin-1")) is None
    assert access_key_hash(key.encode() + b"\n") is None


def test_logs_mask_an_access_key() -> None:
    assert logs.mask_secrets(f"/api/users/{new_access_key()}") == "/api/users/gh_ope_***"
