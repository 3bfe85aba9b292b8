"""Keys found and shown, users, policies and organisations on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import Result

from services.gateway.cli import client
from services.gateway.keys.model import secret_hash, user_hash

Run = Callable[..., Result]
GOLD = {"id": "gold", "name": "Gold", "rate": 5, "per": 1, "quota_max": 50, "quota_renewal_rate": 60, "access_rights": {"one": {}}}


@pytest.fixture
def api(operator: Any) -> Any:
    operator.new_api()
    return operator


def test_keys_are_found(run: Run, api: Any, make_session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAGE", 2)
    api.json("POST", "/tyk/policies", GOLD)
    for alias in ("a shop", "b Shop", "c shop"):
        api.json("POST", "/api/keys", make_session("one", alias=alias, owner="team & co", tags=["x", alias[0]]))
    api.json("POST", "/api/keys", {"alias": "d", "apply_policies": ["gold"], "org_id": "default"})

    def aliases(*options: str) -> list[str]:
        return [one["alias"] for one in json.loads(run("keys", "list", "--json", *options).output)]

    assert aliases() == ["a shop", "b Shop", "c shop", "d"], "all pages"
    assert aliases("--search", "SHOP", "--owner", "team & co") == ["a shop", "b Shop", "c shop"]
    assert aliases("--tag", "x", "--tag", "b", "--api", "one") == ["b Shop"]
    assert aliases("--alias", "d", "--org", "default") == aliases("--policy", "gold") == ["d"]
    row = run("keys", "list", "--policy", "gold").output.splitlines()[1].split()
    assert row[1:4] == ["d", "one", "gold"]
    shown = json.loads(run("keys", "show", row[0]).output)
    assert (shown["details"]["effective"]["rate"], shown["data"].get("rate")) == (5, None)
    assert run("keys", "show", "nobody").exit_code == 1


def test_a_key_that_signs_shows_what_with_once(run: Run, api: Any) -> None:
    made = run("keys", "create", "--api", "one", "--signed").output
    id, signing = (made.split(f"{name}")[1].split()[0] for name in ("id:", "signing:"))
    assert "Neither of them is shown again." in made
    rotated = run("keys", "rotate", id).output
    assert rotated.split("signing:")[1].split()[0] != signing
    secret = rotated.split("secret:")[1].split()[0]
    assert api.gateway.keys_store.by_hash(secret_hash(secret)).key.hmac_secret == rotated.split("signing:")[1].split()[0]
    assert "signing" not in run("keys", "create", "--api", "one").output


def test_keys_with_policies(run: Run, api: Any) -> None:
    api.json("POST", "/tyk/policies", GOLD)
    made = json.loads(run("--json", "keys", "create", "--policy", "gold").output)
    assert (made["data"]["apply_policies"], made["data"]["access_rights"]) == (["gold"], {})
    for wrong in ((), ("--policy", "gold", "--all-apis")):
        assert run("keys", "create", *wrong).exit_code == 2
    assert "/apply_policies/0: there is no policy" in run("keys", "create", "--policy", "none").output


def test_users(run: Run, api: Any) -> None:
    def fits(password: str) -> bool:
        key = api.gateway.keys_store.by_hash(user_hash("defaultzoe")).key
        return PasswordHasher().verify(key.password, password)

    assert run("keys", "user", "zoe", typed="hush-hush\n").exit_code == 2, "which APIs?"
    made = run("keys", "user", "zoe", "--api", "one", typed="hush-hush\n")
    assert (made.exit_code, "hush-hush" in made.output) == (0, False), made.output
    assert fits("hush-hush")
    api.json("PUT", "/api/keys/defaultzoe", {"alias": "Zoe", "access_rights": {"one": {}}})
    changed = json.loads(run("--json", "keys", "user", "zoe", typed="another one").output)
    assert fits("another one")
    assert (changed["data"]["alias"], set(changed["data"]["access_rights"])) == ("Zoe", {"one"})
    assert run("keys", "user", "zoe", typed="").exit_code == 2
    assert fits("another one")


def test_policies(run: Run, api: Any, write: Any) -> None:
    file = write("gold.json", GOLD)
    assert run("policies", "put", file).output == "gold: created\n"
    assert run("policies", "put", write("gold.json", {**GOLD, "name": "Silver"})).output == "gold: replaced\n"
    listed = run("policies", "list").output.splitlines()
    assert listed[1].split() == ["gold", "Silver", "default", "one", "5", "in", "1", "s", "50", "in", "60", "s", "active"]
    shown = run("policies", "show", "gold").output
    assert (json.loads(shown)["name"], "_id" in json.loads(shown)) == ("Silver", False)
    assert run("policies", "put", "-", typed=shown).output == "gold: replaced\n"
    assert "created" in run("policies", "put", write("free.json", {"name": "Free"})).output
    assert [one["id"] == "gold" for one in json.loads(run("--json", "policies", "list").output)] == [False, True]
    api.json("POST", "/api/keys", {"apply_policies": ["gold"]})
    refused = run("policies", "delete", "gold")
    assert (refused.exit_code, "--force deletes the policy all the same" in refused.output) == (1, True)
    assert run("policies", "delete", "gold", "--force").output == "gold: deleted\n"
    for command in ("show", "delete"):
        unknown = run("policies", command, "gold", "--json")
        assert (unknown.exit_code, json.loads(unknown.output)["code"]) == (1, "policy-unknown")
    assert "/rate: " in run("policies", "put", write("wrong.json", {"rate": "5"})).output
    for wrong in (write("broken.json", "{"), "nowhere.json"):
        assert run("policies", "put", wrong).exit_code == 1


def test_organisations(run: Run, api: Any, write: Any) -> None:
    file = write("acme.json", {"quota_max": 1000, "quota_renewal_rate": 3600, "is_inactive": True})
    assert run("organisations", "put", "acme", file).output == "acme: created\n"
    assert api.gateway.reset == []
    assert run("organisations", "put", "acme", file, "--reset-quota").output == "acme: replaced\n"
    assert api.gateway.reset == ["q:org:acme"]
    assert run("organisations", "list").output.splitlines()[1].split() == ["acme", "none", "1000", "in", "3600", "s", "inactive"]
    shown = run("organisations", "show", "acme").output
    assert run("organisations", "put", "acme", "-", "--json", typed=shown).exit_code == 0
    assert [one["quota_max"] for one in json.loads(run("organisations", "list", "--json").output)] == [1000]
    assert run("organisations", "delete", "acme").output == "acme: deleted\n"
    unknown = run("organisations", "show", "acme")
    assert (unknown.exit_code, "`organisations list` shows" in unknown.output) == (1, True), unknown.output
    refused = run("organisations", "put", "acme", write("wrong.json", {"rate": "5"}))
    assert (refused.exit_code, "/rate: must be" in refused.output) == (1, True), refused.output
