"""Tokens of devices: created, listed, rotated, ended, removed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from services.devices.registry.rules.listing import is_named
from tests.unit.devices.conftest import ACC, ACC_WRITE, ANALYSIS, ANALYSIS_READ, API, MadeDevice, refused, result

BODY = "Error on Body parameters"
DENIED = "Authorization denied"


def test_a_token_with_an_end(api: API) -> None:
    made = api.device()
    given = {"device": made.id, "name": "x", "permission": "read", "expire_time": "3 hours"}
    new = result(api.post("/device/token", given), 201)
    assert (new["permission"], new["expire_time"], new["expire_date"]) == ("read", *["2026-01-01T03:00:00.000Z"] * 2)
    result(api.get("/info", new["token"]))
    api.clock.move(3 * 3600 - 0.001)
    result(api.get("/info", new["token"]))
    api.clock.move(0.001)
    refused(api.get("/info", new["token"]), 401, DENIED)
    result(api.get("/info", made.token))


def test_an_end_counts_although_the_token_is_remembered(api: API) -> None:
    made = api.device()
    new = result(api.post("/device/token", {"device": made.id, "name": "x", "expire_time": "2026-01-01T00:00:00.500Z"}), 201)
    result(api.get("/info", new["token"]))
    api.clock.move(0.5)
    refused(api.get("/info", new["token"]), 401, DENIED)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (None, "2026-02-01T00:00:00.000Z"),
        ("never", "never"),
        ("Never", "never"),
        ("1 minute", "2026-01-01T00:01:00.000Z"),
        ("2 days", "2026-01-03T00:00:00.000Z"),
        ("1 week", "2026-01-08T00:00:00.000Z"),
        ("1 year", "2027-01-01T00:00:00.000Z"),
        ("2026-03-01T00:00:00+02:00", "2026-02-28T22:00:00.000Z"),
        ("2026-01-02 03:04:05.006000", "2026-01-02T03:04:05.006Z"),
    ],
)
def test_how_an_end_is_written(sqlite_api: API, sqlite_device: MadeDevice, text: str | None, ends: str) -> None:
    new = result(sqlite_api.post("/device/token", {"device": sqlite_device.id, "name": "x", "expire_time": text}), 201)
    assert new["expire_time"] == ends


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"expire_time": "2025-12-31T23:59:59Z"}, "expire_time"), ({"expire_time": "2026-01-01T00:00:00Z"}, "expire_time"),
        ({"expire_time": "0 hours"}, "expire_time"), ({"expire_time": "soon"}, "expire_time"), ({"expire_time": 3}, "expire_time"),
        ({"expire_time": "999999999 years"}, "expire_time"), ({"expire_time": "2026-02-30"}, "expire_time"),
        ({"permission": "all"}, "permission"), ({"name": ""}, "name"), ({"name": None}, "name"), ({"serie_number": 5}, "serie_number"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_token(sqlite_api: API, sqlite_device: MadeDevice, given: dict[str, object], wrong: str) -> None:
    assert set(refused(sqlite_api.post("/device/token", {"device": sqlite_device.id, "name": "x", **given}), 400, BODY)) == {wrong}


def test_the_list_shows_no_token(api: API) -> None:
    made = api.device()
    api.clock.move(1)
    new = result(api.post("/device/token", {"device": made.id, "name": "second", "permission": "write", "serie_number": "SN"}), 201)
    answer = api.get(f"/device/token/{made.id}")
    assert made.token not in answer.text and new["token"] not in answer.text
    second, first = result(answer)
    assert (first["name"], first["permission"], first["expire_time"], first["last_four"]) == ("Default", "full", "never", made.token[-4:])
    assert (second["name"], second["serie_number"], second["last_four"]) == ("second", "SN", new["token"][-4:])
    assert second["id"] == second["token"] == new["id"] and second["last_authorization"] is None
    query = {"fields": ["name", "token"], "orderBy": "name,asc", "amount": 1, "page": 2}
    assert [one.keys() for one in result(api.get(f"/device/token/{made.id}", query_string=query))] == [{"id", "name", "token"}]


def test_the_list_by_filter(api: API) -> None:
    made = api.device(serie_number="SN-1")
    for name, permission in (("Étage 1", "read"), ("étage 2", "write"), ("Ét%", "read")):
        api.clock.move(60)
        result(api.post("/device/token", {"device": made.id, "name": name, "permission": permission}), 201)
    other = api.device("another")

    def names(**filters: str) -> list[str]:
        query = {f"filter[{name.replace('__', '][')}]": text for name, text in filters.items()}
        return [one["name"] for one in result(api.get(f"/device/token/{made.id}", query_string={"orderBy": "created_at,asc", **query}))]

    assert names() == ["Default", "Étage 1", "étage 2", "Ét%"]
    assert names(name="ÉTAGE*") == ["Étage 1", "étage 2"]
    assert names(name="ét%") == ["Ét%"]
    assert names(permission="read") == ["Étage 1", "Ét%"]
    assert names(permission="read", name="*1") == ["Étage 1"]
    assert names(serie_number="SN-1") == ["Default"]
    assert names(created_at__start="2026-01-01T00:02:00Z", created_at__end="2026-01-01T00:02:30Z") == ["étage 2"]
    assert names(name="nothing") == []
    (first,) = result(api.get(f"/device/token/{other.id}"))
    assert names(id=first["id"]) == []


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("abc", True), ("ABC", True), ("ab", False), ("bc", False), ("a*", True), ("*c", True), ("*b*", True), ("a*c", True), ("*", True),
        ("**", True), ("a*b*c", True), ("*a*b*c*", True), ("ab*bc", False), ("abc*c", False), ("*x*", False), ("a.c", False), ("", False),
    ],
)  # fmt: skip
def test_what_a_star_means(pattern: str, meant: bool) -> None:
    assert is_named("Abc", pattern) is meant


def test_the_list_says_when_a_token_was_used(api: API) -> None:
    made = api.device()
    api.clock.move(5)
    result(api.get("/info", made.token))
    assert [one["last_authorization"] for one in result(api.get(f"/device/token/{made.id}"))] == ["2026-01-01T00:00:05.000Z"]


@pytest.mark.parametrize("by", ["token", "id"])
def test_a_removed_token_is_dead_at_once(api: API, by: str) -> None:
    made = api.device()
    new = result(api.post("/device/token", {"device": made.id, "name": "x"}), 201)
    result(api.get("/info", new["token"]))
    assert result(api.delete(f"/device/token/{new[by]}")) == "Token Successfully Removed"
    refused(api.get("/info", new["token"]), 401, DENIED)
    refused(api.delete(f"/device/token/{new[by]}"), 404, "Invalid Device Token")
    result(api.get("/info", made.token))


def test_the_default_token_is_removed_like_any_other(api: API) -> None:
    made = api.device()
    result(api.delete(f"/device/token/{made.token.upper()}"))
    assert result(api.get(f"/device/token/{made.id}")) == []


@pytest.mark.parametrize("by", ["token", "id"])
def test_a_rotated_token_ends_and_the_new_one_has_its_place(api: API, by: str) -> None:
    made = api.device()
    old = result(api.post("/device/token", {"device": made.id, "name": "x", "permission": "read", "expire_time": "1 day"}), 201)
    result(api.get("/info", old["token"]))
    new = result(api.post(f"/device/token/{old[by]}/rotate"))
    assert new["token"] != old["token"] and {**new, "token": ""} == {**old, "token": ""}
    refused(api.get("/info", old["token"]), 401, DENIED)
    result(api.get("/info", new["token"]))
    assert {one["name"]: one["last_four"] for one in result(api.get(f"/device/token/{made.id}"))}["x"] == new["token"][-4:]


def test_nobody_draws_a_token_that_may_do_more_than_they(api: API) -> None:
    made = api.device()
    by_id = result(api.get(f"/device/token/{made.id}"))[0]["id"]

    def draw(permission: str, by: str) -> int:
        return api.post("/device/token", {"device": made.id, "name": "x", "permission": permission}, by).status_code

    assert [draw(permission, ACC_WRITE) for permission in ("full", "read", "write", "deny")] == [403, 403, 201, 201]
    assert [draw(permission, ANALYSIS) for permission in ("full", "read", "write")] == [201, 201, 201]
    assert draw("read", ANALYSIS_READ) == 403
    refused(api.post(f"/device/token/{by_id}/rotate", None, ACC_WRITE), 403, DENIED)


def test_a_token_that_denies_may_do_nothing(api: API) -> None:
    made = api.device()
    new = result(api.post("/device/token", {"device": made.id, "name": "x", "permission": "deny"}), 201)
    refused(api.get("/info", new["token"]), 403, DENIED)


def test_nothing_in_the_database_gives_a_token_away(api: API) -> None:
    made = api.device(serie_number="SN")
    new = result(api.post("/device/token", {"device": made.id, "name": "x"}), 201)
    with api.parts.database.read() as session:
        rows = [str(row) for row in session.execute(sa.text("SELECT * FROM device_tokens"))]
    assert len(rows) == 2 and not any(token in row for row in rows for token in (made.token, new["token"]))


def test_the_log_does_not_show_a_token_of_the_path(api: API, caplog: pytest.LogCaptureFixture) -> None:
    made = api.device()
    with caplog.at_level("INFO"):
        api.post(f"/device/token/{made.token}/rotate", None, ACC)
        api.delete(f"/device/token/{made.token}", None)
        api.get(f"/integration/network/resolve/SN/{made.token}", None)
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert "/device/token/<key>" in logged and made.token not in logged
