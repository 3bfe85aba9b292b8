"""Streams of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.common.store_guard import StoreUnavailable
from services.sessions.updates import service
from tests.unit.sessions.conftest import API, Joined, MakeAPI, refused
from tests.unit.sessions.updates.conftest import UPDATE, add, end, release

Events = Iterator[str]


def stream(api: API, joined: Joined, *, method: str = "GET", last: str = "", **query: str) -> Events:
    headers = {"Accept": "text/event-stream", "token": joined.token, "clientToken": joined.client, "Last-Event-ID": last}
    answer = api.send(method, UPDATE, headers=headers, query_string=query, buffered=False)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream"), answer.text
    events = (str(piece, "utf-8") if isinstance(piece, bytes) else piece for piece in answer.response)
    assert next(events).startswith("retry: ")
    return events


def read(event: str) -> tuple[str, str, dict[str, dict[str, list[dict[str, object]]]]]:
    """The id, the kind and the data of an event."""
    fields = dict(line.split(": ", 1) for line in event.strip().splitlines())
    return fields["id"], fields["event"], json.loads(fields["data"])


def test_each_change_is_an_event(api: API) -> None:
    joined = api.join(api.running())
    events = stream(api, joined)
    _, kind, data = read(next(events))
    assert (kind, set(data["items"])) == ("update", {"STAKEHOLDERS", "SETTINGS", "TIMES"} | set(data["items"]))
    add(api, joined.id)
    seen, _, data = read(next(events))
    assert [one["text"] for one in data["items"]["MESSAGES"]] == ["hello"]
    add(api, joined.id, text="two")
    assert [one["text"] for one in read(next(events))[2]["items"]["MESSAGES"]] == ["two"]
    again = stream(api, joined, last=seen)
    assert [one["text"] for one in read(next(again))[2]["items"].pop("MESSAGES")] == ["two"]


def test_a_stream_of_some_lists(api: API) -> None:
    joined = api.join(api.running())
    events = stream(api, joined, MESSAGES="-1")
    add(api, joined.id, "BUILDINGS")
    add(api, joined.id, "MESSAGES")
    assert set(read(next(events))[2]["items"]) == {"MESSAGES"}


@pytest.mark.parametrize("how", [release, lambda api, joined: end(api, joined.id)])
def test_a_stream_ends_with_its_client(api: API, how: object) -> None:
    joined = api.join(api.running())
    events = stream(api, joined)
    next(events)
    how(api, joined)  # type: ignore[operator]
    assert list(events) == ["event: released\ndata: CLIENT_RELEASED\n\n"]


def test_a_stream_that_has_nothing_to_say_lives(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HEARTBEAT_S", 0)
    joined = api.join(api.running())
    api.parts.activity.take()
    events = stream(api, joined, method="POST")
    next(events)
    assert next(events) == ": alive\n\n"
    assert [one.polled for one in api.parts.activity.take().values()] == [True]
    api.parts.wakeups.close()
    assert list(events) == []


def test_reading_alone_keeps_no_client(api: API) -> None:
    joined = api.join(api.running())
    api.parts.activity.take()
    events = stream(api, joined)
    next(events)
    assert api.parts.activity.take() == {}


def test_streams_have_the_places_of_polls(make_api: MakeAPI) -> None:
    api = make_api(polls_limit=1)
    joined = api.join(api.running())
    headers = {"Accept": "text/event-stream", "token": joined.token}
    first = api.send("GET", UPDATE, headers=headers, buffered=False)
    refused(api.send("GET", UPDATE, headers=headers), 503, "Too many clients")
    first.close()
    assert api.parts.polls.taken == 0


def test_an_id_that_is_not_ours_is_refused(api: API) -> None:
    joined = api.join(api.running())
    headers = {"Accept": "text/event-stream", "token": joined.token, "Last-Event-ID": "[" * 9}
    refused(api.send("GET", UPDATE, headers=headers), 400, "INVALID_REQUEST: Last-Event-ID")


def test_a_stream_outlives_a_store_that_is_away(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "AWAY_S", 0)
    joined = api.join(api.running())
    events = stream(api, joined)
    next(events)
    read_all = api.parts.lookups.all

    def away(*_: object) -> None:
        monkeypatch.setattr(api.parts.lookups, "all", read_all)
        raise StoreUnavailable("away")

    monkeypatch.setattr(api.parts.lookups, "all", away)
    add(api, joined.id)
    assert next(events) == ": alive\n\n"
    assert set(read(next(events))[2]["items"]) == {"MESSAGES"}
