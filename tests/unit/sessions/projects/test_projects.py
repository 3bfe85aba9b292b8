"""Projects are created, found, changed and thrown away; who may do so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.sessions.projects import rules
from tests.unit.sessions.conftest import API, MakeAPI, refused, value

USED = "Project name is already used, please select another one."
TODAYS_FIELDS = {
    "languages", "permissions", "universal", "deleteDate", "archiveDate", "restoreDate", "lastActivity", "lastSessionID", "lastUser",
    "owner", "disclaimer", "editing", "template", "detailed", "description", "domain", "subDomain", "fileName", "versions", "versionMap",
    "activeVersion", "sizeM", "bbox", "byteSize",
}  # fmt: skip


def names(answer: TestResponse) -> list[str]:
    return [one["fileName"] for one in value(answer)]


def at_once(*works: Callable[[], TestResponse]) -> list[TestResponse]:
    """Run requests at the same moment, each in a thread."""
    ready = threading.Barrier(len(works))
    found: list[TestResponse | None] = [None] * len(works)

    def run(place: int) -> None:
        ready.wait(10)
        found[place] = works[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return [one for one in found if one is not None]


def test_a_new_project_is_as_todays_clients_read_one(api: API) -> None:
    made = value(api.io("ADD_PROJECT", "edit", "demo", "NL", True))
    assert made.keys() == TODAYS_FIELDS  # their JSON reader refuses a field that it does not know
    assert (made["fileName"], made["owner"], made["domain"]) == ("demo", "edit@example.org", "d")
    assert (made["languages"], made["permissions"], made["detailed"]) == (["NL"], ["WRITE", "READ", "NONE"], True)
    assert (made["versionMap"], made["activeVersion"], made["sizeM"]) == ({"0": "Base Version"}, 0, [500, 500])
    assert value(api.io("GET_PROJECT", "join", "demo")) == made
    assert value(api.io("get_project_data", "join", "demo")) == made


def test_what_runs_of_a_project_is_told(api: API) -> None:
    number = api.start(api.project(), "EDITOR")
    found = value(api.io("GET_PROJECT", "join", "demo"))
    assert (found["editing"], found["lastSessionID"]) == (True, number)


def test_names_are_checked(api: API) -> None:
    api.project()
    assert value(api.io("VALIDATE_PROJECT_NAME", "edit", "demo")) == USED
    assert value(api.io("VALIDATE_PROJECT_NAME", "edit", "new_one")) == ""
    for name in ("x", "Ünï", "a" * 21, "Demo", "a b", "", "abc\n"):
        assert value(api.io("VALIDATE_PROJECT_NAME", "edit", name)).startswith("A project's name has 3 to 20")
        refused(api.io("CREATE_NEW_PROJECT", "edit", name), 400, "INVALID_REQUEST: A project's name has")
        refused(api.io("SET_PROJECT_NAME", "edit", "demo", name), 400, "INVALID_REQUEST: A project's name has")


def test_a_name_is_used_once_in_all_domains(api: API) -> None:
    api.project()
    refused(api.io("CREATE_NEW_PROJECT", "edit", "demo"), 409, USED)
    refused(api.io("CREATE_NEW_PROJECT", "out", "demo"), 409, USED)
    api.project("other")
    refused(api.io("SET_PROJECT_NAME", "edit", "other", "demo"), 409, USED)
    assert value(api.io("SET_PROJECT_NAME", "edit", "demo", "demo")) is True


def test_of_two_who_take_one_name_at_once_one_gets_it(api: API) -> None:
    for name in ("a_1", "a_2", "a_3"):
        api.project(name)
    takers = [partial(api.io, "CREATE_NEW_PROJECT", who, "wanted") for who in ("edit", "out")]
    takers += [partial(api.io, "SET_PROJECT_NAME", "edit2", name, "wanted") for name in ("a_1", "a_2", "a_3")]
    value(api.io("SET_PROJECT_PERMISSION", "edit", "a_1", "DOMAIN", "WRITE"))
    found = at_once(*takers)
    assert sorted(one.status_code for one in found) == [200, 400, 400, 409, 409]  # edit2 writes a_1 only
    assert value(api.io("VALIDATE_PROJECT_NAME", "edit", "wanted")) == USED


REFUSED: list[tuple[str, str, list[Any] | None]] = [
    ("host", "CREATE_NEW_PROJECT", []),
    ("host", "SET_PROJECT_NAME", ["new_name"]),
    ("host", "SET_PROJECT_TRASHED", [True]),
    ("edit", "SET_PROJECT_TEMPLATE", [True]),
    ("edit", "GET_DOMAIN_PROJECTS", None),
    ("host", "GET_STARTABLE_TEMPLATES", None),
    ("host", "VALIDATE_PROJECT_NAME", []),
    ("none", "GET_PROJECT", []),
    # the level is enough, the project's permissions are not
    ("edit2", "SET_PROJECT_NAME", ["new_name"]),
    ("edit2", "SET_PROJECT_OWNER", ["edit2@example.org"]),
    ("edit2", "SET_PROJECT_TRASHED", [True]),
    ("edit2", "SET_PROJECT_ARCHIVED", [True]),
    ("edit2", "SET_PROJECT_LANGUAGE", ["NL", True]),
    ("edit2", "SET_PROJECT_PERMISSION", ["DOMAIN", "WRITE"]),
    ("edit2", "SET_PROJECT_SUB_DOMAIN", ["north"]),
    ("edit2", "SET_PROJECT_ACTIVE_VERSION", [0]),
    ("edit2", "SET_PROJECT_LOCATION", [52.0, 4.0]),
]


def test_rights_are_judged_by_level_and_by_project(api: API) -> None:
    before = value(api.io("GET_PROJECT", "edit", api.project()))
    for who, event, more in REFUSED:
        refused(api.io(event, who, *(() if more is None else ("demo", *more))), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.io("GET_PROJECT", "edit", "demo")) == before


def test_a_project_of_another_domain_is_not_there(api: API) -> None:
    api.project()
    refused(api.io("GET_PROJECT", "out", "demo"), 404, "There is no project 'demo'")
    refused(api.io("SET_PROJECT_TRASHED", "out", "demo", True), 404, "There is no project 'demo'")
    assert names(api.io("GET_STARTABLE_PROJECTS", "out")) == []
    refused(api.io("GET_STARTABLE_PROJECTS", "out", "d"), 400, "INSUFFICIENT_RIGHTS")
    # super users have what the support may
    refused(api.io("GET_PROJECT", "root", "demo"), 404, "There is no project")
    value(api.io("SET_PROJECT_PERMISSION", "edit", "demo", "support", "read"))
    assert names(api.io("GET_STARTABLE_PROJECTS", "root", "d")) == ["demo"]
    refused(api.io("SET_PROJECT_NAME", "root", "demo", "new"), 400, "INSUFFICIENT_RIGHTS")


def test_a_project_that_is_kept_from_the_domain(api: API) -> None:
    api.project()
    value(api.io("SET_PROJECT_PERMISSION", "edit", "demo", "DOMAIN", "NONE"))
    refused(api.io("GET_PROJECT", "join", "demo"), 400, "INSUFFICIENT_RIGHTS")
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == []
    assert names(api.io("GET_DOMAIN_PROJECTS", "admin")) == ["demo"]
    value(api.io("SET_PROJECT_PERMISSION", "admin", "demo", "DOMAIN", "WRITE"))
    assert value(api.io("SET_PROJECT_NAME", "edit2", "demo", "ours")) is True


def test_owners_protect_projects_from_themselves(api: API) -> None:
    api.project()
    value(api.io("SET_PROJECT_PERMISSION", "edit", "demo", "OWNER", "READ"))
    refused(api.io("SET_PROJECT_NAME", "edit", "demo", "other"), 400, "INSUFFICIENT_RIGHTS: you may only read")
    value(api.io("SET_PROJECT_PERMISSION", "edit", "demo", "OWNER", "WRITE"))
    assert value(api.io("SET_PROJECT_NAME", "edit", "demo", "other")) is True


def test_a_project_is_given_to_somebody_else(api: API) -> None:
    api.project()
    assert value(api.io("SET_PROJECT_OWNER", "edit", "demo", "Edit2@Example.org")) is True
    refused(api.io("SET_PROJECT_SUB_DOMAIN", "edit", "demo", "north"), 400, "INSUFFICIENT_RIGHTS")
    assert value(api.io("SET_PROJECT_SUB_DOMAIN", "edit2", "demo", "north")) is True
    found = value(api.io("GET_PROJECT", "edit", "demo"))
    assert (found["owner"], found["subDomain"]) == ("Edit2@Example.org", "north")
    refused(api.io("SET_PROJECT_SUB_DOMAIN", "edit2", "demo", "a b"), 400, "INVALID_REQUEST: a sub-domain's name")


def test_running_projects_keep_name_place_and_bin(api: API) -> None:
    api.start(api.project())
    for event, *values in (
        ("SET_PROJECT_NAME", "other"), ("SET_PROJECT_TRASHED", True), ("SET_PROJECT_ARCHIVED", True), ("SET_PROJECT_ACTIVE_VERSION", 0),
        ("SET_PROJECT_LOCATION", 52.0, 4.0),
    ):  # fmt: skip
        refused(api.io(event, "edit", "demo", *values), 409, "The project 'demo' runs as a session.")
    assert value(api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "NL", True)) is True
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == ["demo"]


def test_of_a_start_and_a_trash_at_once_one_happens(api: API) -> None:
    for turn in range(4):
        name = api.project(f"demo{turn}")
        started, trashed = at_once(
            partial(api.io, "START_NEW_SESSION", "edit", "MULTI", name),
            partial(api.io, "SET_PROJECT_TRASHED", "edit", name, True),
        )
        assert (started.status_code, trashed.status_code) in ((200, 409), (404, 200)), (started.text, trashed.text)


def test_the_trash_is_emptied_after_three_days(api: API) -> None:
    api.project()
    assert value(api.io("SET_PROJECT_TRASHED", "edit", "demo", True)) is True
    trashed = value(api.io("GET_PROJECT", "edit", "demo"))
    assert trashed["restoreDate"] - trashed["deleteDate"] == 3 * 86_400_000
    refused(api.io("START_NEW_SESSION", "edit", "MULTI", "demo"), 404, "There is no project")
    refused(api.io("SET_PROJECT_NAME", "edit", "demo", "other"), 404, "There is no project")
    refused(api.io("CREATE_NEW_PROJECT", "edit", "demo"), 409, USED)
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == []
    assert names(api.io("GET_DOMAIN_PROJECTS", "admin")) == ["demo"]
    assert value(api.io("SET_PROJECT_TRASHED", "edit", "demo", False)) is True
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == ["demo"]

    value(api.io("SET_PROJECT_TRASHED", "edit", "demo", True))
    api.clock.move(3 * 86_400 - 1)
    assert value(api.io("SET_PROJECT_TRASHED", "edit", "demo", True)) is True  # a second time begins no new three days
    assert api.parts.projects.remove_trashed() == 0
    api.clock.move(2)
    assert api.parts.projects.remove_trashed() == 1
    refused(api.io("GET_PROJECT", "edit", "demo"), 404, "There is no project")


@pytest.mark.parametrize("event", ["CREATE_NEW_PROJECT", "SET_PROJECT_NAME"])
def test_a_name_is_free_after_three_days_though_nobody_has_swept(api: API, event: str) -> None:
    api.project("other")
    value(api.io("SET_PROJECT_TRASHED", "edit", api.project(), True))
    api.clock.move(3 * 86_400 + 1)
    assert value(api.io("VALIDATE_PROJECT_NAME", "edit", "demo")) == ""
    assert api.io(event, "edit", *(["other"] if event == "SET_PROJECT_NAME" else []), "demo").status_code == 200
    assert value(api.io("GET_PROJECT", "edit", "demo"))["deleteDate"] is None


def test_the_archive_holds_what_cannot_be_started(api: API) -> None:
    api.project()
    value(api.io("SET_PROJECT_ARCHIVED", "edit", "demo", True))
    assert value(api.io("GET_PROJECT", "edit", "demo"))["archiveDate"] > 0
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == []
    refused(api.io("START_NEW_SESSION", "edit", "MULTI", "demo"), 409, "Project demo is archived.")
    value(api.io("SET_PROJECT_ARCHIVED", "edit", "demo", False))
    assert names(api.io("GET_STARTABLE_PROJECTS", "join")) == ["demo"]


def test_templates_are_what_an_admin_says(api: API) -> None:
    api.project()
    assert names(api.io("GET_STARTABLE_TEMPLATES", "edit")) == []
    value(api.io("SET_PROJECT_TEMPLATE", "admin", "demo", True))
    assert names(api.io("GET_STARTABLE_TEMPLATES", "edit2")) == ["demo"]


def test_languages_come_and_go_but_one_stays(api: API) -> None:
    api.project()
    value(api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "NL", True))
    value(api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "NL", True))
    value(api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "EN", False))
    assert value(api.io("GET_PROJECT", "edit", "demo"))["languages"] == ["NL"]
    refused(api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "NL", False), 409, "NL is the only language")
    refused(
        api.io("SET_PROJECT_LANGUAGE", "edit", "demo", "FR", True),
        400,
        "INVALID_REQUEST: language of SET_PROJECT_LANGUAGE: expected one of",
    )


def test_a_map_gets_a_place(api: API) -> None:
    api.project()
    value(api.io("SET_PROJECT_LOCATION", "edit", "demo", 52.0, 4.5, 2000))
    assert value(api.get("/api/projects/demo/location/", "join")) == {"lat": 52.0, "lon": 4.5, "sizeM": [2000, 2000]}
    west, south, east, north = map(float, value(api.io("GET_PROJECT", "edit", "demo"))["bbox"].split(","))
    assert (west + east) / 2 == pytest.approx(500_937.71, abs=0.02)  # 4.5 degrees in EPSG:3857
    assert (south + north) / 2 == pytest.approx(6_800_125.45, abs=0.02)  # 52 degrees there
    assert (east - west, north - south) == pytest.approx((2000 / 0.61566, 2000 / 0.61566), rel=1e-4)  # cos 52°
    refused(api.io("SET_PROJECT_LOCATION", "edit", "demo", 52.0), 400, "INVALID_REQUEST: a place has both lat and lon")
    refused(api.io("SET_PROJECT_LOCATION", "edit", "demo", 90, 0), 400, "INVALID_REQUEST: lat of SET_PROJECT_LOCATION: expected a number")
    value(api.io("SET_PROJECT_LOCATION", "edit", "demo"))
    assert value(api.get("/api/projects/demo/location/", "join")) == {"lat": None, "lon": None, "sizeM": [2000, 2000]}


@pytest.mark.parametrize("mount", ["/api/services/projects/", "/api/projects/"])
def test_projects_have_addresses(api: API, mount: str) -> None:
    api.project()
    assert value(api.get(mount, "join")) == [value(api.get(f"{mount}demo/", "join"))]
    page = api.send("GET", mount, "edit")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert f'href="{mount}demo/"' in page.text
    assert 'name="highDetail"' in page.text  # the form that creates one
    assert "/SET_PROJECT_NAME/?project=demo" in api.send("GET", f"{mount}demo/", "join").text
    assert "/SET_PROJECT_LOCATION/?project=demo" in api.send("GET", f"{mount}demo/location/", "join").text
    refused(api.get(f"{mount}nope/", "join"), 404, "There is no project 'nope'")
    refused(api.get(mount, "none"), 400, "INSUFFICIENT_RIGHTS")
    assert api.get(mount).status_code == 401


def test_a_name_that_no_project_can_have(api: API) -> None:
    for name in ("%00", "demo%00", "%ff", "%ED%A0%80", "x" * 1000):
        for path in (f"/api/projects/{name}/", f"/api/projects/{name}/location/"):
            assert api.get(path, "edit").status_code == 404, path


def test_modern_statuses(make_api: MakeAPI) -> None:
    api = make_api(strict_status="modern")
    api.project()
    refused(api.io("SET_PROJECT_NAME", "edit2", "demo", "other"), 403, "INSUFFICIENT_RIGHTS")


def test_an_owner_by_name_is_one_of_the_domain() -> None:
    class Somebody:
        def __init__(self, domain: str, id: str = "1", level: str = "EDITOR") -> None:
            self.domain, self.id, self.level, self.email = domain, id, level, "a@example.org"

    class Owned:
        domain, owner_id, owner = "d", "", "A@example.org"
        owner_permission, domain_permission, support_permission = "WRITE", "NONE", "NONE"

    assert rules.right(Somebody("d"), Owned()) == "WRITE"
    assert rules.right(Somebody("e"), Owned()) == "NONE"
    known = Owned()
    known.owner_id = "2"
    assert rules.right(Somebody("d"), known) == "NONE"  # the address may belong to somebody else now
