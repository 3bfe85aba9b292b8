"""Whether a caller brings the operator key."""

from __future__ import annotations

import pytest

from services.gateway.operator_key import given_in, is_operator_key


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
