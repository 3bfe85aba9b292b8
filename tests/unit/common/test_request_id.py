"""Which ids of a caller are taken over."""

from __future__ import annotations

import pytest

from services.common import request_id


@pytest.mark.parametrize(
    "offered", ["0f8b6c1e5a7d4e0f", "Root=1-67891233-abcdef012345678912345678", "dev/1+2==", "a:b@c~d", "x" * 128], ids=lambda id: id[:8]
)
def test_an_id_that_is_short_and_harmless_is_taken_over(offered: str) -> None:
    assert request_id.accept(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "a b", 'a"b', "a\n", "ü", "x" * 129])
def test_any_other_is_replaced(offered: str | None) -> None:
    given = request_id.accept(offered)
    assert given != offered
    assert len(given) == 16
