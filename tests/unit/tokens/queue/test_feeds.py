"""Following the queue: long polls, streams, what a generator that starts again asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.waiting import wait_until
from tests.unit.tokens.conftest import API, EX, GEN, MakeAPI


def test_poll_follows_the_states(api: API) -> None:
    interaction = api.deposited()
    assert (api.poll(interaction).status_code, api.poll(interaction).data) == (504, b"")
    assert api.update(interaction, queue_position=2).data == b""
    state = api.poll(interaction).json
    assert {**state, "seq": ""} == {"id": interaction, "seq": "", "queue_position": 2, "token_id": None}
    assert api.poll(interaction, since=state["seq"]).status_code == 504
    assert api.poll(interaction, since="now").status_code == 504
    assert api.poll(interaction.upper(), since="0").json == state
    for position in range(1, 6):
        api.update(interaction, queue_position=position)
    newer = api.poll(interaction, since=state["seq"]).json
    assert newer["queue_position"] == 5 and newer["seq"] != state["seq"]
    token = api.token()
    assert api.update(interaction, token_id=token.upper(), queue_position=7).status_code == 200
    done = api.poll(interaction, since=newer["seq"]).json
    assert (done["queue_position"], done["token_id"]) == (0, token)
    assert api.poll(interaction, since=done["seq"]).status_code == 504


def test_poll_refused(api: API) -> None:
    assert api.get("/interaction_updates", EX).json == {"error": "id missing"}
    for unknown in ("0" * 32, "x", "\x00"):
        answer = api.poll(unknown)
        assert (answer.status_code, answer.json) == (404, {"error": "not found"})
    for garbage in ("5", "abc", "1-", "-1", "9" * 30 + "-a"):
        assert api.poll(api.requested(), since=garbage).json == {"error": "invalid since"}
        assert api.poll_new(since=garbage).json == {"error": "invalid since"}


def test_seq_of_another_store_means_from_the_beginning(api: API) -> None:
    interaction = api.deposited()
    api.update(interaction, queue_position=1)
    number, _, epoch = api.poll(interaction).json["seq"].partition("-")
    other = "1" if epoch != "1" else "2"
    assert api.poll(interaction, since=f"9999-{other}").json["queue_position"] == 1
    assert api.poll(interaction, since=f"{number}-{epoch}").status_code == 504


@pytest.mark.parametrize("timeout", ["-1", "0", "-7.5"])
def test_no_time_to_wait_answers_at_once(api: API, timeout: str) -> None:
    assert api.poll(api.requested(), timeout=timeout).status_code == 504


def test_generator_gets_each_new_interaction_once(api: API) -> None:
    made = [api.deposited(f"a,b,{n}") for n in range(3)]
    api.update(made[1], queue_position=1)
    first = api.poll_new().json
    assert list(first) == ["id", "seq", "color", "keywords", "requested_at", "deposited_at"]
    assert first["id"] == made[0] and first["keywords"] == ["a", "b", "0"]
    assert api.poll_new().json == first  # a generator that lost its seq gets it again
    second = api.poll_new(since=first["seq"]).json
    assert second["id"] == made[2]
    assert api.poll_new(since=second["seq"]).status_code == 504
    assert api.poll_new(since="now").status_code == 504


def test_waiting_interactions(api: API) -> None:
    made = []
    for n in range(3):
        made.append(api.deposited(f"a,b,{n}"))
        api.clock.move(60)
    without_deposit = api.requested()
    for interaction in (*reversed(made), without_deposit):
        api.update(interaction, queue_position=1)
    new = api.deposited()

    def listed(**query: str) -> list[str]:
        return [one["id"] for one in api.get("/waiting_interactions", GEN, **query).json]

    assert listed() == listed(since="") == listed(since="0") == listed(since="2021") == listed(since="2025-12") == made
    assert listed(since="2026-01-01T00:01:00.000Z") == made[1:]
    assert listed(since="2026-01-01T02:01:00+02:00") == made[1:]
    assert listed(since="2026-01-01T02:01:00 02:00") == made[1:]  # the plus, read as a blank
    assert listed(since="Thu, 01 Jan 2026 00:02:00 GMT") == made[2:]
    assert listed(since="2026-01-02") == []
    assert new not in listed()
    assert set(api.get("/waiting_interactions", GEN).json[0]) == {"id", "color", "keywords", "requested_at", "deposited_at"}
    for garbage in ("yesterday", "1619827200000", "2026-13-01", "0001-01-01T00:00:00+14:00", "\x00"):
        answer = api.get("/waiting_interactions", GEN, since=garbage)
        assert (answer.status_code, answer.json) == (400, {"error": "invalid timestamp"}), garbage


def test_a_reader_misses_no_change(make_api: MakeAPI) -> None:
    """Writers commit at the same time in several processes' worth of connections; a reader that goes from seq to seq sees all."""
    writing, reading = make_api(queue_limit=1000), make_api(queue_limit=1000)
    ids = [writing.requested() for _ in range(60)]
    seen: list[str] = []
    finished = threading.Event()

    def read() -> None:
        since = "0"
        while True:
            last = finished.is_set()
            answer = reading.poll_new(since=since)
            if answer.status_code == 200:
                seen.append(answer.json["id"])
                since = answer.json["seq"]
            elif last:
                return
            else:
                finished.wait(0.002)  # one that never pauses keeps the interpreter's lock from the writers

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(12) as pool:
        assert {answer.status_code for answer in pool.map(writing.deposit, ids)} == {200}
    finished.set()
    reader.join(30)
    assert sorted(seen) == sorted(ids)


