"""A visitor who does not want to wait any longer, and how long the others wait."""

from __future__ import annotations

from werkzeug.test import TestResponse

from tests.unit.tokens.conftest import API, EX, GEN, MakeAPI


def leave(api: API, interaction: str, headers: dict[str, str] = EX) -> TestResponse:
    return api.client.post("/leave_interaction", headers=headers, query_string={"id": interaction})


def test_who_leaves_is_in_nobodys_queue_any_more(make_api: MakeAPI) -> None:
    api = make_api(queue_limit=2)
    asked, new, waiting = api.requested(), api.deposited("a,b,c"), api.deposited("d,e,f")
    api.update(waiting, queue_position=1)
    assert api.get("/request_interaction", EX).status_code == 423
    for one in (asked, new, waiting):
        answer = leave(api, one.upper())
        assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (200, b"", "no-store")
        assert leave(api, one).json == {"error": "not found"}
        assert api.poll(one).json == {"error": "not found"}
        assert api.update(one, queue_position=1).json == {"error": "interaction not found"}
    assert api.deposit(asked).json == {"error": "not found"}
    assert api.poll_new().status_code == 504
    assert api.get("/waiting_interactions", GEN).json == []
    assert api.get("/request_interaction", EX).status_code == 200


def test_a_token_is_not_given_back(api: API) -> None:
    done = api.deposited()
    api.update(done, token_id=api.token())
    assert (leave(api, done).status_code, leave(api, done).json) == (409, {"error": "already done"})
    assert api.poll(done).status_code == 200


def test_leaving_is_for_visitors_and_no_link(api: API) -> None:
    one = api.deposited()
    assert leave(api, one, {}).status_code == 401
    assert leave(api, one, GEN).status_code == 403
    assert api.get("/leave_interaction", EX, id=one).status_code == 405
    assert leave(api, "").json == {"error": "id missing"}
    assert api.client.post("/leave_interaction", headers=EX, json={"id": one}).status_code == 200


def test_a_stream_ends_when_its_visitor_leaves(api: API) -> None:
    one = api.deposited()
    api.update(one, queue_position=3)
    stream = api.client.get("/interaction_updates", headers={**EX, "Accept": "text/event-stream"}, query_string={"id": one})
    events = iter(stream.response)
    assert b"retry" in next(events)
    assert b'"queue_position": 3' in next(events)
    leave(api, one)
    assert list(events) == []


def serve(api: API, seconds: float, *, idle: float = 0.0) -> None:
    """A visitor's turn that takes so long, after a while without any."""
    api.clock.move(idle)
    one = api.deposited()
    api.update(one, queue_position=1)
    api.clock.move(seconds)
    assert api.update(one, token_id=api.token()).status_code == 200


def pace(api: API) -> TestResponse:
    answer = api.get("/queue_pace", EX)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return answer


def test_the_pace_is_that_of_the_last_turns(api: API) -> None:
    assert pace(api).json == {"seconds_per_turn": None, "turns": 0}
    serve(api, 50)
    serve(api, 70, idle=3600)
    assert pace(api).json == {"seconds_per_turn": None, "turns": 2}
    serve(api, 600)
    assert pace(api).json == {"seconds_per_turn": 70.0, "turns": 3}
    for _ in range(10):
        serve(api, 20, idle=100)
    assert pace(api).json == {"seconds_per_turn": 20.0, "turns": 10}
    api.clock.move(13 * 3600)
    assert pace(api).json == {"seconds_per_turn": None, "turns": 0}


def test_waiting_for_others_is_no_part_of_a_turn(api: API) -> None:
    together = [api.deposited(words) for words in ("a,b,c", "d,e,f", "g,h,i", "j,k,l")]
    for one in together:
        api.clock.move(60)
        api.update(one, token_id=api.token())
    assert pace(api).json == {"seconds_per_turn": 60.0, "turns": 4}


def test_a_clock_that_is_put_back_says_nothing_of_the_pace(api: API) -> None:
    for _ in range(3):
        serve(api, 50)
    api.clock.move(86400)
    for _ in range(11):
        serve(api, 500)
    api.clock.move(-86400 - 11 * 500)
    assert pace(api).json == {"seconds_per_turn": 50.0, "turns": 3}
    waiting = api.deposited()
    api.clock.move(-60)
    api.update(waiting, token_id=api.token())
    serve(api, 50)
    assert pace(api).json["seconds_per_turn"] > 0


def test_the_pace_is_for_visitors(api: API) -> None:
    assert api.get("/queue_pace").status_code == 401
    assert api.get("/queue_pace", GEN).status_code == 403
