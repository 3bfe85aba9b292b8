"""Uses of credentials are written behind, and not lost while the store is away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.common.last_used import LastUsed

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


class Store:
    """Plays a database that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.written: list[Mapping[str, dt.datetime]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def run(self, work: Callable[[Any], None]) -> None:
        self.meanwhile()
        if self.away:
            raise OperationalError("", {}, Exception())
        work(None)


def test_what_was_noted_is_written_once() -> None:
    store = Store()
    used = LastUsed(store, lambda _, moments: store.written.append(moments))  # type: ignore[arg-type]
    used.note("a", NOON - dt.timedelta(minutes=1))
    used.note("a", NOON)
    used.note("b", NOON)
    for _ in range(2):
        used.flush()
    assert store.written == [{"a": NOON, "b": NOON}]


def test_what_cannot_be_written_is_kept_and_later_uses_count() -> None:
    store = Store()
    used = LastUsed(store, lambda _, moments: store.written.append(moments))  # type: ignore[arg-type]
    used.note("a", NOON)
    used.note("b", NOON)
    store.away, store.meanwhile = True, lambda: used.note("a", NOON + dt.timedelta(minutes=1))
    with pytest.raises(OperationalError):
        used.flush()
    store.away, store.meanwhile = False, lambda: None
    used.flush()
    assert store.written == [{"a": NOON + dt.timedelta(minutes=1), "b": NOON}]
