"""Long polls: what they answer, when, and to whom."""

from __future__ import annotations

import pytest

from services.sessions import directory
from services.sessions.models import Item, ItemList
from services.sessions.updates import service
from tests.unit.sessions.conftest import API, Joined, MakeAPI, refused, value
from tests.unit.sessions.updates.conftest import UPDATE, add, change, end, held, poll, release, remove, versions


def test_the_first_poll_gets_all_items(api: API) -> None:
    joined = api.join(api.running())
    found = value(poll(api, joined, {"STAKEHOLDERS": -1}))
    assert set(found) == {"items", "deletes", "timeStamp"}
    assert [(one["id"], one["version"]) for one in found["items"].pop("STAKEHOLDERS")] == [(number, 1) for number in range(4)]
    assert found["items"] == {}
    assert found["deletes"] == {}
    assert found["timeStamp"] == int(api.clock.now().timestamp() * 1000)


def test_ways_to_say_that_nothing_is_known(api: API) -> None:
    joined = api.join(api.running())
    several: tuple[object, ...] = (None, {}, [], {"stakeholders": 0}, {"STAKEHOLDERS": -7}, {"STAKEHOLDERS": 1.0 - 1})
    for known in several:
        answer = api.send("POST", UPDATE, json=known, headers={"token": joined.token}, query_string={"f": "JSON", "timeout": 0})
        assert [one["id"] for one in value(answer)["items"]["STAKEHOLDERS"]] == [0, 1, 2, 3], known
    form = {"STAKEHOLDERS": "0", "MESSAGES": ""}
    answer = api.send("POST", f"/api/slots/{joined.id}/update/", data=form, headers={"token": joined.token}, query_string={"f": "JSON"})
    assert set(value(answer)["items"]) == {"STAKEHOLDERS"}


def test_who_is_up_to_date_gets_nothing(api: API) -> None:
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    answer = poll(api, joined, known)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "X-Full-Resync" not in answer.headers


def test_an_empty_list_is_no_news(api: API) -> None:
    """A client that learned no version from it would ask again at once, for ever."""
    joined = api.join(api.running())
    assert poll(api, joined, {"BUILDINGS": -1}).status_code == 204
    remove(api, joined.id, add(api, joined.id, "BUILDINGS"), "BUILDINGS")
    assert poll(api, joined, {"BUILDINGS": 0}).status_code == 204


def test_only_what_changed_is_told(api: API) -> None:
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    waiting = held(api, joined, known)

    def work(changes: object) -> None:
        item = changes.get("STAKEHOLDERS", 2)  # type: ignore[attr-defined]
        changes.change(item, {**item.content, "name": "Other"})  # type: ignore[attr-defined]

    change(api, joined.id, work)
    found = value(waiting.result(10))
    assert [(one["id"], one["name"]) for one in found["items"].pop("STAKEHOLDERS")] == [(2, "Other")]
    assert (found["items"], found["deletes"]) == ({}, {})


def test_deletes_carry_the_version_that_a_client_then_has(api: API) -> None:
    joined = api.join(api.running())
    number = add(api, joined.id)
    known = versions(value(poll(api, joined)))
    remove(api, joined.id, number)
    found = value(poll(api, joined, known))
    assert found["items"] == {}
    assert [one["id"] for one in found["deletes"]["MESSAGES"]] == [number]
    known = versions(found, known)
    assert poll(api, joined, known).status_code == 204
    assert "MESSAGES" not in value(poll(api, joined))["deletes"]


def test_a_version_to_come_means_that_nothing_is_known(api: API) -> None:
    joined = api.join(api.running())
    answer = poll(api, joined, {"STAKEHOLDERS": 999_999, "BUILDINGS": 10**30, "TIMES": 1})
    found = value(answer)
    assert [one["id"] for one in found["items"]["STAKEHOLDERS"]] == [0, 1, 2, 3]
    assert found["items"]["BUILDINGS"] == []
    assert "TIMES" not in found["items"]
    assert answer.headers["X-Full-Resync"] == "1"


def test_force_asks_for_all(api: API) -> None:
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    assert len(value(poll(api, joined, known, force="true"))["items"]["STAKEHOLDERS"]) == 4


