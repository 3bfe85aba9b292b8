"""Moments that every store keeps and gives back, whatever its time zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from services.mobility import moments
from tests.unit.mobility.conftest import STATION, MakeAPI, good


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01T00:00:00.500000Z"),
        ("9999-12-31", "9999-12-31T00:00:00Z"),
        ("0001-01-02", "0001-01-02T00:00:00Z"),
    ],
)
def test_moments_are_shown_in_utc(text: str, shown: str) -> None:
    found = moments.read(text)
    assert found is not None
    assert (found.tzinfo, moments.show(found)) == (dt.UTC, shown)
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        assert moments.show(found.astimezone(ZoneInfo(zone))) == shown


@pytest.mark.parametrize(
    "given", [None, 5, [], "", "soon", "2026-13-01", "0001-01-01", "9999-12-31T23:00", "0001-01-01T00:00+14:00", "9999-12-31T23:00-12:00"]
)
def test_what_is_no_moment(given: object) -> None:
    assert moments.read(given) is None


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_database_in_another_zone_gives_them_back(make_api: MakeAPI, zone: str) -> None:
    api = make_api()
    with api.parts.database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            name = connection.scalar(sa.text("SELECT current_database()"))
            connection.execute(sa.text(f"ALTER DATABASE \"{name}\" SET timezone TO '{zone}'"))
    api.parts.database.engine.dispose()
    validity = ["0001-01-01T16:00:00Z", "9999-12-31T07:59:59Z"]
    good(api.put("/layer/a.rail", {"data": {"validity": validity}}))
    good(api.put(f"/{STATION}/a.rail", {"data": {}, "validity": validity}))
    assert good(api.get("/layer/a.rail"))["results"][0]["validity"] == validity
    assert good(api.get(f"/{STATION}/a.rail"))["results"][0]["a.rail"]["validity"] == validity
