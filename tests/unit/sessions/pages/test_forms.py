"""Events fired by the forms of their pages."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from services.sessions.events.events import Event, Parameter
from services.sessions.events.kinds import BOOLEAN, choice, integer, number, optional, secret, text, value_of
from services.sessions.pages.forms import body, curl, fields
from tests.unit.sessions.conftest import API, Joined, value
from tests.unit.sessions.pages.reading import Form, Page
from tests.unit.sessions.pages.test_pages import BROWSER, EVENTS, browse, page

ODD = ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "\u202eright to left", "שלום", "x" * 64]


def form_of(api: API, name: str, who: str = "edit", **query: str) -> Form:
    return page(browse(api, f"{EVENTS}{name}/", who, **query)).forms[0]


def send(api: API, form: Form, who: str | None = "edit", headers: dict[str, str] | None = None, **typed: object) -> TestResponse:
    return api.send("POST", form.action, who, data=form.filled(**typed), headers={"Accept": BROWSER, **(headers or {})})


def test_a_session_is_created_started_joined_and_opened_by_forms_and_links(api: API) -> None:
    created = page(send(api, form_of(api, "CREATE_NEW_PROJECT"), name="demo"))
    form = page(api.send("GET", created.links["Start demo"], "edit", headers={"Accept": BROWSER})).forms[0]
    assert form.values["project"] == "demo"
    started = page(send(api, form, sessionType="MULTI"))
    form = page(api.send("GET", started.links["Join session 1"], "edit", headers={"Accept": BROWSER})).forms[0]
    assert form.values["sessionID"] == "1"
    joined = page(send(api, form, computerName="agent"))
    address = joined.links["Open session 1"]
    token, client = (part.partition("=")[2] for part in address.partition("?")[2].split("&"))
    assert len(api.items(Joined(1, token, client), "STAKEHOLDERS")) == 4
    assert f"sessionID=1&token={token}&clientToken={client}" in joined.links["Leave session 1"]


def test_fields_are_typed(api: API) -> None:
    form = form_of(api, "START_NEW_SESSION")
    assert form.choices["sessionType"] == ["SINGLE", "MULTI", "EDITOR"]
    assert form.choices["language"][0] == ""
    assert "required" in form.attributes["project"]
    assert "required" not in form.attributes["groupToken"]
    assert form.attributes["preferredSessionID"]["type"] == "number"
    assert form.attributes["project"]["maxlength"] == "64"


def test_a_mistake_comes_back_beside_its_field_with_what_was_typed(api: API) -> None:
    form = form_of(api, "JOIN_SESSION")
    answer = send(api, form, sessionID="one", appType="BEAMER", computerName=ODD[0])
    again = page(answer, 400)
    assert "Expected a whole number, not &#34;one&#34;." in answer.text
    assert again.forms[0].attributes["sessionID"]["aria-invalid"] == "true"
    assert "aria-invalid" not in again.forms[0].attributes["computerName"]
    assert again.forms[0].filled(csrf="") == form.filled(sessionID="one", appType="BEAMER", computerName=ODD[0], csrf="")
    assert "script" not in again.elements


def test_what_was_typed_is_text_only(api: API) -> None:
    number_ = api.running()
    for odd in ODD:
        again = page(send(api, form_of(api, "START_NEW_SESSION"), project=odd, sessionType="MULTI"), 404)
        assert again.forms[0].values["project"] == odd
        joined = page(send(api, form_of(api, "JOIN_SESSION"), sessionID=number_, computerName=odd))
        for found in (again, joined):
            assert "script" not in found.elements
            assert found.elements.count("img") == 1


def test_a_refusal_keeps_its_status_and_headers(api: API) -> None:
    form = form_of(api, "START_NEW_SESSION")
    answer = send(api, form, "join", project="demo", sessionType="MULTI", csrf=form_of(api, "START_NEW_SESSION", "host").values["csrf"])
    assert (answer.status_code, answer.headers["X-Status-Detail"]) == (400, "403")
    found = Page(answer.text)
    assert found.forms == []
    assert "it needs the level HOST_SESSION, and you have JOIN_ONLY" in answer.text


def test_without_the_level_there_is_no_form(api: API) -> None:
    answer = browse(api, f"{EVENTS}START_NEW_SESSION/", "join")
    assert page(answer).forms == []
    assert "-u USER" in answer.text


def test_a_form_of_another_user_or_an_old_one_is_no_longer_valid(api: API) -> None:
    theirs = form_of(api, "CREATE_NEW_PROJECT", "edit2").values["csrf"]
    for token in (theirs, "", "1.2", "9" * 40, theirs.replace(theirs[:4], "1000", 1), "٣.x"):
        form = form_of(api, "CREATE_NEW_PROJECT")
        answer = send(api, form, name="demo", csrf=token)
        again = page(answer, 403)
        assert "no longer valid" in answer.text
        assert again.forms[0].values["name"] == ""
    assert page(send(api, again.forms[0], name="demo")).links["Start demo"]


def test_the_seeds_bare_form_post_works(api: API) -> None:
    api.project()
    answer = api.send("POST", f"{EVENTS}START_NEW_SESSION/", "host", data={"0": "MULTI", "1": "demo"}, headers={"Accept": "text/html"})
    assert page(answer).links["Join session 1"]
    answer = api.send("POST", f"{EVENTS}START_NEW_SESSION/", "host", data={"SESSIONTYPE": "single_player", "project": "demo"})
    assert page(answer).links["Join session 2"]
    answer = api.send("POST", f"{EVENTS}JOIN_SESSION/?f=JSON", "host", data={"0": "1", "1": "PARTICIPANT", "2": "agent"})
    assert value(answer)["client"]["computerName"] == "agent"  # four values or fewer have no address


SITES: tuple[tuple[dict[str, str], int], ...] = (
    ({"Origin": "http://localhost"}, 200),
    ({"Origin": "null"}, 200),  # of a page with no-referrer, by plain HTTP: the token in the form shows that it is ours
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Origin": "http://localhost:81"}, 403),
    ({"Origin": "http://sub.localhost"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
    ({"Origin": "https://gate.example", "X-Forwarded-Host": "gate.example", "X-Forwarded-Proto": "https"}, 200),
    ({"Origin": "http://localhost", "X-Forwarded-Host": "gate.example"}, 403),
)


def test_no_other_site_fires_an_event(api: API) -> None:
    for place, (headers, status) in enumerate(SITES):
        form = form_of(api, "CREATE_NEW_PROJECT")
        if headers.get("Sec-Fetch-Site") == "cross-site":
            del form.values["csrf"]  # a foreign page knows none
        answer = send(api, form, headers=headers, name=f"form-{place}")
        assert answer.status_code == status, headers
        assert ("page of another site" in answer.text) == (status == 403)
        by_program = api.send("POST", f"{EVENTS}CREATE_NEW_PROJECT/?f=JSON", "edit", json=[f"json-{place}"], headers=headers)
        assert by_program.status_code == (403 if headers == {"Origin": "null"} else status), headers


def test_origin_null_without_the_token_is_refused(api: API) -> None:
    answer = api.send("POST", f"{EVENTS}CREATE_NEW_PROJECT/", "edit", data={"name": "demo"}, headers={"Accept": BROWSER, "Origin": "null"})
    assert answer.status_code == 403


def test_a_list_has_the_forms_of_the_events_that_change_it(api: API) -> None:
    joined = api.join(api.running())
    query = {"token": joined.token, "clientToken": joined.client}
    shown = page(browse(api, "/api/session/items/BUILDINGS/", **query))
    assert [one.action.partition("?")[0].split("/")[-2] for one in shown.forms] == ["BUILDING_PLACE", "BUILDING_MOVE", "BUILDING_REMOVE"]
    outline = "[[10, 10], [30, 10], [30, 25]]"
    answer = send(api, shown.forms[0], None, stakeholderID=0, name="<b>House</b>", floors=2, polygon=outline)
    assert page(answer).heading == "BUILDING_PLACE"
    shown = page(browse(api, "/api/session/items/BUILDINGS/", **query))
    assert "&lt;b&gt;House&lt;/b&gt;" in api.send("GET", shown.links["0"], headers={"Accept": BROWSER}).text
    assert shown.links["Show in GEOJSON format"].endswith("f=GEOJSON")
    again = page(send(api, shown.forms[0], None, stakeholderID=0, name="House", floors=2, polygon="[[1, 1], [0, NaN"), 400)
    assert (again.forms[0].values["polygon"], again.forms[0].attributes["polygon"]["aria-invalid"]) == ("[[1, 1], [0, NaN", "true")


def test_a_password_is_not_written_back(api: API) -> None:
    form = page(browse(api, "/api/services/event/UserServicesEventType/SET_USER_PASSWD/", "admin")).forms[0]
    assert form.attributes["password"]["type"] == "password"
    answer = send(api, form, "admin", password="p" * 300)  # too long
    assert "p" * 200 not in answer.text
    assert page(answer, 400).forms[0].values["password"] == ""


def test_waiting_and_life_signs_have_forms(api: API) -> None:
    joined = api.join(api.running())
    query = {"token": joined.token, "clientToken": joined.client}
    form = page(browse(api, "/api/session/update/", **query)).forms[0]
    answer = send(api, form, None, headers={"Origin": "null"}, TIMES=-1)
    assert "TIMES" in answer.text
    assert page(answer).heading == "update"
    form = page(browse(api, "/api/session/resettimeout/", **query)).forms[0]
    assert "true" in send(api, form, None).text
    assert api.get("/api/session/update/", **query).status_code == 405
    assert api.send("POST", "/api/session/resettimeout/?f=JSON", headers=query).json is True


def _event(*parameters: Parameter) -> Event:
    return Event(("NAME",), "NONE", parameters, lambda: None)


def test_fields_examples_and_commands_of_all_kinds() -> None:
    polygon = value_of("polygon", {"example": [[0, 0], [10, 0], [10, 10]]}, lambda value: value)
    event = _event(
        Parameter("kind", choice(("A", "B")), ""),
        Parameter("floors", integer(1, 200), ""),
        Parameter("share", number(0.5, 1.5), ""),
        Parameter("open", BOOLEAN, ""),
        Parameter("secret", secret(256), ""),
        Parameter("name", text(64), ""),
        Parameter("story", text(), ""),
        Parameter("polygon", polygon, ""),
        optional("more", integer(), ""),
    )
    typed = {"kind": "b", "secret": "hidden", "story": "\nleading", "1": "7"}
    found = {one.parameter.name: one for one in fields(event, typed, {"floors": "too many"})}
    controls = {name: one.control for name, one in found.items()}
    assert controls == {
        "kind": "select", "floors": "number", "share": "number", "open": "select", "secret": "password", "name": "text",
        "story": "textarea", "polygon": "textarea", "more": "number",
    }  # fmt: skip
    values: dict[str, Any] = {name: one.value for name, one in found.items() if one.value}
    assert values == {"kind": "B", "story": "\nleading", "floors": "7"}
    assert (found["floors"].wrong, found["floors"].attributes) == ("Too many.", {"min": "1", "max": "200"})
    assert found["share"].attributes == {"min": "0.5", "max": "1.5", "step": "any"}
    assert found["more"].hint == "whole number, optional"
    assert body(event) == '["A", 1, 0.5, true, "secret", "name", "story", [[0, 0], [10, 0], [10, 10]]]'
    command = curl(_event(Parameter("who's", text(), "")), "http://h/x/", in_session=True)
    assert command.endswith("""-d '["who'"'"'s"]' \\\n  'http://h/x/?f=JSON'""")
