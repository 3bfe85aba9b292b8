"""Random records and random queries: the service finds what the model finds, on both stores."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.devices.conftest import API, MadeDevice, result
from tests.unit.devices.data import model
from tests.unit.devices.data.model import Asked, Stored

pytestmark = pytest.mark.slow

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # of the test's clock
# few, so that many are equal; all within what the immutable device keeps
MOMENTS = [NOW + dt.timedelta(milliseconds=one) for one in (-172_800_000, -86_400_000, -86_399_999, -3_600_000, -60_000, -1, 0, 1, 59_999)]
VARIABLES = ["a", "b", "c%", "_"]
GROUPS = ["g", "h_"]
VALUES: list[Any] = [None, 0, 1, -2.5, 3, 1e3, 2**60 + 1, True, False, "3", "x", "true", "%", "1000.0"]

A_RECORD = st.builds(
    Stored,
    seq=st.just(0),
    variable=st.sampled_from(VARIABLES),
    time=st.sampled_from(MOMENTS),
    group=st.sampled_from(GROUPS),
    value=st.sampled_from(VALUES),
    location=st.booleans(),
)
RECORDS = st.lists(A_RECORD, min_size=1, max_size=60)


def _some(items: list[Any]) -> st.SearchStrategy[list[Any] | None]:
    return st.none() | st.lists(st.sampled_from(items), min_size=1, max_size=3, unique=True)


FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "variables": _some([*VARIABLES, "A", "d"]),
    "groups": _some([*GROUPS, "%"]),
    "values": _some(["3", "true", "%", "x", "-2.5", str(2**60 + 1), "1000.0", "_"]),
    "start": st.none() | st.sampled_from(MOMENTS),
    "end": st.none() | st.sampled_from(MOMENTS),
    "ascending": st.booleans(),
}
LISTS = st.builds(Asked, **FILTERS, qty=st.none() | st.integers(0, 30), skip=st.integers(0, 9))
CONDITIONALS = st.builds(
    Asked,
    kind=st.just("conditional"),
    compare=st.tuples(st.sampled_from(sorted(model.COMPARE)), st.sampled_from([-2.5, 0.0, 1.0, 3.0])),
    **{**FILTERS, "values": st.none()},
    qty=st.integers(0, 30),
)
ONE_EACH = [f"{end}_{what}" for end in ("first", "last") for what in ("item", "value", "location", "insert")]
ENDS = st.builds(Asked, kind=st.sampled_from(ONE_EACH), **FILTERS)
RANGED = {**FILTERS, "start": st.sampled_from(MOMENTS), "now": st.just(NOW)}
EXTREMES = st.builds(Asked, kind=st.sampled_from(["min", "max"]), **RANGED)
NUMBERS = st.builds(Asked, kind=st.just("count"), **FILTERS) | st.builds(Asked, kind=st.sampled_from(["sum", "avg"]), **RANGED)
AGGREGATES = st.builds(
    Asked,
    kind=st.just("aggregate"),
    interval=st.sampled_from(["minute", "hour", "day", "week", "month", "quarter", "year"]),
    function=st.sampled_from(["avg", "sum", "min", "max", "count"]),
    **FILTERS,
)
MANY = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate, Phase.shrink],  # without `explain`, which traces every line
)


def filled(api: API, immutable: bool, stored: list[Stored]) -> MadeDevice:
    """A new device with these records, sent in two requests; the records get their seq and id."""
    device = api.immutable() if immutable else api.device()
    half = len(stored) // 2
    for some in (stored[:half], stored[half:]):
        sent = [
            {
                "variable": one.variable, "time": one.time.isoformat(), "group": one.group, "value": one.value,
                "location": {"lat": 1, "lng": 2} if one.location else None,
            }
            for one in some
        ]  # fmt: skip
        if sent:
            result(api.post("/data", sent, device.token))
    for seq, one in enumerate(stored, 1):
        one.seq = seq
    found = result(api.get("/data?qty=10000", device.token))
    assert len(found) == len(stored)
    ids = sorted(one["id"] for one in found)
    for one in stored:
        one.id = ids[one.seq - 1]
    return device


def find(api: API, device: MadeDevice, asked: Asked, **more: str) -> Any:
    return result(api.get("/data", device.token, query_string=[*asked.parameters(), *more.items()]))


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in found]


@pytest.mark.parametrize("immutable", [False, True], ids=["mutable", "immutable"])
@MANY
@given(stored=RECORDS, asked=st.lists(LISTS | CONDITIONALS | ENDS | EXTREMES, min_size=5, max_size=5))
def test_records(immutable: bool, stored: list[Stored], asked: list[Asked], api: API) -> None:
    device = filled(api, immutable, stored)
    for one in asked:
        assert ids(find(api, device, one)) == [expected.id for expected in model.records(stored, one)], one


@pytest.mark.parametrize("immutable", [False, True], ids=["mutable", "immutable"])
@MANY
@given(stored=RECORDS, asked=st.lists(NUMBERS, min_size=3, max_size=3), aggregates=st.lists(AGGREGATES, min_size=3, max_size=3))
def test_numbers(immutable: bool, stored: list[Stored], asked: list[Asked], aggregates: list[Asked], api: API) -> None:
    device = filled(api, immutable, stored)
    for one in asked:
        assert find(api, device, one) == pytest.approx(model.number(stored, one), rel=1e-12), one
    for one in aggregates:
        found, expected = find(api, device, one), model.points(stored, one)
        assert [point["time"] for point in found] == [point["time"] for point in expected], one
        assert [point["value"] for point in found] == pytest.approx([point["value"] for point in expected], rel=1e-12), one


@pytest.mark.parametrize("immutable", [False, True], ids=["mutable", "immutable"])
@MANY
@given(stored=RECORDS, asked=LISTS, qty=st.integers(1, 7))
def test_pages_hold_every_record_once(immutable: bool, stored: list[Stored], asked: Asked, qty: int, api: API) -> None:
    device = filled(api, immutable, stored)
    asked.qty, asked.skip = qty, 0
    seen: list[str] = []
    more: dict[str, str] = {}
    for _ in range(100):
        answer = api.get("/data", device.token, query_string=[*asked.parameters(), *more.items()])
        page = ids(result(answer))
        assert page or not more, "no page but the first is empty"
        seen += page
        if "X-Next-Cursor" not in answer.headers:
            break
        more = {"cursor": answer.headers["X-Next-Cursor"]}
    asked.qty = 10_000
    expected = [one.id for one in model.records(stored, asked)]
    assert sorted(seen) == sorted(expected)
    if asked.variables is None:
        assert seen == expected


@MANY
@given(stored=RECORDS, asked=LISTS | CONDITIONALS | ENDS | EXTREMES, chosen=st.none() | st.sets(st.integers(0, 59), min_size=1, max_size=5))
def test_deleting(stored: list[Stored], asked: Asked, chosen: set[int] | None, api: API) -> None:
    device = filled(api, False, stored)
    if chosen is not None:
        asked.ids = [stored[index].id for index in chosen if index < len(stored)] or ["0" * 24]
    asked.qty = 5 if asked.qty is None else asked.qty
    gone = [one.id for one in model.records(stored, asked)]
    assert result(api.delete("/data", device.token, query_string=asked.parameters())) == f"{len(gone)} Data Removed"
    left = {one.id for one in stored} - set(gone)
    assert set(ids(result(api.get("/data?qty=10000", device.token)))) == left
    assert result(api.get("/data?query=count", device.token)) == len(left)
