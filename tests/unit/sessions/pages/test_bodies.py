"""What events take: lists, objects and forms, good and bad."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from services.common.refusal import Refusal
from services.sessions import refusals
from services.sessions.events.events import Event, Kind, Parameter, by_name, by_position, from_form
from services.sessions.events.kinds import BOOLEAN, choice, integer, number, optional, secret, text, value_of
from services.sessions.events.sets import IO, SESSION, USER
from tests.unit.sessions.conftest import API, refused, value
from tests.unit.sessions.pages.conftest import BOTH_STORES
from tests.unit.sessions.pages.test_pages import EVENTS

START = f"{EVENTS}START_NEW_SESSION/?f=JSON"


def post(api: API, body: bytes, who: str = "host", content_type: str = "application/json") -> TestResponse:
    return api.send("POST", START, who, data=body, content_type=content_type)


GOOD = (
    b'["MULTI","demo"]',
    b'["MULTI","demo",null,null,null]',
    b'["multi_player","demo","en"]',
    b'{"sessionType":"MULTI","project":"demo"}',
    b'{"SESSIONTYPE":"MULTI","Project":"demo","language":null}',
    b'{"0":"MULTI","1":"demo"}',
    b'{"0":"MULTI","project":"demo"}',
    b'\xef\xbb\xbf["MULTI","demo"]',
    b'["MULTI","demo",null,null,"group"]',
)


def test_good_bodies(api: API) -> None:
    api.project()
    for body in GOOD:
        first: int = value(post(api, body))
        assert value(post(api, body, content_type="application/json; charset=latin-1")) == first + 1


BAD = (
    (b"", "START_NEW_SESSION needs sessionType. It takes sessionType, project, language?, preferredSessionID?, groupToken?."),
    (b"[]", "START_NEW_SESSION needs sessionType."),
    (b"null", "START_NEW_SESSION needs sessionType."),
    (b'"x"', "START_NEW_SESSION takes a list"),
    (b"7", "START_NEW_SESSION takes a list"),
    (b"{", "the body is not JSON: Expecting property name enclosed in double quotes at line 1, column 2."),
    (b'["MULTI","demo",null,null,null,1]', "START_NEW_SESSION takes sessionType, project"),
    (b'["PARTY","demo"]', "sessionType of START_NEW_SESSION: expected one of SINGLE, MULTI, EDITOR, SINGLE_PLAYER, MULTI_PLAYER, not"),
    (b'["MULTI",7]', "project of START_NEW_SESSION: expected a text, not 7"),
    (b'["MULTI","demo",null,NaN]', "the body is not JSON"),
    (b'["MULTI","demo",null,1e999]', "preferredSessionID of START_NEW_SESSION: expected a whole number, not Infinity"),
    (b'["MULTI","demo",null,' + b"9" * 400 + b"]", "preferredSessionID of START_NEW_SESSION: expected a whole number from"),
    (b'["MULTI","demo",null,' + b"9" * 9000 + b"]", "the body is not JSON: nested too deeply, or a number"),
    (b'["MULTI","demo",null,true]', "preferredSessionID of START_NEW_SESSION: expected a whole number, not true"),
    (b"[" * 200_000, "the body is not JSON: nested too deeply"),
    (b'["MULTI","d\\u0000"]', "project of START_NEW_SESSION: holds a character that cannot be stored"),
    (b'["MULTI","\\ud800"]', "project of START_NEW_SESSION: holds a character that cannot be stored"),
    (b'["\\ud800","demo"]', "sessionType of START_NEW_SESSION: expected one of"),
    (b'{"\\ud800":1}', "START_NEW_SESSION has no value"),
    (b'{"party":"MULTI"}', "START_NEW_SESSION has no value 'party'. It takes"),
    (b'{"project":"demo","project":"other"}', "the body is not JSON: an object has 'project' twice."),
    (b'{"project":"demo","Project":"other"}', "START_NEW_SESSION has project twice."),
    (b'{"1":"demo","project":"other"}', "START_NEW_SESSION has project twice."),
    (b'["MULTI","d\xffmo"]', "the body is not JSON: it is not UTF-8."),
    ('["MULTI","dé"]'.encode("latin-1"), "the body is not JSON: it is not UTF-8."),
)


def test_bad_bodies(sqlite_api: API) -> None:
    for body, said in BAD:
        refused(post(sqlite_api, body), 400, f"INVALID_REQUEST: {said}")


def test_rights_come_before_the_body(sqlite_api: API) -> None:
    refused(post(sqlite_api, b"{", "join"), 400, "INSUFFICIENT_RIGHTS")


BAD_FORMS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"sessionType": ["MULTI", "SINGLE"], "project": "demo"}, "the form has 'sessionType' more than once."),
    ({"sessionType": "MULTI", "project": "demo", "preferredSessionID": "NaN"}, "preferredSessionID of START_NEW_SESSION"),
    ({"sessionType": "MULTI", "project": "demo", "preferredSessionID": "9" * 5000}, "preferredSessionID of START_NEW_SESSION"),
    ({"sessionType": "", "project": "demo"}, "sessionType of START_NEW_SESSION"),
    ({"sessionType": "MULTI", "nope": "demo"}, "START_NEW_SESSION has no value 'nope'."),
    ({}, "START_NEW_SESSION needs sessionType."),
)


def test_bad_forms(sqlite_api: API) -> None:
    for (form, said), content_type in itertools.product(BAD_FORMS, ("application/x-www-form-urlencoded", "multipart/form-data")):
        refused(sqlite_api.send("POST", START, "host", data=form, content_type=content_type), 400, f"INVALID_REQUEST: {said}")


def test_a_form_with_a_file_is_refused(sqlite_api: API) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="project"; filename="a"\r\n\r\ndemo\r\n--x--\r\n'
    answer = sqlite_api.send("POST", START, "host", data=body, content_type="multipart/form-data; boundary=x")
    refused(answer, 400, "INVALID_REQUEST: a form may not send files")
    nameless = b"--x\r\nContent-Disposition: form-data\r\n\r\nMULTI\r\n--x--\r\n"
    answer = sqlite_api.send("POST", START, "host", data=nameless, content_type="multipart/form-data; boundary=x")
    refused(answer, 400, "INVALID_REQUEST: the form has a part without a name")
    answer = sqlite_api.send("POST", START, "host", data=b"--x\r\nnonsense", content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400


KINDS: tuple[Kind, ...] = (
    text(64), text(), secret(256), integer(), integer(0, 5), number(-1, 1e6), choice(("A", "B")), choice(("A", "a_b"), ("A",)), BOOLEAN,
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(value=JSON_VALUES, written=st.text(st.characters()))
def test_kinds_read_anything_or_say_what_they_expect(kind: Kind, value: Any, written: str) -> None:
    event = Event(("NAME",), "NONE", (Parameter("one", kind, ""), optional("two", kind, "")), lambda: None)
    bodies: tuple[Callable[[], Any], ...] = (
        lambda: by_position(event, [value]),
        lambda: by_name(event, {"one": value}),
        lambda: by_name(event, {written: value}),
        lambda: from_form(event, {"0": written}),
        lambda: from_form(event, {written: written}),
    )
    for body in bodies:
        read = _outcome(body)
        if isinstance(read, Refusal):
            read.message.encode()
            assert read.status == 400
        else:
            first, second = read
            assert second is None
            assert kind.read(first) == first
            assert not isinstance(first, float) or math.isfinite(first)


def _outcome(body: Callable[[], Any]) -> Any:
    try:
        return body()
    except Refusal as refusal:
        return refusal


def test_values_of_another_form_are_json_in_a_form() -> None:
    event = Event(("NAME",), "NONE", (Parameter("shape", value_of("list", {}, lambda value: value), ""),), lambda: None)
    assert from_form(event, {"shape": "[[1, 2]]"}) == [[[1, 2]]]
    assert from_form(event, {"shape": "POINT (1 2)"}) == ["POINT (1 2)"]
    assert from_form(event, {"shape": "[" * 100_000}) == ["[" * 100_000]


ROOT = [(f"/api/services/event/{one.names[0]}/{event.name}/", event) for one in (IO, USER) for event in one]
IN_SESSION = [(f"/api/session/event/{SESSION.names[0]}/{event.name}/", event) for event in SESSION]


def _plausible(event: Event) -> st.SearchStrategy[list[Any]]:
    """Values that come through the reading more often than any."""
    return st.tuples(*(_of_kind(one) | JSON_VALUES for one in event.parameters)).map(list)


def _of_kind(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.kind.choices:
        return st.sampled_from([*parameter.kind.choices, True])
    if parameter.kind.schema.get("type") in ("integer", "number"):
        return st.integers(0, 3)
    return st.sampled_from(["demo", "<b>", "a b", "x" * 100, "[[0,0],[9,0],[9,9]]"]) | st.just([[0, 0], [9, 0], [9, 9]])


@BOTH_STORES
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_event_breaks_by_what_is_sent(api: API, data: st.DataObject) -> None:
    """Whatever is sent to any event in any way: a good answer, or a refusal in plain text."""
    vars(api.parts.accounts)["_ask"] = _away
    joined = getattr(api, "joined", None)
    if joined is None or api.get("/api/session/items/TIMES/", token=joined.token).status_code != 200:
        with_name = f"demo-{next(_names)}"
        joined = api.join(api.start(api.project(with_name)), "admin")
        object.__setattr__(api, "joined", joined)
    for path, event in [*ROOT, *IN_SESSION]:
        values = data.draw(_plausible(event))
        names = [one.name for one in event.parameters]
        body, form = data.draw(
            st.sampled_from(
                [
                    (values, False),
                    (values[:-1], False),
                    (dict(zip(names, values, strict=True)), False),
                    ({str(place): str(one) for place, one in enumerate(values)}, True),
                    ({name: str(one) for name, one in zip(names, values, strict=True)}, True),
                ]
            )
        )
        options: dict[str, Any] = {"data": body} if form else {"data": json.dumps(body), "content_type": "application/json"}
        in_session = path.startswith("/api/session/")
        headers = {"token": joined.token, "clientToken": joined.client} if in_session else {}
        html = data.draw(st.booleans())
        who = None if in_session else "admin"
        answer = api.send("POST", f"{path}?f={'HTML' if html else 'JSON'}", who, headers=headers, **options)
        assert answer.status_code < 500 or answer.status_code == 503, (path, body, answer.text)
        assert answer.mimetype == ("text/html" if html else "application/json" if answer.status_code == 200 else "text/plain")


_names = itertools.count()


def _away(*_: object, **__: object) -> None:
    """Stand for an auth that can be asked who somebody is, and nothing else."""
    raise refusals.auth_unavailable()
