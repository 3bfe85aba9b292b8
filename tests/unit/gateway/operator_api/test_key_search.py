"""Finding keys among many, and seeing why a key may do what it may."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

GOLD = {"id": "gold", "rate": 5, "per": 1, "quota_max": 50, "access_rights": {"one": {"versions": ["Default"]}}, "tags": ["paid"]}
KEYS = {
    "ann": {"alias": "Ann's shop", "owner": "team", "tags": ["a", "b"], "access_rights": {"one": {}}},
    "bob": {"alias": "Größe 100%", "owner": "Team", "tags": ["b"], "apply_policies": ["gold"]},
    "eve": {"alias": "ann's shop", "tags": ["a", "a"], "org_id": "acme", "access_rights": {"two": {}}},
    "all": {},
}


@pytest.fixture
def ids(operator: Any) -> dict[str, str]:
    operator.new_api()
    operator.new_api(api_id="two", listen_path="/two/")
    operator.json("POST", "/tyk/policies", GOLD)
    return {name: operator.json("POST", "/api/keys", session)["id"] for name, session in KEYS.items()}


def found(operator: Any, ids: dict[str, str], query: str, path: str = "/api/keys") -> set[str]:
    names = {id: name for name, id in ids.items()}
    return {names[id] for id in operator.json("GET", f"{path}?{query}")["data"]["keys"]}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "ann bob eve all"),
        ("alias=Ann's shop", "ann"),
        ("alias=Ann", ""),
        ("q=SHOP", "ann eve"),
        ("q=GRÖSSE", "bob"),
        ("q=100%", "bob"),
        ("q=_", ""),
        ("owner=team", "ann"),
        ("tag=a", "ann eve"),
        ("tag=a&tag=b", "ann"),
        ("tag=A", ""),
        ("org_id=acme", "eve"),
        ("org_id=default", "ann bob all"),
        ("policy=gold", "bob"),
        ("policy=none", ""),
        ("api_id=one", "ann bob all"),
        ("api_id=two", "eve all"),
        ("api_id=one&tag=b&q=ann", "ann"),
        ("alias=&tag=&q=&p=0", "ann bob eve all"),
        ("other=1", "ann bob eve all"),
    ],
)
def test_which_keys_are_found(operator: Any, ids: dict[str, str], query: str, names: str) -> None:
    assert found(operator, ids, quote(query, safe="=&")) == set(names.split())


def test_of_one_api_in_the_same_way(operator: Any, ids: dict[str, str]) -> None:
    assert found(operator, ids, "tag=a", "/api/apis/two/keys") == {"eve"}
    assert found(operator, ids, "q=shop&api_id=two", "/api/apis/one/keys") == {"ann"}, "the path says which API"


def test_pages_of_what_is_found(operator: Any, ids: dict[str, str]) -> None:
    first = operator.json("GET", "/api/keys?org_id=default&page_size=2")
    second = operator.json("GET", "/api/keys?org_id=default&page_size=2&p=1")
    assert (first["pages"], len(first["data"]["keys"]), len(second["data"]["keys"])) == (1, 2, 1)
    assert {*first["data"]["keys"], *second["data"]["keys"]} == {ids[name] for name in ("ann", "bob", "all")}
    assert [one["id"] for one in first["data"]["details"]] == first["data"]["keys"]


def test_a_key_whose_policies_give_no_rights_is_found_where_it_opens(operator: Any, ids: dict[str, str]) -> None:
    """It opens every API, as a key without policies does; with rights of its own it opens these."""
    operator.json("POST", "/tyk/policies", {"id": "limits", "rate": 5, "per": 1})
    operator.json("POST", "/tyk/policies", {"id": "quota", "partitions": {"quota": True}, "access_rights": {"one": {}}})
    for name, session in (
        ("limited", {"apply_policies": ["limits", "quota"]}),
        ("own", {"apply_policies": ["quota"], "access_rights": {"two": {}}}),
        ("joined", {"apply_policies": ["limits", "gold"]}),
    ):
        ids[name] = operator.json("POST", "/api/keys", session)["id"]
    assert found(operator, ids, "api_id=two") == {"eve", "all", "limited", "own"}
    assert found(operator, ids, "api_id=one") == {"ann", "bob", "all", "limited", "joined"}
    assert set(operator.json("GET", "/tyk/keys?api_id=two")["keys"]) == {ids[name] for name in ("eve", "all", "limited", "own")}


def test_everything_is_bounded(operator: Any, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that reads all keys of a large house into one answer serves clients, too."""
    monkeypatch.setattr("services.gateway.stores.keys.MOST_AT_ONCE", 3)
    assert found(operator, ids, "p=-1&api_id=one") == {"ann", "bob", "all"}
    refused = operator.json("GET", "/api/keys?p=-1", status=400)
    assert (refused["Code"], "there are 4" in refused["Message"]) == ("invalid-argument", True)
    assert "at most 3 keys" in refused["Message"]
    assert found(operator, ids, "p=0") == set(ids)


def test_a_key_is_found_by_what_it_says_now(operator: Any, ids: dict[str, str]) -> None:
    operator.json("PUT", f"/api/keys/{ids['ann']}", {"alias": "New", "tags": ["c"], "access_rights": {"one": {}}})
    assert [found(operator, ids, query) for query in ("tag=a", "q=new", "tag=c", "owner=team")] == [{"eve"}, {"ann"}, {"ann"}, set()]
    operator.json("DELETE", f"/api/keys/{ids['eve']}")
    assert found(operator, ids, "tag=a") == set()
    long = "x" * 10_000
    made = operator.json("POST", "/api/keys", {"alias": long, "owner": long, "tags": [long]})["id"]
    assert operator.json("GET", "/api/keys?q=" + "x" * 2000)["data"]["keys"] == [made], "texts of any length are kept"


def test_details_say_why_a_key_may_do_what_it_may(operator: Any, ids: dict[str, str]) -> None:
    details = operator.json("GET", f"/api/keys/{ids['bob']}")["details"]
    assert (details["policies"], details["apis"], details["tags"]) == (["gold"], ["one"], ["b"])
    right = {"api_id": "one", "api_name": "One", "versions": ["Default"], "allowed_urls": []}
    assert {**details["effective"]["access_rights"]["one"], "allowed_urls": []} == right
    effective = {name: value for name, value in details["effective"].items() if name != "access_rights"}
    assert effective == {
        "is_inactive": False, "rate": 5, "per": 1, "quota_max": 50, "quota_renewal_rate": 0, "tags": ["b", "paid"], "hmac_enabled": False,
    }  # fmt: skip
    listed = operator.json("GET", "/api/keys?policy=gold")["data"]["details"]
    assert listed == [details]
    assert operator.json("GET", f"/api/keys/{ids['all']}")["details"]["effective"] == {}
    operator.json("DELETE", "/tyk/policies/gold?force=1")
    gone = operator.json("GET", f"/api/keys/{ids['bob']}")["details"]
    assert (gone["policies"], gone["is_inactive"], gone["effective"]["is_inactive"]) == (["gold"], True, True)