def test_full_places_refuse_with_503(make_api: MakeAPI) -> None:
    api = make_api(polls_limit=1)
    interaction = api.deposited()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(api.poll, interaction, timeout=30_000)
        waiting = api.app.extensions["wakeups"]._board._waiting
        wait_until(lambda: waiting, what="the held poll")
        answer = api.poll(interaction, timeout=1000)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert api.poll(interaction).status_code == 504  # who does not wait needs no place
        api.update(interaction, queue_position=1)
        assert held.result().json["queue_position"] == 1
    assert api.poll(interaction, timeout=1000).status_code == 200


def test_closing_ends_every_poll(make_api: MakeAPI) -> None:
    api = make_api()
    interactions = [api.requested() for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        held = [pool.submit(api.poll, one, timeout=60_000) for one in interactions]
        waiting = api.app.extensions["wakeups"]._board._waiting
        wait_until(lambda: len(waiting) == 5, what="the held polls")
        api.app.extensions["wakeups"].close()
        assert {one.result().status_code for one in held} == {504}


def test_stream_of_one_interaction(api: API) -> None:
    interaction, token = api.deposited(), api.token()
    api.update(interaction, queue_position=1)
    answer = api.client.get(f"/interaction_updates?id={interaction}", headers={**EX, "Accept": "text/event-stream"}, buffered=False)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    parts = iter(answer.response)
    assert next(parts) == b"retry: 2000\n\n"
    first = next(parts).decode()
    assert first.startswith("id: ") and '"queue_position": 1' in first
    api.update(interaction, token_id=token)
    assert f'"token_id": "{token}"' in next(parts).decode()
    assert next(parts, None) is None
    answer.close()
    again = {**EX, "Accept": "text/event-stream", "Last-Event-ID": first.split()[1]}
    answer = api.client.get(f"/interaction_updates?id={interaction}&since=0", headers=again, buffered=False)
    assert b'"queue_position": 0' in list(answer.response)[1]
    answer.close()


def test_stream_of_new_interactions(api: API) -> None:
    made = [api.deposited(), api.deposited()]
    answer = api.client.get("/new_interaction_updates", headers={**GEN, "Accept": "text/event-stream"}, buffered=False)
    parts = iter(answer.response)
    next(parts)
    assert [made[0] in next(parts).decode(), made[1] in next(parts).decode()] == [True, True]
    answer.close()
    missing = api.client.get("/interaction_updates", query_string={"id": "0" * 32}, headers={**EX, "Accept": "text/event-stream"})
    assert missing.status_code == 404


def test_streams_take_places(make_api: MakeAPI) -> None:
    api = make_api(polls_limit=1)
    headers = {**GEN, "Accept": "text/event-stream"}
    first = api.client.get("/new_interaction_updates", headers=headers, buffered=False)
    assert api.client.get("/new_interaction_updates", headers=headers, buffered=False).status_code == 503
    first.close()
    third = api.client.get("/new_interaction_updates", headers=headers, buffered=False)
    assert third.status_code == 200
    third.close()
