"""`/api/activity`: the shapes of Tyk's Dashboards, the periods that may be asked for, and the records."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.common.core_database import CoreDatabase
from services.gateway.analytics.record import Record
from services.gateway.analytics.rollups import Names, roll_up
from services.gateway.operator_api.access import _KEY_PATH
from services.gateway.stores import activity
from services.gateway.stores.analytics import AnalyticsStore
from tests.unit.gateway.analytics.making import HOUR, NOON, batch, record

DAY = "15/1/2027/15/1/2027"


def write(database: CoreDatabase, *records: Record) -> None:
    AnalyticsStore(database).write(batch(), records, roll_up(records, Names()))


def test_by_api(operator: Any, database: CoreDatabase) -> None:
    write(database, record(key="k", ms=1.5), record(key="k", code=404, ms=2.5), record(NOON + HOUR, api_id="two"))
    answer = operator.json("GET", f"/api/activity/apis/{DAY}?p=-1&res=day")
    assert answer["data"][0] == {
        "id": {
            "hour": 0,
            "day": 15,
            "month": 1,
            "year": 2027,
            "api_id": "api",
            "api_name": "name of api",
            "version": "",
            "code": 0,
            "path": "",
            "key": "",
            "alias": "",
            "oauth_id": "",
        },
        "hits": 2,
        "success": 1,
        "error": 1,
        "request_time": 2.0,
        "total_request_time": 4.0,
        "last_hit": "2027-01-15T12:00:00.000Z",
    }
    assert (len(answer["data"]), answer["pages"], answer["total"], answer["recording"]) == (2, 0, 2, True)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("apis/{}", [{"api_id": "api", "api_name": "name of api"}, {"api_id": "two", "api_name": "name of two"}]),
        ("api/two/{}", [{"api_id": "two", "api_name": "name of two"}]),
        ("versions/{}?api_id=two", [{"api_id": "two", "api_name": "name of two", "version": "Non Versioned"}]),
        ("versions/two/{}", [{"api_id": "two", "api_name": "name of two", "version": "Non Versioned"}]),
        ("codes/{}", [{"code": 200}, {"code": 404}]),
        ("codes/two/{}", [{"code": 404}]),
        ("errors/{}", [{"code": 404}]),
        ("errors/api/{}", []),
        ("keys/{}", [{"key": "k", "alias": "alias of k"}, {}]),
        ("keys/{}?api_id=two", [{}]),
        ("key/k/{}", [{"api_id": "api", "version": "Non Versioned", "key": "k", "alias": "alias of k"}]),
        ("keys/k/{}", [{"api_id": "api", "version": "Non Versioned", "key": "k", "alias": "alias of k"}]),
        ("key/k/{}?api_id=two", []),
        ("endpoint/api/{}", [{"api_id": "api", "path": "/users/{id}"}]),
        ("endpoints/{}", [{"api_id": "api", "path": "/users/{id}"}, {"api_id": "two", "path": "/"}]),
        ("oauthid/c/{}", [{"api_id": "api", "oauth_id": "c"}]),
        ("oauthids/{}", [{"api_id": "api", "oauth_id": "c"}]),
    ],
)
def test_every_view(path: str, shown: list[dict[str, Any]], operator: Any, database: CoreDatabase) -> None:
    write(database, *(record(key="k", path=f"/users/{number}", client="c") for number in range(2)), record(api_id="two", code=404))
    found = operator.json("GET", f"/api/activity/{path.format(DAY)}")["data"]
    when = {"hour": 0, "day": 15, "month": 1, "year": 2027}
    assert [{name: value for name, value in one["id"].items() if value and name not in when} for one in found] == shown
    assert all({name: one["id"][name] for name in when} == when for one in found)


def test_hours_and_months(operator: Any, database: CoreDatabase) -> None:
    write(database, record(), record(NOON + HOUR), record(NOON + HOUR))

    def times(resolution: str) -> list[tuple[int, int, int]]:
        found = operator.json("GET", f"/api/activity/api/api/1/1/2027/31/1/2027?res={resolution}")["data"]
        return [(one["id"]["day"], one["id"]["hour"], one["hits"]) for one in found]

    assert (times("hour"), times("day"), times("month")) == ([(15, 12, 1), (15, 13, 2)], [(15, 0, 3)], [(0, 0, 3)])


def test_pages(operator: Any, database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    write(database, *(record(key=f"k{number}") for number in range(5)))
    answer = operator.json("GET", f"/api/activity/keys/{DAY}?p=1&page_size=2")
    assert ([one["id"]["key"] for one in answer["data"]], answer["pages"], answer["total"]) == (["k2", "k3"], 2, 5)
    monkeypatch.setattr(activity, "MOST_AT_ONCE", 4)
    assert operator.json("GET", f"/api/activity/keys/{DAY}?p=-1", status=400)["Message"].startswith("p=-1 shows at most 4 rows")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("apis/31/2/2027/1/3/2027", "31/2/2027 is not a date"),
        ("apis/x/2/2027/1/3/2027", "x/2/2027 is not a date"),
        ("apis/1/1/99999/1/3/2027", "1/1/99999 is not a date"),
        ("apis/1/1/99999999999999999999/1/3/2027", "1/1/99999999999999999999 is not a date"),
        ("apis/99999999999/1/2027/1/3/2027", "99999999999/1/2027 is not a date"),
        ("apis/31/12/9999/31/12/9999?res=month", "the second date"),
        ("apis/2/1/2027/1/1/2027", "the second date must not be before the first"),
        ("apis/1/1/1969/1/1/1969", "the second date"),
        ("apis/1/1/2027/31/12/2027?res=hour", "with res=hour at most 62 days"),
        ("keys/1/1/2027/4/1/2027?res=hour", "with res=hour at most 3 days"),
        ("endpoint/api/1/1/2027/31/3/2027?res=hour", "with res=hour at most 62 days"),
        ("apis/1/1/2027/1/1/2027?res=week", "res must be hour, day or month"),
        ("apis/1/1/2027/1/1/2027?p=x", "p must be a whole number"),
    ],
)
def test_what_cannot_be_asked(path: str, said: str, operator: Any) -> None:
    answer = operator.json("GET", f"/api/activity/{path}", status=400)
    assert said in answer["Message"] and answer["Code"] == "invalid-argument"


def test_records_in_tyks_shape(operator: Any, database: CoreDatabase) -> None:
    write(database, record(key="k", path="/users/7", code=500, ms=1.25, client="c"), record(NOON + 1))
    period = f"since={int(NOON)}&until={int(NOON) + 60}"
    answer = operator.json("GET", f"/api/gatehouse/requests?{period}&errors=1")
    assert answer["data"] == [
        {
            "Method": "GET",
            "Path": "/users/{id}",
            "RawPath": "/api/users/7",
            "ContentLength": 0,
            "UserAgent": "",
            "Day": 15,
            "Month": 1,
            "Year": 2027,
            "Hour": 12,
            "ResponseCode": 500,
            "APIKey": "k",
            "TimeStamp": "2027-01-15T12:00:00.000Z",
            "APIVersion": "Non Versioned",
            "APIName": "name of api",
            "APIID": "api",
            "OrgID": "acme",
            "OauthID": "c",
            "RequestTime": 1.25,
            "RawRequest": "",
            "Alias": "alias of k",
            "Tags": [],
            "ExpireAt": "2027-04-15T12:00:00.000Z",
        }
    ]
    both = operator.json("GET", f"/api/gatehouse/requests?{period}&page_size=1")
    assert (len(both["data"]), both["more"]) == (1, True)
    assert operator.json("GET", "/api/gatehouse/requests")["data"] == [], "of the last hour"
    for period in ("until=0001-01-01", "since=9999-12-31&until=9999-12-31"):
        assert operator.json("GET", f"/api/gatehouse/requests?{period}")["data"] == []
    assert "at most 31 days" in operator.json("GET", "/api/gatehouse/requests?since=0", status=400)["Message"]


def test_a_reader_may_read(operator: Any) -> None:
    key = operator.json("POST", "/api/users", {"first_name": "Ada", "role": "reader"})["access_key"]
    assert operator.json("GET", f"/api/activity/apis/{DAY}", headers={"authorization": key})["data"] == []
    assert operator.call("GET", f"/api/activity/apis/{DAY}", headers={"authorization": "wrong"}).status_code == 401


@pytest.mark.parametrize("path", ["/api/activity/key/s3cret/1/1/2027/1/1/2027", "/api/activity/keys/s3cret/1/1/2027/1/1/2027"])
def test_a_key_that_is_named_by_its_secret_is_not_logged(path: str) -> None:
    match = re.match(_KEY_PATH, path)
    assert match is not None and "s3cret" not in match[1]
