"""What queries find, over HTTP (acceptance cases of the specification by their numbers)."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.devices.data.service import choosing, data
from tests.unit.devices.conftest import ACC, ACC2, ACC_READ, ACC_WRITE, ANALYSIS, ANALYSIS_READ, API, MadeDevice, refused, result

QUERY = "Error on Query String parameters"
RANGE = "The maximum range for {} is 1 month between start_end and end_date"


@pytest.fixture
def device(api: API) -> MadeDevice:
    return api.device()


def add(api: API, device: MadeDevice, *records: dict[str, Any]) -> None:
    for begin in range(0, len(records), 2000):
        some = list(records[begin : begin + 2000])
        assert result(api.post("/data", some, device.token)) == f"{len(some)} Data Added"


def find(api: API, device: MadeDevice, query: str = "") -> Any:
    return result(api.get(f"/data?{query}", device.token))


def series(name: str, count: int, **more: Any) -> list[dict[str, Any]]:
    """Records with the values 0, 1, …, a second apart."""
    return [{"variable": name, "value": number, "time": 1_767_200_000 + number, **more} for number in range(count)]


def values(found: list[dict[str, Any]]) -> list[Any]:
    return [one.get("value") for one in found]


def test_what_is_stored_comes_back(api: API, device: MadeDevice) -> None:
    """G08, G10, G14."""
    sent = {
        "variable": "Temp", "value": 1, "unit": "°C", "time": "2025-12-31T23:59:59.5+01:00", "serie": "s1",
        "location": {"lat": 35.7, "lng": -78.6}, "metadata": {"a": [1, None]},
    }  # fmt: skip
    add(api, device, sent)
    [found] = find(api, device, "variables=TEMP")
    assert len(found.pop("id")) == 24
    assert found == {
        "device": device.id,
        "variable": "temp",
        "value": 1,
        "unit": "°C",
        "group": "s1",
        "time": "2025-12-31T22:59:59.500Z",
        "location": {"type": "Point", "coordinates": [-78.6, 35.7]},
        "metadata": {"a": [1, None]},
    }
    [found] = find(api, device, "details=True")
    assert found["created_at"] == "2026-01-01T00:00:00.000Z"
    [found] = find(api, device, "details=False")
    assert "created_at" not in found


def test_values_come_back_as_they_were(api: API, device: MadeDevice) -> None:
    """Whole numbers have no point, large ones all their digits."""
    plain = ["3", "3.5", "-0.1", "9007199254740993", str(10**300), '"a\\u0000\\n\\"é"', "true"]
    for value in (*plain, "1e-7", "1E+2", "-0.0"):
        api.post("/data", None, device.token, data=f'{{"variable":"a","value":{value}}}')
        text = api.get("/data?qty=1&query=last_insert", device.token).text
        assert json.loads(text)["result"][0]["value"] == json.loads(value)
        assert (f'"value":{value},' in text) is (value in plain), value


def test_the_account_reads_and_writes_too(api: API, device: MadeDevice) -> None:
    path = f"/device/{device.id}/data"
    for token in (ACC, ACC_WRITE, ANALYSIS):
        result(api.post(path, {"variable": "a", "value": 1}, token))
    for token in (ACC, ACC_READ, ANALYSIS, ANALYSIS_READ):
        assert len(result(api.get(path, token))) == 3
    for token in (ACC_READ, ANALYSIS_READ):
        refused(api.post(path, {"variable": "a"}, token), 403, "Authorization denied")
    refused(api.get(path, ACC_WRITE), 403, "Authorization denied")
    refused(api.get(path, ACC2), 404, "Invalid Device ID")
    refused(api.get(path, device.token), 403, "Authorization denied")
    refused(api.get("/data", ACC), 403, "Authorization denied")
    refused(api.get(f"/device/{'0' * 24}/data"), 404, "Invalid Device ID")


def test_tokens_may_only_read_or_only_write(api: API, device: MadeDevice) -> None:
    """G15, G16."""
    with api.parts.database.transaction() as session:
        session.execute(_permission("read"))
    api.parts.changes.announce()
    refused(api.post("/data", {"variable": "a"}, device.token), 403, "Authorization denied")
    refused(api.put("/data", {"id": "0" * 24}, device.token), 403, "Authorization denied")
    refused(api.delete("/data?qty=1", device.token), 403, "Authorization denied")
    assert find(api, device) == []
    with api.parts.database.transaction() as session:
        session.execute(_permission("write"))
    api.parts.changes.announce()
    refused(api.get("/data", device.token), 403, "Authorization denied")
    refused(api.get("/data/live", device.token), 403, "Authorization denied")


def _permission(permission: str) -> Any:
    import sqlalchemy as sa

    from services.devices.models import DeviceToken

    return sa.update(DeviceToken).values(permission=permission)


def test_qty_counts_each_variable(api: API, device: MadeDevice) -> None:
    """G25, G26."""
    add(api, device, *series("a", 20), *series("b", 20))
    found = find(api, device, "variables[0]=a&variables[1]=b")
    assert len(found) == 30
    assert [one["time"] for one in found] == sorted((one["time"] for one in found), reverse=True)
    assert values(find(api, device, "variables=a&qty=5&skip=18")) == [1, 0]
    assert len(find(api, device)) == 15
    assert values(find(api, device, "variable=a&ordination=asc&qty=2")) == [0, 1]
    assert find(api, device, "variables=a&qty=0") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("qty=10001", "qty"), ("qty=-1", "qty"), ("qty=x", "qty"), ("qty=1.5", "qty"), ("qty=%D9%A3", "qty"), ("skip=-1", "skip"),
        ("skip=99999999999999999999", "skip"), ("ordination=up", "ordination"), ("query=nope", "query"), ("cursor=x", "cursor"),
        ("query=aggregate&interval=hour", "function"), ("query=aggregate&function=avg&interval=fortnight", "interval"),
        ("query=conditional&function=like&value=1", "function"), ("query=conditional&function=gt&value=x", "value"),
        ("query=conditional&function=gt", "value"), ("query=count&cursor=x", "cursor"),
        ("query=conditional&function=gt&value=1e999", "value"),
        ("&".join(f"variables={number}" for number in range(101)), "variables"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_field(query: str, field: str, sqlite_api: API, sqlite_device: MadeDevice) -> None:
    """G27."""
    assert list(refused(sqlite_api.get(f"/data?{query}", sqlite_device.token), 400, QUERY)) == [field]


@pytest.mark.parametrize(
    ("query", "message", "field"),
    [
        ("start_date=30+February", "Invalid start date", "start_date"),
        ("start_date=2025-02-30", "Invalid start date", "start_date"),
        ("end_date=x", "Invalid end date", "end_date"),
        ("query=sum", "start_date field is required", "start_date"),
        ("query=sum&start_date=2+months", RANGE.format("sum"), "start_date"),
        ("query=max&start_date=2025-01-01&end_date=2025-03-01", RANGE.format("max"), "start_date"),
    ],
)  # fmt: skip
def test_some_refusals_have_texts_of_their_own(query: str, message: str, field: str, sqlite_api: API, sqlite_device: MadeDevice) -> None:
    assert refused(sqlite_api.get(f"/data?{query}", sqlite_device.token), 400, message) == {field: [message]}


def test_everything_that_is_wrong_is_said_at_once(sqlite_api: API, sqlite_device: MadeDevice) -> None:
    wrong = refused(sqlite_api.get("/data?qty=x&skip=y&start_date=z", sqlite_device.token), 400, QUERY)
    assert set(wrong) == {"qty", "skip", "start_date"}


@pytest.mark.slow
@pytest.mark.parametrize("immutable", [False, True], ids=["mutable", "immutable"])
def test_an_answer_has_at_most_ten_thousand_records(immutable: bool, api: API) -> None:
    """G28."""
    device = api.immutable() if immutable else api.device()
    add(api, device, *series("a", 10_000), *series("b", 10_000))
    answer = api.get("/data?variables=a&variables=b&qty=10000", device.token)
    found = result(answer)
    assert len(found) == 10_000 and answer.json["message"] == "Result was limited to 10000 records"
    assert sorted(values(found)) == sorted([*range(5000, 10_000)] * 2), "the newest of both"
    rest = api.get(f"/data?variables=a&variables=b&qty=10000&cursor={answer.headers['X-Next-Cursor']}", device.token)
    assert sorted(values(result(rest))) == sorted([*range(5000)] * 2)
    assert "message" not in rest.json and "X-Next-Cursor" not in rest.headers
    alone = api.get("/data?variables=a&qty=10000", device.token)
    assert len(result(alone)) == 10_000 and "message" not in alone.json


@pytest.mark.parametrize(("named", "many"), [(True, 200), (False, 200), (False, 1)])
def test_a_large_answer_is_cut_and_goes_on(named: bool, many: int, api: API, device: MadeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "LARGEST", 1000)
    monkeypatch.setattr(choosing, "_MANY", many)
    monkeypatch.setattr(choosing, "AT_ONCE", 16)
    add(api, device, *series("a", 30), *series("b", 30))
    seen: list[Any] = []
    query = "qty=100&" + ("variables=a&variables=b" if named else "")
    pages, more = 0, ""
    while pages < 20:
        pages += 1
        answer = api.get(f"/data?{query}{more}", device.token)
        seen += values(result(answer))
        if "X-Next-Cursor" not in answer.headers:
            break
        assert answer.json["message"] == "Result was limited to 4 MB"
        more = f"&cursor={answer.headers['X-Next-Cursor']}"
    assert pages > 3 and "message" not in answer.json
    assert seen == sorted([*range(30)] * 2, reverse=True)


def test_one_large_record_of_each_of_many_variables_is_refused(api: API, device: MadeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, device, *({"variable": f"v{number}", "value": "x" * 100} for number in range(5)))
    monkeypatch.setattr(choosing, "MOST_OF_EACH", 499)
    narrow = "The query takes too long; narrow it by variables, start_date and end_date"
    refused(api.get("/data?query=last_value", device.token), 400, narrow)
    assert len(find(api, device, "query=last_value&variables=v1&variables=v2")) == 2


def test_numbers_made_of_records(api: API, device: MadeDevice) -> None:
    """G29. Whole sums and averages have no point; a text is no number."""
    add(api, device, *({"variable": "a", "value": value} for value in (1, 2, "3")), {"variable": "b", "value": 2**53 + 1})
    for query, text in (
        ("query=sum&variables=a&start_date=1+day", "3"),
        ("query=avg&variables=a&start_date=1+day", "1.5"),
        ("query=sum&variables=b&start_date=1+day", str(2**53)),
        ("query=sum&variables=none&start_date=1+day", "0"),
        ("query=avg&start_date=1+day&end_date=2025-12-31T23:00", "0"),
        ("query=count", "4"),
        ("query=count&variables=a&values=3", "1"),
    ):
        assert api.get(f"/data?{query}", device.token).text == f'{{"status":true,"result":{text}}}'
    assert values(find(api, device, "query=max&start_date=1+day")) == [2**53 + 1, 2]


@pytest.mark.parametrize("query", ["sum&start_date=1+day", "avg&start_date=1+day", "aggregate&interval=hour&function=sum"])
def test_a_sum_beyond_all_doubles_is_refused(query: str, api: API, device: MadeDevice) -> None:
    add(api, device, {"variable": "a", "value": 1.7e308}, {"variable": "a", "value": 1.7e308})
    refused(api.get(f"/data?query={query}", device.token), 400, "The result is greater than any number of double precision")


def test_an_aggregate_of_hours(api: API, device: MadeDevice) -> None:
    times = ["2025-12-31T00:00:00Z", "2025-12-31T00:59:59.999Z", "2025-12-31T02:00:00Z"]
    add(api, device, *({"variable": "a", "value": number, "time": time} for number, time in enumerate(times, 1)))
    answer = api.get("/data?query=aggregate&interval=hour&function=avg&variables=a&ordination=ascending", device.token)
    assert answer.json["result"] == [{"time": "2025-12-31T00:00:00.000Z", "value": 1.5}, {"time": "2025-12-31T02:00:00.000Z", "value": 3}]


def test_ids(api: API, device: MadeDevice) -> None:
    add(api, device, *series("a", 3))
    known = [one["id"] for one in find(api, device)]
    assert values(find(api, device, f"ids[0]={known[0]}&ids[1]={known[2]}&ids[2]=x&ids[3]={'f' * 24}")) == [2, 0]
    assert find(api, device, f"id={'0' * 24}") == []
    other = api.device()
    assert find(api, other, f"ids={known[0]}") == []
    immutable = api.immutable()
    message = "Filter using ID(s) is not supported on Immutable Storage Type"
    refused(api.get(f"/data?ids={known[0]}", immutable.token), 400, message)


def test_a_filter_compares_whole_texts(api: API, device: MadeDevice) -> None:
    add(api, device, *({"variable": name, "value": name, "group": name} for name in ("a%", "ab", "a_", "a'b")))
    for name in ("a%25", "a_", "a'b"):
        for field in ("variables", "groups", "values"):
            assert len(find(api, device, f"{field}={name}")) == 1
    assert set(refused(api.get("/data?variables=a%00&values=%00", device.token), 400, QUERY)) == {"variables", "values"}


def test_the_lists_of_the_official_libraries(api: API, device: MadeDevice) -> None:
    add(api, device, *series("a", 2), *series("b", 2), *series("c", 2))
    for query in ("variables=a&variables=b", "variables%5B0%5D=a&variables%5B1%5D=b", "variables[]=a&variables[]=b"):
        assert {one["variable"] for one in find(api, device, query)} == {"a", "b"}
    assert {one["variable"] for one in find(api, device, "variable=a&variables=b")} == {"b"}, "the plural wins"
    assert len(find(api, device, "query=default&groups=&start_date=&unknown=1")) == 6
    assert len(find(api, device, "query=last_item")) == 3


def test_chunks_that_are_over_are_not_found(api: API) -> None:
    """Nobody has deleted them yet."""
    device = api.immutable()
    add(api, device, *({"variable": "a", "value": day, "time": f"2025-12-{day}"} for day in (29, 30, 31)))
    assert values(find(api, device)) == [31, 30, 29] and find(api, device, "query=count") == 3
    api.clock.move(86_400)
    assert values(find(api, device)) == [31, 30] and find(api, device, "query=count") == 2
    assert find(api, device, "query=count&variables=a") == 2
    assert values(find(api, device, "query=first_item")) == [30]
    assert find(api, device, "query=sum&start_date=5+days") == 61


def test_the_link_leads_to_the_next_page(api: API, device: MadeDevice) -> None:
    add(api, device, *series("a", 12), *series("b", 12))
    seen, query = [], "qty=5&variables[0]=a&variable=b&skip=2&token=x"
    for _ in range(3):
        answer = api.get(f"/data?{query}", device.token)
        seen += values(result(answer))
        link = answer.headers.get("Link")
        if link is None:
            break
        assert link.startswith("<?") and link.endswith('>; rel="next"')
        query = link[2 : link.index(">")]
        assert dict(parse_qsl(query))["cursor"] == answer.headers["X-Next-Cursor"]
        assert "token" not in query and "skip" not in query
    assert seen == [*range(9, -1, -1)]


def test_a_cursor_fits_its_own_query_only(api: API, device: MadeDevice) -> None:
    add(api, device, *series("a", 4))
    cursor = api.get("/data?qty=2&variables=a", device.token).headers["X-Next-Cursor"]
    assert values(find(api, device, f"qty=3&variables=a&cursor={cursor}")) == [1, 0]
    for query in ("", "variables=b&", "variables=a&ordination=asc&", "variables=a&groups=g&"):
        assert refused(api.get(f"/data?{query}cursor={cursor}", device.token), 400, QUERY) == {"cursor": ["belongs to another query"]}


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=4), max_leaves=8),
    raw=st.text(max_size=12),
)
def test_no_cursor_of_a_stranger_does_harm(content: Any, raw: str, api: API) -> None:
    device = api.device()
    api.post("/data", {"variable": "a"}, device.token)
    shape = json.loads(base64.b64decode(_cursor(api, device) + "=="))[1]
    for told in (content, [1, shape, content], [1, shape, [content]]):
        text = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        assert api.get("/data", device.token, query_string={"cursor": text, "qty": 1}).status_code in (200, 400)
    assert api.get("/data", device.token, query_string={"cursor": raw or "x"}).status_code == 400


def _cursor(api: API, device: MadeDevice) -> str:
    api.post("/data", {"variable": "a"}, device.token)
    return api.get("/data?qty=1", device.token).headers["X-Next-Cursor"]


def test_a_device_with_many_variables(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_MANY", 3)
    for device in (api.device(), api.immutable()):
        add(api, device, *(one for name in "abcde" for one in series(name, 3)))
        seen, query = [], "qty=4"
        while query:
            answer = api.get(f"/data?{query}", device.token)
            seen += [(one["value"], one["variable"]) for one in result(answer)]
            query = f"qty=4&cursor={answer.headers['X-Next-Cursor']}" if "X-Next-Cursor" in answer.headers else ""
        assert seen == sorted(((value, name) for name in "abcde" for value in range(3)), reverse=True)
        assert len(find(api, device, "skip=13")) == 2


def test_another_process_knows_new_variables(api: API, make_api: Any) -> None:
    device, other = api.device(), make_api()
    add(api, device, *series("a", 1))
    assert len(find(other, device)) == 1
    add(api, device, *series("b", 1))
    assert len(find(other, device)) == 2 and len(find(other, device, "variables=b")) == 1


def test_a_query_that_reads_too_much_is_refused(api: API, device: MadeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, device, *series("a", 3))
    monkeypatch.setattr(choosing, "LONGEST_S", -1.0)
    refused(api.get("/data", device.token), 400, "The query takes too long; narrow it by variables, start_date and end_date")