def test_who_is_behind_the_kept_deletes_gets_all_once(api: API) -> None:
    joined = api.join(api.running())
    first, second = add(api, joined.id), add(api, joined.id)
    kept = add(api, joined.id)
    known = versions(value(poll(api, joined)))
    remove(api, joined.id, first)
    remove(api, joined.id, second)
    add(api, joined.id, "LOGS")

    def forget(changes: object) -> None:
        one = changes._transaction.get_one(ItemList, (joined.id, "MESSAGES"))  # type: ignore[attr-defined]
        one.horizon = one.version - 1

    change(api, joined.id, forget)
    answer = poll(api, joined, {"MESSAGES": known["MESSAGES"], "LOGS": 1})
    found = value(answer)
    assert answer.headers["X-Full-Resync"] == "1"
    assert [one["id"] for one in found["items"]["MESSAGES"]] == [kept]
    assert [one["id"] for one in found["items"]["LOGS"]] == [0]
    known = versions(found, known)
    answer = poll(api, joined, known)
    assert answer.status_code == 204


BAD = (
    ('{"HOUSES":1}', "INVALID_REQUEST: there is no list 'HOUSES'"),
    ('{"LOGS":"x"}', "INVALID_REQUEST: the version of LOGS"),
    ('{"LOGS":true}', "INVALID_REQUEST: the version of LOGS"),
    ('{"LOGS":1.5}', "INVALID_REQUEST: the version of LOGS"),
    ('{"LOGS":1,"logs":2}', "INVALID_REQUEST: LOGS is named twice"),
    ('{"LOGS":NaN}', "INVALID_REQUEST: the body is not JSON"),
    ("[1]", "INVALID_REQUEST: update takes"),
    ('"x"', "INVALID_REQUEST: update takes"),
    ("{", "INVALID_REQUEST: the body is not JSON"),
    ("[" * 100_000, "INVALID_REQUEST: the body is not JSON"),
)


def test_what_cannot_be_read_is_refused(sqlite_api: API, sqlite_joined: Joined) -> None:
    headers = {"token": sqlite_joined.token}
    for sent, said in BAD:
        answer = sqlite_api.send("POST", UPDATE + "?f=JSON", data=sent, content_type="application/json", headers=headers)
        refused(answer, 400, said)


def test_a_timeout_out_of_range_is_refused(sqlite_api: API, sqlite_joined: Joined) -> None:
    for timeout in ("-1", "26", "nan", "inf", "x", "1" * 400):
        refused(poll(sqlite_api, sqlite_joined, timeout=timeout), 400, "INVALID_REQUEST: timeout")


def test_a_poll_needs_the_tokens(api: API) -> None:
    joined, other = api.join(api.running()), api.join(api.start())
    refused(api.send("POST", UPDATE + "?f=JSON", json={}), 400, "INVALID_TOKEN")
    refused(api.send("POST", UPDATE + "?f=JSON", json={}, headers={"token": joined.token[:-1] + "!"}), 400, "INVALID_TOKEN")
    refused(api.send("POST", f"/api/slots/{other.id}/update/?f=JSON", json={}, headers={"token": joined.token}), 400, "INVALID_TOKEN")
    headers = {"token": joined.token, "clientToken": other.client}
    refused(api.send("POST", UPDATE + "?f=JSON", json={}, headers=headers), 400, "INVALID_TOKEN")
    answer = api.send("GET", UPDATE + "?f=JSON", headers={"token": joined.token})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_released_client_stops(api: API) -> None:
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    mine, of_another = held(api, joined, known), held(api, joined, known, client=False)
    release(api, joined)
    answer = mine.result(10)
    refused(answer, 400, "CLIENT_RELEASED")
    assert answer.headers["X-Status-Detail"] == "495"
    refused(poll(api, joined, known), 400, "CLIENT_RELEASED")
    assert not of_another.done()  # who has only the session's token goes on
    end(api, joined.id)
    refused(of_another.result(10), 400, "CLIENT_RELEASED")
    refused(poll(api, joined, known, client=False), 400, "INVALID_TOKEN")


def test_a_process_that_stops_answers(api: API) -> None:
    joined = api.join(api.running())
    waiting = held(api, joined, versions(value(poll(api, joined))))
    api.parts.wakeups.close()
    assert waiting.result(10).status_code == 204


def test_polls_have_a_limit(make_api: MakeAPI) -> None:
    api = make_api(polls_limit=1)
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    waiting = held(api, joined, known)
    answer = poll(api, joined, known, timeout=1)
    refused(answer, 503, "Too many clients")
    assert answer.headers["Retry-After"] == "1"
    add(api, joined.id)
    value(waiting.result(10))
    assert poll(api, joined, known).status_code == 200


