"""Changing the queue: asking, depositing, updating; also many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

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


def test_a_refused_request_takes_its_colour(make_api: MakeAPI) -> None:
    api = make_api(queue_limit=1)
    first = api.get("/request_interaction", EX).json
    api.deposit(first["id"])
    assert api.get("/request_interaction", EX).status_code == 423
    api.update(first["id"], token_id=api.token())
    colors = [first["color"], *(api.get("/request_interaction", EX).json["color"] for _ in range(5))]
    assert len(set(colors)) == 5 and colors[5] == colors[0]


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
