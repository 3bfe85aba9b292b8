"""Devices by page, order, field and filter."""

from __future__ import annotations

from typing import Any

import pytest

from services.devices.registry.service import devices
from tests.unit.devices.conftest import ACC2, API, refused, result

QUERY = "Error on Query String parameters"


def names(api: API, **query: Any) -> list[str]:
    return [one["name"] for one in result(api.get("/device", query_string=query))]


def test_pages_follow_each_other(api: API) -> None:
    made = [api.device(f"device {number:02}").id for number in (*range(44, -1, -1),)]
    api.device("another's", by=ACC2)
    pages = [result(api.get("/device", query_string={"page": page, "amount": 20, "orderBy": "name,asc"})) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [20, 20, 5, 0]
    assert [one["name"] for page in pages for one in page] == [f"device {number:02}" for number in range(45)]
    assert {one["id"] for page in pages for one in page} == set(made)
    assert names(api, orderBy="name,desc", amount=2) == ["device 44", "device 43"]
    assert len(names(api)) == 20


def test_the_name_sorts_without_its_case_on_either_store(api: API) -> None:
    for name in ("beta", "Alpha", "GAMMA", "_under", "étage", "Zeta", "a b c"):
        api.device(name)
    assert names(api) == ["_under", "a b c", "Alpha", "beta", "GAMMA", "Zeta", "étage"]


def test_only_a_star_means_anything_in_a_name(api: API) -> None:
    for name in ("temp", "Temp 1", "temp%x", "temp_x", "tempX x", "t'emp", "xtemp", "te", "it's temp", "temp\\x"):
        if len(name) >= 3:
            api.device(name)
    assert names(api, **{"filter[name]": "temp*"}) == ["temp", "Temp 1", "temp%x", "temp\\x", "temp_x", "tempX x"]
    assert names(api, **{"filter[name]": "temp%*"}) == ["temp%x"]
    assert names(api, **{"filter[name]": "temp_x"}) == ["temp_x"]
    assert names(api, **{"filter[name]": "TEMP\\*"}) == ["temp\\x"]
    assert names(api, **{"filter[name]": "t'*"}) == ["t'emp"]
    assert names(api, **{"filter[name]": "*temp"}) == ["it's temp", "temp", "xtemp"]
    assert names(api, **{"filter[name]": "*e*p*x"}) == ["temp%x", "temp\\x", "temp_x", "tempX x"]
    assert names(api, **{"filter[name]": "temp"}) == ["temp"]
    assert names(api, **{"filter[name]": "' OR 1=1 --"}) == []
    assert len(names(api, **{"filter[name]": "*"})) == 9


def test_filters(api: API) -> None:
    first = api.device("first", active=False, network="lora", connector="acme", tags=[{"key": "room", "value": "cellar"}])
    api.clock.move(3600)
    second = api.device(
        "second", visible=False, serie_number="SN-2", tags=[{"key": "room", "value": "attic"}, {"key": "floor", "value": "2"}]
    )
    api.clock.move(3600)
    third = api.immutable("third", tags=[{"key": "floor", "value": "2"}])
    for query, expected in (
        ({"filter[id]": first.id}, ["first"]),
        ({"filter[id]": [first.id, third.id]}, ["first", "third"]),
        ({"filter[id][0]": first.id, "filter[id][1]": second.id}, ["first", "second"]),
        ({"filter[id]": "nonsense"}, []),
        ({"filter[active]": "False"}, ["first"]),
        ({"filter[active]": "true"}, ["second", "third"]),
        ({"filter[visible]": "false"}, ["second"]),
        ({"filter[type]": "immutable"}, ["third"]),
        ({"filter[network]": "lora"}, ["first"]),
        ({"filter[connector]": "acme"}, ["first"]),
        ({"filter[serial]": "SN-2"}, ["second"]),
        ({"serial": "SN-2"}, ["second"]),
        ({"serial": "SN-%"}, []),
        ({"filter[tags][0][key]": "floor"}, ["second", "third"]),
        ({"filter[tags][0][key]": "floor", "filter[tags][0][value]": "2", "filter[tags][1][key]": "room"}, ["second"]),
        ({"filter[tags][0][key]": "room", "filter[tags][0][value]": "2"}, []),
        ({"filter[tags][key]": "room", "filter[tags][value]": "cellar"}, ["first"]),
        ({"filter[created_at]": "90 minutes"}, ["second", "third"]),
        ({"filter[created_at]": "2026-01-01T02:00:00Z"}, ["third"]),
        ({"filter[created_at][start]": "2026-01-01T00:30:00Z", "filter[created_at][end]": "2026-01-01T01:30:00Z"}, ["second"]),
        ({"filter[last_input]": "1 day"}, []),
        ({"resolveBucketName": "False", "filter[unknown]": "1", "unknown": "1"}, ["first", "second", "third"]),
        ({"orderBy": "created_at,desc"}, ["third", "second", "first"]),
        ({"orderBy": "last_input,asc"}, ["first", "second", "third"]),
    ):
        assert names(api, **query) == expected, query


def test_only_the_fields_that_are_asked_for(api: API) -> None:
    api.device("a device", tags=[{"key": "a", "value": "b"}])
    for query, expected in (
        ({}, {"id", "name", "tags"}),
        ({"fields": ["name", "last_input"]}, {"id", "name", "last_input"}),
        ({"fields[0]": "active", "fields[1]": "created_at"}, {"id", "active", "created_at"}),
        ({"fields": "unknown"}, {"id", "name", "tags"}),
    ):
        assert result(api.get("/device", query_string=query))[0].keys() == expected


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"page": "0"}, "page"), ({"page": "x"}, "page"), ({"page": "1" * 30}, "page"), ({"amount": "10001"}, "amount"),
        ({"amount": "-1"}, "amount"), ({"amount": "²"}, "amount"), ({"orderBy": "account,asc"}, "orderBy"),
        ({"orderBy": "name,up"}, "orderBy"), ({"filter[active]": "maybe"}, "filter.active"),
        ({"filter[created_at]": "2026-02-30"}, "filter.created_at"), ({"filter[last_input][end]": "soon"}, "filter.last_input"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(sqlite_api: API, query: dict[str, str], wrong: str) -> None:
    assert set(refused(sqlite_api.get("/device", query_string=query), 400, QUERY)) == {wrong}


def test_all_mistakes_are_told_at_once(sqlite_api: API) -> None:
    query = {"page": "0", "amount": "0", "filter[visible]": "2"}
    assert set(refused(sqlite_api.get("/device", query_string=query), 400, QUERY)) == {"page", "amount", "filter.visible"}


def test_a_nul_is_refused_before_a_store_sees_it(api: API) -> None:
    for name in ("filter[name]", "serial", "filter[tags][0][key]", "unknown"):
        assert set(refused(api.get("/device", query_string={name: "a\0*"}), 400, QUERY)) == {name}
    refused(api.get("/device/%00"), 404, "Not found")


def test_a_page_of_long_texts_is_refused(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 devices with 200 kB each would take all memory."""
    monkeypatch.setattr(devices, "LARGEST_PAGE", 1000)
    for number in range(3):
        api.device(f"device {number}", description="x" * 200, payload_decoder="y" * 400, tags=[{"key": "k", "value": "v"}])
    assert len(result(api.get("/device"))) == 3
    assert [len(one["description"]) for one in result(api.get("/device?fields=description"))] == [200] * 3
    wrong = refused(api.get("/device?fields=description&fields=payload_decoder"), 400, "Error on Query String parameters")
    assert wrong == {"amount": ["Makes the answer too large; ask for fewer devices, or fewer fields."]}
    (one,) = result(api.get("/device?fields=description&fields=payload_decoder&amount=1&page=2"))
    assert (len(one["description"]), len(one["payload_decoder"])) == (200, 400)