def test_a_poll_notes_its_client(api: API) -> None:
    joined = api.join(api.running())
    api.parts.activity.take()
    poll(api, joined, client=False)
    assert api.parts.activity.take() == {}
    poll(api, joined)
    (note,) = api.parts.activity.take().values()
    assert (note.session_id, note.moment, note.polled) == (joined.id, api.clock.now(), True)


def test_many_polls_look_once(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait: a change costs the pictures of the session, and one answer for all who know the same."""
    joined = api.join(api.running())
    known = versions(value(poll(api, joined)))
    waiting = [held(api, joined, known) for _ in range(30)]
    reads, looks = [], []
    read, one, many = api.parts.database.read, api.parts.lookups.one, api.parts.lookups.all
    monkeypatch.setattr(api.parts.database, "read", lambda: reads.append(1) or read())  # type: ignore[func-returns-value]
    monkeypatch.setattr(api.parts.lookups, "one", lambda *asked: looks.append(1) or one(*asked))  # type: ignore[func-returns-value]
    monkeypatch.setattr(api.parts.lookups, "all", lambda *asked: looks.append(1) or many(*asked))  # type: ignore[func-returns-value]
    add(api, joined.id)
    answers = [value(one.result(10)) for one in waiting]
    assert all(answer == answers[0] for answer in answers)
    known = versions(answers[0], known)
    waiting = [held(api, joined, known) for _ in range(30)]
    assert len(reads) == 1
    assert len(looks) < 10  # two for the change, two a second later should the test be slow
    end(api, joined.id)
    for poller in waiting:
        refused(poller.result(10), 400, "CLIENT_RELEASED")


def test_a_client_that_joined_elsewhere_is_known(api: API) -> None:
    """The wake-up of another process may come after its client."""
    joined = api.join(api.running())
    poll(api, joined)
    announce, api.parts.directory.announce = api.parts.directory.announce, lambda _: None  # type: ignore[method-assign,assignment]
    try:
        late = api.join(joined.id)
        number = add(api, joined.id)
    finally:
        api.parts.directory.announce = announce  # type: ignore[method-assign]
    assert poll(api, late, {"LOGS": 1}).status_code == 204
    with api.parts.database.read() as transaction:
        version = transaction.get_one(Item, (joined.id, "MESSAGES", number)).version
    answer = poll(api, late, {"MESSAGES": version})
    assert answer.status_code == 204


def test_a_browser_gets_a_form_and_its_answer(api: API) -> None:
    joined = api.join(api.running())
    query = {"token": joined.token}
    page = api.send("GET", UPDATE, headers={"Accept": "text/html"}, query_string=query)
    assert page.status_code == 200
    assert 'name="STAKEHOLDERS"' in page.text
    sent = {"STAKEHOLDERS": "-1", "LOGS": ""}
    shown = api.send("POST", UPDATE, headers={"Accept": "text/html"}, query_string=query, data=sent)
    assert shown.status_code == 200
    assert "Stakeholder 4" in shown.text
    nothing = api.send("POST", UPDATE, headers={"Accept": "text/html"}, query_string=query, data={"STAKEHOLDERS": "1"})
    assert nothing.status_code == 200
    refused(
        api.send("POST", UPDATE, headers={"Accept": "text/html"}, query_string={"f": "JSON", **query}, data={"HOUSES": "1"}), 400, "INVALID"
    )


def test_few_large_answers_are_remembered(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for ever other versions cannot fill the memory."""
    monkeypatch.setattr(service, "MOST_KEPT_BYTES", 1000)
    joined = api.join(api.running())
    for name in ("STAKEHOLDERS", "SETTINGS", "TIMES"):
        value(poll(api, joined, {name: -1}))
    snapshot = api.parts.directory.followed.remembered(joined.id)
    assert snapshot is not None
    assert sum(len(one.body) for one in snapshot.answers.values()) <= 1000
    value(poll(api, joined))
    assert [len(one.versions) for one in snapshot.answers.values()] == [3], "the newest, though it is longer"
    end(api, joined.id)
    assert snapshot.answers == {}


def test_a_topic_of_something_else_is_not_a_session() -> None:
    """What raises there ends the thread that listens to Valkey."""
    assert [directory.session_of(one) for one in ("session:7", "session:", "session:x", "other:7", "")] == [7, None, None, None, None]
