"""Merging: the right records in the right order, and none read without need."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from services.devices.data.rules.cursors import LAST_SEQ, Place
from services.devices.data.rules.merging import Merge, Row

STORED = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 30)), max_size=200)


class Store:
    """Records by variable; counts what is read."""

    def __init__(self, stored: list[tuple[int, int]], ascending: bool) -> None:
        self.rows = [Row(variable, time, seq, 1.0, None, None, "g", None, None, 0) for seq, (variable, time) in enumerate(stored)]
        self.ascending = ascending
        self.read_rows = self.calls = 0

    def read(self, places: Mapping[int, Place], count: int) -> Mapping[int, list[Row]]:
        found = {number: self.after(number, place)[:count] for number, place in places.items()}
        self.read_rows += sum(map(len, found.values()))
        self.calls += 1
        return found

    def after(self, number: int, place: Place) -> list[Row]:
        some = [row for row in self.rows if row.variable_no == number and self.is_after((row.time, row.seq), place)]
        return sorted(some, key=lambda row: (row.time, row.seq), reverse=not self.ascending)

    def is_after(self, one: Place, other: Place) -> bool:
        return one > other if self.ascending else one < other

    @property
    def starts(self) -> dict[int, Place]:
        return dict.fromkeys(range(1, 7), (-1, -1) if self.ascending else (99, LAST_SEQ))


@given(STORED, st.booleans(), st.none() | st.integers(1, 40), st.integers(1, 120), st.integers(0, 50), st.integers(1, 60))
def test_merging(stored: list[tuple[int, int]], ascending: bool, each: int | None, total: int, skip: int, at_once: int) -> None:
    store = Store(stored, ascending)
    skip = 0 if each is not None else skip
    merge = Merge(store.read, store.starts, each=each, total=total, skip=skip, ascending=ascending, at_once=at_once)
    found = [row for some in merge.rows() for row in some]
    passing = [row for number, place in store.starts.items() for row in store.after(number, place)[:each]]
    passing.sort(key=lambda row: (row.time, row.seq), reverse=not ascending)
    assert found == passing[skip : skip + total]
    assert merge.limited is (len(passing) > skip + total)
    if not skip:
        rest = merge.rest()
        left = [row for number, place in rest.items() for row in store.after(number, place)]
        everything = [row for number, place in store.starts.items() for row in store.after(number, place)]
        if each is not None or merge.limited:
            assert sorted(found + left) == sorted(everything), "what is left is exactly what was not given out"


@given(STORED, st.booleans(), st.none() | st.integers(1, 40), st.integers(1, 60), st.integers(1, 4))
def test_a_list_that_is_stopped_goes_on_later(
    stored: list[tuple[int, int]], ascending: bool, each: int | None, at_once: int, parts: int
) -> None:
    store = Store(stored, ascending)
    merge = Merge(store.read, store.starts, each=each, total=150, ascending=ascending, at_once=at_once)
    found: list[Row] = []
    for count, some in enumerate(merge.rows(), 1):
        found += some
        if count == parts:
            merge.stop()
    left = [row for number, place in merge.rest().items() for row in store.after(number, place)]
    everything = [row for number, place in store.starts.items() for row in store.after(number, place)]
    if each is not None or merge.limited:
        assert sorted(found + left) == sorted(everything)
    else:
        assert len(found) == len(everything)


def test_a_page_of_one_variable_is_read_at_once() -> None:
    store = Store([(1, number) for number in range(100)], ascending=False)
    merge = Merge(store.read, {1: (999, LAST_SEQ)}, each=15, total=10_000, at_once=2000)
    assert len([row for some in merge.rows() for row in some]) == 15
    assert (store.calls, store.read_rows) == (1, 16)


def test_a_list_of_a_device_reads_little_more_than_its_share_of_each_variable() -> None:
    store = Store([(1 + number % 5, number) for number in range(5000)], ascending=False)
    merge = Merge(store.read, dict.fromkeys(range(1, 6), (9999, LAST_SEQ)), each=None, total=1000, at_once=2000)
    assert len([row for some in merge.rows() for row in some]) == 1000
    assert (store.calls, store.read_rows) == (1, 1290)
