"""What policies make of a key: partitions, limits of single APIs, several policies, and one that is not there."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.keys.model import Key
from services.gateway.keys.policies import effective, policy_ids

RIGHT = {"versions": ["Default"]}


def policy(id: str = "p", *apis: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "access_rights": {api: {**RIGHT, "api_id": api} for api in apis}, **more}


def key_of(session: dict[str, Any], *policies: dict[str, Any] | None) -> Key:
    return Key.from_session("k", (), effective(session, policies))


def limits(key: Key, api: str | None = None) -> tuple[float, float, int, float, str]:
    held: Any = key if api is None or key.limits is None else key.limits.get(api, key)
    return held.rate, held.per, held.quota_max, held.quota_renewal_rate, held.quota_counter


@pytest.mark.parametrize(
    ("session", "ids"),
    [
        ({}, ()),
        ({"apply_policy_id": "a"}, ("a",)),
        ({"apply_policies": ["b", "c", "b"], "apply_policy_id": "a"}, ("b", "c")),
        ({"apply_policies": [], "apply_policy_id": ""}, ()),
    ],
)
def test_which_policies(session: dict[str, Any], ids: tuple[str, ...]) -> None:
    assert policy_ids(session) == ids


def test_without_policies_a_session_stays_as_it_is() -> None:
    assert effective({"rate": 1, "x": 2}, []) == {"rate": 1, "x": 2}


def test_one_policy_takes_the_place_of_what_the_key_says() -> None:
    key = key_of(
        {"rate": 100, "per": 1, "quota_max": 9, "access_rights": {"own": RIGHT}, "tags": ["a"], "meta_data": {"x": 1, "y": 1}},
        policy("p", "one", "two", rate=5, per=10, quota_max=50, quota_renewal_rate=60, tags=["b", "a"], meta_data={"y": 2}),
    )
    assert set(key.access_rights or ()) == {"one", "two"}
    assert key.limits is None
    assert limits(key) == (5, 10, 50, 60, "q:k")
    assert (key.tags, key.session["meta_data"]) == (("a", "b"), {"x": 1, "y": 2})


@pytest.mark.parametrize(
    ("partitions", "rights", "rate", "quota"),
    [
        ({}, {"one"}, 5, 50),
        (None, {"one"}, 5, 50),
        ({"acl": True}, {"one"}, 100, 9),
        ({"rate_limit": True}, {"own"}, 5, 9),
        ({"quota": True}, {"own"}, 100, 50),
        ({"quota": True, "rate_limit": True, "acl": False}, {"own"}, 5, 50),
        ({"quota": True, "acl": True}, {"one"}, 100, 50),
    ],
)
def test_partitions(partitions: Any, rights: set[str], rate: float, quota: int) -> None:
    session = {"rate": 100, "per": 1, "quota_max": 9, "access_rights": {"own": RIGHT}}
    key = key_of(session, policy("p", "one", rate=5, per=10, quota_max=50, partitions=partitions))
    assert (set(key.access_rights or ()), key.rate, key.quota_max) == (rights, rate, quota)


def test_a_policy_without_rights_leaves_those_of_the_key() -> None:
    assert key_of({}, policy(rate=5, per=1)).access_rights is None
    assert set(key_of({"access_rights": {"own": RIGHT}}, policy(rate=5, per=1)).access_rights or ()) == {"own"}


def test_apis_of_different_policies_have_limits_apart() -> None:
    gold = policy("gold", "one", "two", rate=100, per=1, quota_max=1000, quota_renewal_rate=60)
    iron = policy("iron", "three", rate=1, per=1, quota_max=10, quota_renewal_rate=3600)
    key = key_of({}, gold, iron)
    assert set(key.access_rights or ()) == {"one", "two", "three"}
    assert limits(key, "one") == limits(key, "two") == (100, 1, 1000, 60, "q:k:gold")
    assert limits(key, "three") == (1, 1, 10, 3600, "q:k:iron")


@pytest.mark.parametrize("order", [1, -1])
def test_of_the_same_api_the_most_generous_counts(order: int) -> None:
    slow = policy("slow", "one", rate=100, per=100, quota_max=50)
    fast = policy("fast", "one", rate=5, per=1, quota_max=10)
    key = key_of({}, *[slow, fast][::order])
    assert limits(key, "one") == (5, 1, 50, 0, "q:k:slow")
    free = policy("free", "one", rate=0, per=0, quota_max=-1)
    assert limits(key_of({}, *[slow, free][::order]), "one")[2] == -1


@pytest.mark.parametrize("order", [1, -1])
def test_who_does_not_speak_of_a_limit_does_not_lift_it(order: int) -> None:
    """As in Tyk: one policy holds the rate and another one the quota of the same API, though neither is partitioned."""
    slow, few = policy("slow", "one", rate=5, per=1), policy("few", "one", quota_max=50, quota_renewal_rate=60)
    assert limits(key_of({}, *[slow, few][::order]), "one") == (5, 1, 50, 60, "q:k:few")
    fast = policy("fast", "one", rate=9, per=0, quota_max=0)
    assert limits(key_of({}, *[slow, fast][::order]), "one") == (5, 1, -1, -1, "q:k:slow")
    free = policy("free", "one", rate=-1, per=1)
    assert limits(key_of({}, *[slow, few, free][::order]), "one")[:4] == (-1, -1, 50, 60)


def test_a_policy_alone_that_says_nothing_takes_the_limits_of_the_key_away() -> None:
    """As in Tyk."""
    assert limits(key_of({"rate": 5, "per": 1, "quota_max": 9}, policy("p", "one")), "one")[:3] == (-1, -1, -1)


def test_no_limit_for_one_api() -> None:
    rights = {"one": {**RIGHT, "limit": {"rate": -1, "quota_max": -1}}, "two": RIGHT}
    key = key_of({}, {"id": "p", "access_rights": rights, "rate": 9, "per": 1, "quota_max": 90, "partitions": {"per_api": True}})
    assert limits(key, "one")[:3] == (-1, -1, -1)
    assert limits(key, "two") == (9, 1, 90, 0, "q:k:p")


def test_rights_to_the_same_api_are_joined() -> None:
    some = {"allowed_urls": [{"url": "/a", "methods": ["GET"]}], "versions": ["v1"]}
    other = {"allowed_urls": [{"url": "/b", "methods": ["GET"]}], "versions": ["v2", "v1"]}
    whole = {"versions": ["v1"]}
    for first, second, urls in ((some, other, 2), (some, whole, 0), (whole, some, 0)):
        joined = effective({}, [{"id": "p", "access_rights": {"one": first}}, {"id": "q", "access_rights": {"one": second}}])
        assert len(joined["access_rights"]["one"].get("allowed_urls") or ()) == urls
        assert joined["access_rights"]["one"]["versions"][0] == "v1"


def rates(joined: dict[str, Any], api: str = "one") -> dict[tuple[str, str], tuple[float, float]]:
    found = {}
    for endpoint in joined["access_rights"][api].get("endpoints") or ():
        for method in endpoint["methods"]:
            found[endpoint["path"], method["name"]] = (method["limit"]["rate"], method["limit"]["per"])
    return found


def with_rates(id: str, *limits: tuple[str, str, float, float], **more: Any) -> dict[str, Any]:
    endpoints = [{"path": path, "methods": [{"name": name, "limit": {"rate": rate, "per": per}}]} for path, name, rate, per in limits]
    return {"id": id, "access_rights": {"one": {**RIGHT, "endpoints": endpoints}}, **more}


@pytest.mark.parametrize("order", [1, -1])
def test_rates_of_paths_are_joined_and_the_most_generous_counts(order: int) -> None:
    slow = with_rates("slow", ("/a", "GET", 10, 60), ("/b", "GET", 5, 30), ("/c", "GET", 1, 1), ("/d", "GET", 9, 1))
    fast = with_rates("fast", ("/a", "GET", 5, 1), ("/b", "GET", 10, 60), ("/c", "POST", 2, 1), ("/c", "GET", 0, 1), ("/d", "GET", -1, 1))
    joined = effective({}, [slow, fast][::order])
    assert rates(joined) == {
        ("/a", "GET"): (5, 1), ("/b", "GET"): (10, 60), ("/c", "GET"): (1, 1), ("/c", "POST"): (2, 1), ("/d", "GET"): (-1, 1),
    }  # fmt: skip
    assert rates(effective({}, [slow, policy("none", "one")][::order])) == rates(effective({}, [slow])), "as in Tyk"


def test_rates_of_paths_are_part_of_the_rate_limits() -> None:
    limits = ("/a", "GET", 1, 60)
    assert rates(effective({}, [with_rates("p", limits, partitions={"acl": True, "rate_limit": True})])) == {("/a", "GET"): (1, 60)}
    assert rates(effective({}, [with_rates("p", limits, partitions={"acl": True, "quota": True})])) == {}
    own = with_rates("own", limits)["access_rights"]
    assert rates(effective({"access_rights": own}, [policy("p", "one")])) == {}, "what the policy says takes the place"
    assert rates(effective({"access_rights": own}, [policy(rate=5, per=1)])) == {("/a", "GET"): (1, 60)}


def test_limits_per_api() -> None:
    rights = {"one": {**RIGHT, "limit": {"rate": 2, "per": 1, "quota_max": 5, "quota_renewal_rate": 60}}, "two": RIGHT, "three": RIGHT}
    key = key_of({}, {"id": "p", "access_rights": rights, "rate": 9, "per": 1, "quota_max": 90, "partitions": {"per_api": True}})
    assert limits(key, "one") == (2, 1, 5, 60, "q:k:one")
    assert limits(key, "two") == limits(key, "three") == (9, 1, 90, 0, "q:k:p")


def test_limits_of_single_apis_in_a_key_itself() -> None:
    rights = {"one": {**RIGHT, "limit": {"rate": 2, "per": 1}}, "two": {**RIGHT, "limit": {"quota_max": 5}}, "three": RIGHT}
    key = key_of({"access_rights": rights, "rate": 7, "per": 1, "quota_max": 70})
    assert limits(key, "one") == (2, 1, 0, 0, "q:k:one")
    assert limits(key, "two") == (0, 0, 5, 0, "q:k:two")
    assert limits(key, "three") == (7, 1, 70, 0, "q:k")


@pytest.mark.parametrize("policies", [[None], [policy(), None], [policy(is_inactive=True)], [policy(active=False), policy("q")]])
def test_what_switches_a_key_off(policies: list[dict[str, Any] | None]) -> None:
    assert key_of({}, *policies).is_inactive
    assert key_of({"is_inactive": True}, policy()).is_inactive
    assert not key_of({"is_inactive": False}, policy(active=True)).is_inactive


def test_a_policy_switches_signatures_on() -> None:
    assert effective({}, [policy(hmac_enabled=True)])["hmac_enabled"]
