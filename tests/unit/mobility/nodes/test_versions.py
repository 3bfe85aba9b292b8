"""Entity tags of records, and conditions on them."""

from __future__ import annotations

import datetime as dt

import pytest

from services.common.refusal import Refusal
from services.mobility.nodes.rules.versions import Conditions, etag
from tests.unit.mobility.conftest import API, STATION, A, good
from tests.unit.mobility.nodes.conftest import data, record

PATH = f"/{STATION}/a.rail"


def tag(api: API) -> str:
    found = record(api, STATION)
    assert found is not None
    validity = (found.valid_from, found.valid_to) if found.valid_from and found.valid_to else None
    return etag(found.data, found.modalities, validity)


def test_every_difference_gives_another_tag() -> None:
    january, march = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    different = [
        etag({}, None, None),
        etag({}, 0, None),
        etag({}, 1, None),
        etag({"a": 1}, None, None),
        etag({"a": "1"}, None, None),
        etag({"a": None}, None, None),
        etag({"a": 1, "b": 2}, None, None),
        etag({"b": 2, "a": 1}, None, None),
        etag({}, None, (january, march)),
        etag({}, None, (january, january)),
    ]
    assert len(set(different)) == len(different)
    other_zone = january.astimezone(dt.timezone(dt.timedelta(hours=1)))
    assert etag({"ü": 1.5}, 3, (other_zone, march)) == etag({"ü": 1.5}, 3, (january, march))


@pytest.mark.parametrize(
    ("current", "if_match", "if_none_match", "met"),
    [
        (None, None, None, True),
        ('"a"', '"a"', None, True),
        ('"a"', '"b", "a"', None, True),
        ('"a"', ' "b","a" ', None, True),
        ('"a"', " * ", None, True),
        ('"a"', '"b"', None, False),
        ('"a"', 'W/"a"', None, False),
        ('"a"', "a", None, False),
        ('"a"', "", None, False),
        (None, "*", None, False),
        (None, '"a"', None, False),
        ('"a"', None, "*", False),
        ('"a"', None, 'W/"a"', False),
        ('"a"', None, '"b"', True),
        (None, None, "*", True),
        (None, None, '"a"', True),
        ('"a"', '"a"', "*", False),
    ],
)
def test_conditions(current: str | None, if_match: str | None, if_none_match: str | None, met: bool) -> None:
    conditions = Conditions(if_match, if_none_match)
    assert bool(conditions) == (if_match is not None or if_none_match is not None)
    if met:
        conditions.check(current)
        return
    with pytest.raises(Refusal) as caught:
        conditions.check(current)
    assert caught.value.status == 412


def test_a_merge_into_another_version_is_refused(api: API) -> None:
    assert api.put(PATH, {"data": {"k": 0}}, headers={"If-Match": "*"}).status_code == 412
    assert data(api, STATION) is None
    good(api.put(PATH, {"data": {"k": 1}}, headers={"If-None-Match": "*"}))
    assert api.put(PATH, {"data": {"k": 2}}, headers={"If-None-Match": "*"}).status_code == 412
    seen = tag(api)
    good(api.put(PATH, {"data": {"l": 1}}, headers={"If-Match": seen}))
    lost = api.put(PATH, {"data": {"k": 3}}, headers={"If-Match": seen})
    assert (lost.status_code, "If-Match" in lost.text) == (412, True)
    assert data(api, STATION) == {"k": 1, "l": 1}
    good(api.put(PATH, {"data": {"k": 4}}, headers={"If-Match": "*"}))
    assert data(api, STATION) == {"k": 4, "l": 1}


def test_a_deletion_of_another_version_is_refused(api: API) -> None:
    assert api.delete(PATH, headers={"If-Match": "*"}).status_code == 412
    good(api.put(PATH, {"data": {"k": 1}, "modalities": ["rail"], "validity": ["2026-01-01", "2026-03-01"]}))
    seen = tag(api)
    good(api.put(PATH, {"data": {"k": 2}}))
    assert api.delete(f"{PATH}?delete_node=true", headers={"If-Match": seen}).status_code == 412
    assert data(api, STATION) == {"k": 2}
    good(api.delete(PATH, headers={"If-Match": f"{seen}, {tag(api)}"}))
    assert data(api, STATION) is None


def test_a_refused_condition_renews_the_session(sqlite_api: API) -> None:
    key = sqlite_api.key(A)
    for _ in range(2):
        sqlite_api.clock.move(59)
        assert sqlite_api.put(PATH, {"data": {}}, None, headers={"X-Auth": key, "If-Match": '"x"'}).status_code == 412


def test_the_tag_that_a_read_shows_is_the_one_that_a_write_compares(api: API) -> None:
    good(api.put(PATH, {"data": {"k": 1.0, "ü": None}, "modalities": ["rail"], "validity": ["2026-01-01T01:00+01:00", "2026-03-01"]}))
    for _ in range(2):
        seen = api.get(PATH).headers["ETag"]
        good(api.put(PATH, {"data": {"l": 1}}, headers={"If-Match": seen}))
        assert api.get(PATH, format="json").headers["ETag"] == tag(api)
    good(api.delete(PATH, headers={"If-Match": api.get(PATH).headers["ETag"]}))
    assert "ETag" not in api.get(PATH).headers
