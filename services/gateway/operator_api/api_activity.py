"""`/api/activity`: what requests add up to, in the shapes of Tyk's later Dashboards; `/api/gatehouse/requests`: the records."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, get_args

from flask import Response, request

from services.common.clock import isoformat
from services.gateway.analytics import rollups
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, pages
from services.gateway.operator_api.web import gateway
from services.gateway.stores import activity
from services.gateway.stores.activity import Chosen, Counted, Period, Resolution, View

blueprint = protected("activity", __name__)

# Days that may be asked for at once; of rows by key, path or client, of which there are many more, when neither one nor an API is named.
_MOST_DAYS: Final = {"hour": 62, "day": 1_100, "month": 11_000}
_MOST_DAYS_OF_MANY: Final = {"hour": 3, "day": 62, "month": 1_100}
_YEARS: Final = range(1970, 2200)
_LONGEST_LOOK: Final = dt.timedelta(days=31)
_DATES: Final = "<d1>/<m1>/<y1>/<d2>/<m2>/<y2>"
_OF_ALL: Final = {
    "apis": activity.APIS,
    "versions": activity.VERSIONS,
    "codes": activity.CODES,
    "errors": activity.ERRORS,
    "keys": activity.KEYS,
    "endpoints": activity.ENDPOINTS,
    "oauthids": activity.CLIENTS,
}
_OF_ONE: Final = {  # name → (view, whether what is named is an API; otherwise it is the key or the client)
    "api": (activity.APIS, True),
    "versions": (activity.VERSIONS, True),
    "codes": (activity.CODES, True),
    "errors": (activity.ERRORS, True),
    "endpoint": (activity.ENDPOINTS, True),
    "key": (activity.APIS_OF_KEY, False),
    "keys": (activity.APIS_OF_KEY, False),
    "oauthid": (activity.CLIENTS, False),
}


@blueprint.get(f"/api/activity/<any({', '.join(_OF_ALL)}):what>/{_DATES}")
def count_all(what: str, **dates: str) -> Response:
    """`?res=hour|day|month&api_id=&p=&page_size=`."""
    return _counted(_OF_ALL[what], dates, Chosen(api_id=arguments.text("api_id")))


@blueprint.get(f"/api/activity/<any({', '.join(_OF_ONE)}):what>/<of>/{_DATES}")
def count_one(what: str, of: str, **dates: str) -> Response:
    """As `count_all`. of: an api_id, the public id of a key, or the id of an OAuth2 client."""
    view, names_api = _OF_ONE[what]
    return _counted(view, dates, Chosen(api_id=of) if names_api else Chosen(arguments.text("api_id"), of))


@blueprint.get("/api/gatehouse/requests")
def list_records() -> Response:
    """`?api_id=&key=&errors=1&since=&until=&p=&page_size=`: the newest first, of the last hour when no moment is given."""
    number, size = arguments.page()
    until = arguments.moment("until") or dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    since = arguments.moment("since") or until - min(dt.timedelta(hours=1, minutes=1), until - dt.datetime.min.replace(tzinfo=dt.UTC))
    if not dt.timedelta(0) <= until - since <= _LONGEST_LOOK:
        raise refusals.period_wrong(f"since must be before until, by at most {_LONGEST_LOOK.days} days")
    store = gateway().activity
    found, more = store.records(
        since,
        until,
        api_id=arguments.text("api_id"),
        key_id=arguments.text("key"),
        errors_only=arguments.flag("errors"),
        number=max(number, 0),
        size=size,
    )
    return answer({"data": [_shown_record(record) for record in found], "more": more, "recording": store.recording})


def _counted(view: View, dates: dict[str, str], chosen: Chosen) -> Response:
    resolution = _resolution()
    many = view.kind != rollups.API and chosen == Chosen()
    period = _period(dates, resolution, (_MOST_DAYS_OF_MANY if many else _MOST_DAYS)[resolution])
    number, size = arguments.page()
    store = gateway().activity
    found, total = store.page(view, period, resolution, chosen, number, size)
    if number < 0 and total > activity.MOST_AT_ONCE:
        raise refusals.too_much_activity(total, activity.MOST_AT_ONCE)
    shown = [_shown(one, view, resolution) for one in found]
    return answer({"data": shown, "pages": pages(total, number, size), "total": total, "recording": store.recording})


def _resolution() -> Resolution:
    given = request.args.get("res") or "day"
    for known in get_args(Resolution):
        if given == known:
            return known  # type: ignore[no-any-return]
    raise refusals.period_wrong("res must be hour, day or month")


def _period(dates: dict[str, str], resolution: Resolution, most: int) -> Period:
    found = []
    for number in ("1", "2"):
        day, month, year = (dates[part + number] for part in "dmy")
        try:
            found.append(dt.date(int(year), int(month), int(day)))
        except (ValueError, OverflowError):
            raise refusals.period_wrong(f"{day}/{month}/{year} is not a date: day, month and year are wanted, such as 31/1/2030") from None
    since, until = found
    if not (since.year in _YEARS and until.year in _YEARS and 0 <= (until - since).days < most):
        raise refusals.period_wrong(
            f"the second date must not be before the first, and with res={resolution} at most {most} days may be asked for"
        )
    return Period(since, until)


def _shown(one: Counted, view: View, resolution: Resolution) -> dict[str, Any]:
    """Return what Tyk's Dashboard shows: `request_time` is the average, in milliseconds; what does not apply is 0 or empty."""
    at, by = one.start, one.by
    item = by.get("item", "")
    is_api = view.kind == rollups.API and "api_id" in by
    id = {
        "hour": at.hour if resolution == "hour" else 0,
        "day": 0 if resolution == "month" else at.day,
        "month": at.month,
        "year": at.year,
        "api_id": by.get("api_id", ""),
        "api_name": one.name if is_api else "",
        "version": by.get("version", ""),
        "code": by.get("code", 0),
        "path": item if view.kind == rollups.PATH else "",
        "key": item if view.kind == rollups.KEY else "",
        "alias": one.name if view.kind == rollups.KEY else "",
        "oauth_id": item if view.kind == rollups.OAUTH else "",
    }
    return {
        "id": id,
        "hits": one.hits,
        "success": one.success,
        "error": one.error,
        "request_time": round(one.request_ms / one.hits, 3),
        "total_request_time": one.request_ms,
        "last_hit": isoformat(one.last_hit),
    }


def _shown_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as Tyk's gateway writes it."""
    at: dt.datetime = record["at"]
    return {
        "Method": record["method"],
        "Path": record["path"],
        "RawPath": record["raw_path"],
        "ContentLength": record["content_length"],
        "UserAgent": record["user_agent"],
        "Day": at.day,
        "Month": at.month,
        "Year": at.year,
        "Hour": at.hour,
        "ResponseCode": record["code"],
        "APIKey": record["key_id"],
        "TimeStamp": isoformat(at),
        "APIVersion": record["version"],
        "APIName": record["api_name"],
        "APIID": record["api_id"],
        "OrgID": record["org_id"],
        "OauthID": record["oauth_id"],
        "RequestTime": record["request_us"] / 1000,
        "RawRequest": record["raw_request"],
        "Alias": record["alias"],
        "Tags": record["tags"],
        "ExpireAt": isoformat(record["expires"]),
    }
