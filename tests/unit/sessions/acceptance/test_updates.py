"""Cases of the update long poll."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.support.waiting import wait_until
from tests.unit.sessions.acceptance.conftest import BOTH_MODES, Mode, update
from tests.unit.sessions.conftest import API, refused, value


def test_y27_the_first_poll_gets_all(api: API) -> None:
    joined = api.join(api.running())
    found = value(update(api, joined, {"STAKEHOLDERS": -1}))
    assert [one["id"] for one in found["items"]["STAKEHOLDERS"]] == [0, 1, 2, 3]
    assert not any(found["deletes"].values())
    assert isinstance(found["timeStamp"], int)


def test_y28_nothing_new_is_204(api: API) -> None:
    joined = api.join(api.running())
    found = value(update(api, joined, {"STAKEHOLDERS": -1}))
    known = max(one["version"] for one in found["items"]["STAKEHOLDERS"])
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(update, api, joined, {"STAKEHOLDERS": known}, timeout=1)
        wait_until(lambda: api.parts.polls.taken, what="the held poll")
        api.clock.move(1)
        answer = poll.result(20)
    assert (answer.status_code, answer.data) == (204, b"")


def test_y29_a_waiting_poll_gets_the_change_alone(api: API) -> None:
    joined = api.join(api.running())
    other = api.join(joined.id)
    found = value(update(api, joined, {"STAKEHOLDERS": -1}))
    known = max(one["version"] for one in found["items"]["STAKEHOLDERS"])
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(update, api, joined, {"STAKEHOLDERS": known, "BUILDINGS": known})
        wait_until(lambda: api.parts.polls.taken, what="the held poll")
        value(api.fire("STAKEHOLDER_SELECT", other, 2, other.client))
        seen = value(poll.result(20))
    assert list(seen["items"]) == ["STAKEHOLDERS"]
    assert [one["id"] for one in seen["items"]["STAKEHOLDERS"]] == [2]
    assert seen["items"]["STAKEHOLDERS"][0]["version"] > known


def test_y31_a_version_of_the_future_gets_all(api: API) -> None:
    joined = api.join(api.running())
    assert len(value(update(api, joined, {"STAKEHOLDERS": 999_999}))["items"]["STAKEHOLDERS"]) == 4


@BOTH_MODES
def test_y32_y33_a_kill_ends_the_polls(moded: API, mode: Mode) -> None:
    joined = moded.join(moded.running())
    found = value(update(moded, joined, {"TIMES": -1}))
    known = max(one["version"] for one in found["items"]["TIMES"])
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(update, moded, joined, {"TIMES": known})
        wait_until(lambda: moded.parts.polls.taken, what="the held poll")
        assert value(moded.io("KILL_SESSION", "host", joined.id)) is True
        answer = poll.result(20)
    refused(answer, mode.released, "CLIENT_RELEASED")
    assert answer.headers["X-Status-Detail"] == "495"
    after = moded.get("/api/session/items/TIMES/", token=joined.token)
    refused(after, mode.ended, "INVALID_TOKEN")
    assert after.headers["X-Status-Detail"] == "497"


def test_unknown_lists(api: API) -> None:
    """Rule 20: 404 in GET, 400 in a poll."""
    joined = api.join(api.running())
    refused(api.get("/api/session/items/NOTHING/", token=joined.token), 404, "There is no list")
    refused(update(api, joined, {"NOTHING": -1}), 400, "INVALID_REQUEST")
