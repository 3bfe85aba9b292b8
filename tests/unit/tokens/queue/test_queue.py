"""The interaction queue: asking, depositing, following, updating; also many at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.waiting import wait_until
from tests.unit.tokens.conftest import ADM, API, EX, GEN, MakeAPI


def test_request(api: API) -> None:
    answer = api.get("/request_interaction", EX)
    assert answer.status_code == 200
    assert set(answer.json) == {"id", "color", "requested_at"}
    assert len(answer.json["id"]) == 32 and int(answer.json["id"], 16) >= 0
    assert answer.json["requested_at"] == "2026-01-01T00:00:00.000Z"
    assert answer.headers["Cache-Control"] == "no-store"


def test_colors_take_turns_over_restarts(make_api: MakeAPI) -> None:
    colors = []
    for _ in range(4):
        api = make_api()
        colors += [api.get("/request_interaction", EX).json["color"] for _ in range(2)]
    assert len(set(colors[:6])) == 6 and colors[6:] == colors[:2]


def test_limit_counts_who_deposited(api: API) -> None:
    late = [api.requested() for _ in range(7)]
    for interaction in late[:6]:
        assert api.deposit(interaction).status_code == 200
    answer = api.get("/request_interaction", EX)
    assert (answer.status_code, answer.json) == (423, {"error": "queue limit reached"})
    assert api.deposit(late[6]).status_code == 200  # who was let in may deposit
    token = api.token()
    api.update(late[0], token_id=token)
    assert api.get("/request_interaction", EX).status_code == 423
    api.update(late[1], token_id=token)
    assert api.get("/request_interaction", EX).status_code == 200


def test_limit_at_deposit_when_configured(make_api: MakeAPI) -> None:
    api = make_api(queue_limit=1, deposit_limit=True)
    first, second = api.requested(), api.requested()
    assert api.deposit(first).status_code == 200
    assert api.deposit(second).status_code == 423
    assert api.poll(second).status_code == 504


@pytest.mark.parametrize("text", ["Future,Care,ÜBER", "future;care/über", "future.care, ÜBER ", " Future , Care , U\u0308BER"])
def test_keywords(api: API, text: str) -> None:
    interaction = api.requested()
    answer = api.deposit(interaction, text)
    assert (answer.status_code, answer.data) == (200, b"")
    assert api.poll_new().json["keywords"] == ["future", "care", "über"]


@pytest.mark.parametrize("text", ["a,b", "a,b,c,d", "a,,c", "a.b;c/d", "a, ,c", "123", ",,", "a,b," + "x" * 65, "a,b,\x00"])
def test_not_three_keywords(api: API, text: str) -> None:
    answer = api.deposit(api.requested(), text)
    assert (answer.status_code, answer.json) == (400, {"error": "exactly three keywords needed"})


def test_deposit_refused(api: API) -> None:
    interaction = api.requested()
    for query, status, message in (
        ({"keywords": "a,b,c"}, 400, "id missing"),
        ({"id": interaction}, 400, "keywords missing"),
        ({"id": interaction, "keywords": ""}, 400, "keywords missing"),
        ({"id": "0" * 32, "keywords": "a,b,c"}, 404, "not found"),
        ({"id": "\x00", "keywords": "a,b,c"}, 404, "not found"),
        ({"id": "\x00", "keywords": "a,b"}, 400, "exactly three keywords needed"),
    ):
        answer = api.get("/deposit_interaction", EX, **query)
        assert (answer.status_code, answer.json) == (status, {"error": message})


def test_expiry_is_strict(api: API) -> None:
    first, second = api.requested(), api.requested()
    api.clock.move(1800)
    assert api.deposit(first).status_code == 200
    api.clock.move(0.001)
    assert api.deposit(second).json == {"error": "expired"}
    api.clock.move(5000)
    assert api.deposit(first).json == {"error": "already deposited"}


def test_who_never_deposited_is_forgotten_after_a_day(api: API) -> None:
    old = api.requested()
    kept = api.deposited()
    api.clock.move(24 * 3600 - 1)
    api.requested()
    assert api.deposit(old).json == {"error": "expired"}
    api.clock.move(2)
    api.requested()
    assert api.deposit(old).json == {"error": "not found"}
    assert api.deposit(kept).json == {"error": "already deposited"}


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


def test_update_refused_in_order(api: API) -> None:
    interaction, token = api.deposited(), api.token()
    for query, status, message in (
        ({}, 400, "id missing"),
        ({"queue_position": 1}, 400, "id missing"),
        ({"id": interaction}, 400, "queue_position or token_id required"),
        ({"id": interaction, "queue_position": ""}, 400, "queue_position or token_id required"),
        *[({"id": "0" * 32, "queue_position": bad}, 400, "invalid queue_position") for bad in ("-1", "1.5", "abc", "9" * 20, "²")],
        ({"id": "0" * 32, "queue_position": 1}, 404, "interaction not found"),
        ({"id": "\x00", "queue_position": 1}, 404, "interaction not found"),
        ({"id": "0" * 32, "token_id": "1234567"}, 404, "interaction not found"),
        ({"id": interaction, "token_id": "1234567"}, 404, "token not found"),
        ({"id": interaction, "token_id": "!"}, 404, "token not found"),
        ({"id": interaction, "token_id": token}, 200, None),
        ({"id": interaction, "token_id": token}, 200, None),
        ({"id": interaction, "queue_position": 3}, 409, "already done"),
        ({"id": interaction, "token_id": api.token()}, 409, "already done"),
    ):
        answer = api.get("/update_interaction", GEN, **query)
        assert answer.status_code == status, query
        assert answer.json["error"] == message if message else answer.data == b""
    assert api.poll(interaction).json["token_id"] == token


def test_repeated_update_of_a_done_interaction_is_no_news(api: API) -> None:
    interaction, token = api.deposited(), api.token()
    api.update(interaction, token_id=token)
    seq = api.poll(interaction).json["seq"]
    api.update(interaction, token_id=token)
    assert api.poll(interaction, since=seq).status_code == 504


def test_position_zero_without_a_token_is_no_end(api: API) -> None:
    interaction = api.deposited()
    api.update(interaction, queue_position=0)
    assert api.poll(interaction).json["token_id"] is None
    assert api.update(interaction, queue_position=3).status_code == 200


def test_changes_are_posts_too(api: API) -> None:
    interaction = api.client.post("/request_interaction", headers=EX).json["id"]
    body = {"id": interaction, "keywords": ["a", "b", "c"]}
    assert api.client.post("/deposit_interaction", json=body, headers=EX).status_code == 200
    assert api.client.post("/update_interaction", data={"id": interaction, "queue_position": "4"}, headers=GEN).status_code == 200
    assert api.poll(interaction).json["queue_position"] == 4
    assert api.client.post(f"/update_interaction?id={interaction}", json={"queue_position": 5}, headers=GEN).status_code == 200
    assert api.poll(interaction).json["queue_position"] == 5
    for text in ("{", "[" * 50_000):
        bad = api.client.post("/deposit_interaction", data=text, content_type="application/json", headers=EX)
        assert (bad.status_code, bad.json) == (400, {"error": "invalid json"})


def test_bodies_of_changes_are_small(api: API) -> None:
    interaction = api.requested()
    for kind, body in (("application/json", '{"id": "%s", "keywords": "%s"}'), ("application/x-www-form-urlencoded", "id=%s&keywords=%s")):
        content = body % (interaction, "a" * 70_000)
        answer = api.client.post("/deposit_interaction", data=content, content_type=kind, headers=EX)
        assert (answer.status_code, answer.json) == (413, {"error": "body too large"})
    assert api.deposit(interaction).status_code == 200


@pytest.mark.parametrize("path", ["/request_interaction", "/deposit_interaction", "/update_interaction"])
def test_head_changes_nothing(api: API, path: str) -> None:
    assert api.client.head(path, headers=ADM).status_code == 405


def test_two_deposits_at_once(api: API) -> None:
    for _ in range(10):
        interaction = api.requested()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda word, one=interaction: (word, api.deposit(one, f"{word},b,c")), ("x", "y")))
        assert sorted(answer.status_code for _, answer in answers) == [200, 400]
        won = next(word for word, answer in answers if answer.status_code == 200)
        lost = next(answer for _, answer in answers if answer.status_code == 400)
        assert lost.json == {"error": "already deposited"}
        assert api.poll_new().json["keywords"][0] == won
        api.update(interaction, token_id=api.token())


def test_two_final_updates_at_once(api: API) -> None:
    tokens = [api.token(), api.token()]
    for _ in range(10):
        interaction = api.deposited()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda token, one=interaction: api.update(one, token_id=token).status_code, tokens))
        assert sorted(answers) == [200, 409]
        assert api.poll(interaction).json["token_id"] == tokens[answers.index(200)]


def test_twenty_visitors_at_the_limit(api: API) -> None:
    for _ in range(5):
        api.deposited()

    def visit(_: int) -> tuple[int, int | None]:
        asked = api.get("/request_interaction", EX)
        if asked.status_code != 200:
            return asked.status_code, None
        return 200, api.deposit(asked.json["id"]).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(visit, range(20)))
    assert {asked for asked, _ in answers} <= {200, 423}
    deposited = [status for asked, status in answers if asked == 200]
    assert set(deposited) == {200}
    seen, since = 0, "0"
    while (answer := api.poll_new(since=since)).status_code == 200:
        seen, since = seen + 1, answer.json["seq"]
    assert seen == 5 + len(deposited)
    assert api.get("/request_interaction", EX).status_code == 423


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
