"""`import tyk FOLDER` against an operator API: what it says, what it does, and that a second time changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import Result

from services.gateway.cli.importing import storing
from services.gateway.keys.model import secret_hash, user_hash
from tests.unit.gateway.cli.importing.conftest import Put

Run = Callable[..., Result]
SECRET = "acme0123456789abcdef"
GOLD = {"name": "Gold", "org_id": "acme", "rate": 5, "per": 1, "quota_max": -1, "access_rights": {"orders": {"versions": ["Default"]}}}


@pytest.fixture
def tyk(put: Put, folder: Path, make_definition: Any, make_session: Any) -> Path:
    """Definitions, policies and keys as Tyk's own folders hold them."""
    put("apps/orders.json", make_definition(api_id="orders", org_id="acme", listen_path="/orders/"))
    put("apps/shop.json", {"api_definition": make_definition(api_id="shop", org_id="acme", listen_path="/shop/")})
    put("policies/policies.json", {"gold": GOLD})
    put(f"keys/apikey-{SECRET}.json", make_session("orders", org_id="acme", alias="shop", quota_remaining=3, last_check=1))
    lines = [
        {"key": "apikey-acmebob", "value": json.dumps({"org_id": "acme", "apply_policies": ["gold"], "expires": 0})},
        {"key": f"apikey-{secret_hash('of a client')}", "value": make_session("shop", org_id="acme")},
        {"key": "apikey-0123abcd", "value": make_session("shop", org_id="acme")},
        {"key": "quota-acmebob", "value": "17"},
    ]
    put("keys/dump.jsonl", "\n".join(map(json.dumps, lines)))
    return folder


def happened(result: Result) -> dict[str, str]:
    return {one["id"]: one["happens"] for one in json.loads(result.output)["items"]}


def test_a_dry_run_says_everything_and_writes_nothing(run: Run, operator: Any, tyk: Path) -> None:
    said = run("import", "tyk", str(tyk))
    assert said.exit_code == 1, "one key is refused"
    assert "7 items: 6 creates, 1 refused.\nDry run: nothing was written. --apply does it.\n" in said.output
    assert "murmur3, 32 bits" in said.output
    assert "keys/dump.jsonl: 1 not taken along: counters of quotas begin anew" in said.output
    assert SECRET not in said.output and "acmebob" not in said.output
    assert operator.json("GET", "/tyk/apis") == []
    assert operator.json("GET", "/tyk/policies") == []
    assert operator.json("GET", "/tyk/keys")["keys"] == []


def test_it_is_done_once(run: Run, operator: Any, tyk: Path) -> None:
    """What the dry run promised happens, everybody's secret opens what it opened, and the second time nothing changes."""
    promised = happened(run("--json", "import", "tyk", str(tyk)))
    done = run("--json", "import", "tyk", str(tyk), "--apply")
    assert happened(done) == promised and done.exit_code == 1
    assert json.loads(done.output)["applied"] is True
    assert SECRET not in done.output
    store = operator.gateway.keys_store
    for secret in (SECRET, SECRET.removeprefix("acme"), "acmebob", "bob", "of a client"):
        assert store.by_hash(secret_hash(secret)) is not None, secret
    bob = store.by_hash(secret_hash("bob")).key
    assert (bob.rate, set(bob.access_rights), bob.expires) == (5, {"orders"}, -1)
    assert store.by_hash(secret_hash("0123abcd")) is None
    generation = store.changes(0)
    again = run("--json", "import", "tyk", str(tyk), "--apply")
    assert set(happened(again).values()) == {"is the same", "refused"}
    assert store.changes(0) == generation
    revisions = operator.json("GET", "/api/gatehouse/apis/orders/revisions")["revisions"]
    assert [(one["number"], one["note"]) for one in revisions] == [(1, f"taken along from {tyk}")]


def test_what_changed_there_is_updated(run: Run, operator: Any, tyk: Path, put: Put, make_definition: Any, make_session: Any) -> None:
    run("import", "tyk", str(tyk), "--apply")
    put("apps/orders.json", make_definition(api_id="orders", id="other", org_id="acme", listen_path="/orders/", name="New"))
    put("policies/policies.json", {"gold": {**GOLD, "rate": 9}})
    put(f"keys/apikey-{SECRET}.json", make_session("orders", org_id="acme", alias="renamed"))
    assert [one for one in happened(run("--json", "import", "tyk", str(tyk))).values() if one == "updates"] == ["updates"] * 3
    assert '+        "name": "New",' in run("import", "tyk", str(tyk)).output, "what would change"
    run("import", "tyk", str(tyk), "--apply")
    assert operator.json("GET", "/tyk/apis/orders")["name"] == "New"
    assert operator.gateway.keys_store.by_hash(secret_hash("bob")).key.rate == 9
    assert operator.json("GET", f"/tyk/keys/{SECRET}")["alias"] == "renamed"
    assert operator.gateway.reset == [], "quotas go on"
    assert "5 is the same" not in run("import", "tyk", str(tyk)).output
    assert "6 is the same" in run("import", "tyk", str(tyk)).output


def test_webhooks_that_an_operator_gave_a_definition_here_stay(run: Run, operator: Any, tyk: Path) -> None:
    run("import", "tyk", str(tyk), "--apply")
    hook = operator.json("POST", "/api/hooks", {"name": "h", "method": "POST", "target_path": "https://h.example/x", "org_id": "acme"})
    shown = operator.json("GET", "/api/apis/orders")
    reference = {"event_name": "QuotaExceeded", "event_timeout": 60, "hook": {"id": hook["Meta"]}}
    operator.json("PUT", f"/api/apis/{shown['api_definition']['id']}", {**shown, "hook_references": [reference]})
    run("import", "tyk", str(tyk), "--apply")
    assert len(operator.json("GET", "/api/apis/orders")["hook_references"]) == 1


def test_one_that_is_wrong_stops_no_other(run: Run, operator: Any, tyk: Path, put: Put, make_definition: Any) -> None:
    put("apps/a-broken.json", '{"api_id": "x", ')
    put("apps/b-wrong.json", make_definition(api_id="wrong", listen_path="/wrong/", graphql={"enabled": True}))
    put("apps/twice.json", make_definition(api_id="orders", listen_path="/other/"))
    put("apps/z-place.json", make_definition(api_id="place", org_id="acme", listen_path="/orders"))
    put("openapi.json", {"openapi": "3.0.0", "x-tyk-api-gateway": {"info": {}}})
    put("package.json", {"name": "a program"})
    for options in ((), ("--apply",)):
        said = run("import", "tyk", str(tyk), *options)
        assert "apps/a-broken.json: is not valid JSON" in said.output
        assert "GraphQL" in said.output
        assert "is also in apps/orders.json: keep one of them" in said.output
        assert "/proxy/listen_path: orders listens on /orders/, too" in said.output
        assert "package.json: holds no definition, policy or key" in said.output
        assert "6 creates, 5 refused." in said.output
    assert sorted(one["api_id"] for one in operator.json("GET", "/tyk/apis")) == ["orders", "shop"]


def test_one_that_was_stopped_is_finished_by_the_next_one(run: Run, operator: Any, tyk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr(storing.Storing, "_key", Mock(side_effect=KeyboardInterrupt))
        assert run("import", "tyk", str(tyk), "--apply").exit_code != 0
    assert len(operator.json("GET", "/tyk/apis")) == 2
    assert operator.json("GET", "/tyk/keys")["keys"] == []
    run("import", "tyk", str(tyk), "--apply")
    assert len(operator.json("GET", "/tyk/keys")["keys"]) == 3
    assert "6 is the same, 1 refused." in run("import", "tyk", str(tyk)).output


def test_rights_to_what_is_not_here_are_left_out_but_never_all(run: Run, operator: Any, tyk: Path, put: Put, make_session: Any) -> None:
    """A key without rights opens every API."""
    put(
        "policies/policies.json",
        {"gold": {**GOLD, "access_rights": {"orders": {}, "gone": {}}}, "none": {**GOLD, "access_rights": {"gone": {}}}},
    )
    put("keys/acmealone", make_session("gone", org_id="acme"))
    put("keys/acmelost", {"org_id": "acme", "apply_policies": ["none"]})
    said = json.loads(run("--json", "import", "tyk", str(tyk), "--apply").output)["items"]
    by_id = {one["id"]: one for one in said}
    assert (by_id["gold"]["happens"], by_id["gold"]["missing"]) == ("creates", ["the API gone"])
    assert (by_id["none"]["happens"], by_id["none"]["refused"]) == ("refused", ["none of the APIs that it opens is here"])
    assert set(operator.json("GET", "/tyk/policies/gold")["access_rights"]) == {"orders"}
    assert [operator.gateway.keys_store.by_hash(secret_hash(name)) for name in ("acmealone", "acmelost")] == [None, None]
    assert any("there is no policy with the id `none`" in line for one in said for line in one["refused"])


def test_resources_of_the_operator(run: Run, operator: Any, put: Put, folder: Path) -> None:
    put("cluster.yaml", CLUSTER)
    said = run("import", "tyk", str(folder), "--apply")
    assert (said.exit_code, "2 items: 2 creates." in said.output) == (0, True), said.output
    assert "cluster.yaml: Service: not a resource of Tyk" in said.output
    [api] = operator.json("GET", "/tyk/apis")
    [policy] = operator.json("GET", "/tyk/policies")
    assert (api["api_id"], api["proxy"]["target_url"]) == ("mine", "http://httpbin.org")
    assert (policy["id"], set(policy["access_rights"])) == ("ZGVmYXVsdC9nb2xk", {"mine"})
    assert "2 items: 2 is the same." in run("import", "tyk", str(folder), "--apply").output


CLUSTER = """
apiVersion: tyk.tyk.io/v1alpha1
kind: ApiDefinition
metadata: {name: httpbin}
spec:
  name: httpbin
  api_id: mine
  use_standard_auth: true
  active: true
  proxy: {target_url: http://httpbin.org, listen_path: /httpbin, strip_listen_path: true}
---
apiVersion: tyk.tyk.io/v1alpha1
kind: SecurityPolicy
metadata: {name: gold, namespace: default}
spec:
  name: Gold
  state: active
  active: true
  rate: 5
  per: 1
  access_rights_array:
    - {name: httpbin, namespace: default, versions: [Default]}
---
apiVersion: v1
kind: Service
metadata: {name: httpbin}
"""


def test_a_user_with_a_password_in_clear_logs_in_here(run: Run, operator: Any, tyk: Path, put: Put, make_session: Any) -> None:
    put("keys/acmezoe", make_session("orders", org_id="acme", basic_auth_data={"password": "hush-hush"}))
    assert "hush-hush" not in run("import", "tyk", str(tyk), "--apply").output
    assert operator.gateway.keys_store.by_hash(user_hash("acmezoe")).key.password.startswith("$argon2id$")
    assert "7 is the same" in run("import", "tyk", str(tyk)).output


def test_a_refusal_does_not_show_a_secret(run: Run, operator: Any, tyk: Path, put: Put, make_definition: Any, make_session: Any) -> None:
    """The key of another organisation that opens by the same name is named in what the gateway answers."""
    operator.new_api(api_id="theirs", org_id="ac", listen_path="/theirs/")
    operator.json("POST", "/tyk/keys/me-and-you", make_session("theirs", org_id="ac"))
    put("keys/me-and-you", make_session("orders", org_id="acme"))
    refused = run("import", "tyk", str(tyk), "--apply").output
    assert "already has the name" in refused and "me-and-you" not in refused


def test_names_that_no_path_can_have(run: Run, operator: Any, tyk: Path, put: Put, make_session: Any) -> None:
    lines = [{"key": f"apikey-{name}", "value": make_session("orders", org_id="acme")} for name in ("a/b", "..", "create")]
    put("keys/odd.jsonl", "\n".join(map(json.dumps, lines)))
    for happens in ("9 creates", "9 is the same"):
        assert happens in run("import", "tyk", str(tyk), "--apply").output
    assert all(operator.gateway.keys_store.by_hash(secret_hash(name)) for name in ("a/b", "..", "create"))


def test_plain_keys_that_look_like_hashes(run: Run, operator: Any, put: Put, folder: Path, tyk: Path) -> None:
    run("import", "tyk", str(tyk), "--plain-keys", "--apply")
    assert operator.gateway.keys_store.by_hash(secret_hash("0123abcd")) is not None


@pytest.mark.parametrize(("source", "status", "said"), [("none", 2, "cannot be read"), ("file", 2, "is a file"), ("empty", 1, "holds no")])
def test_what_is_no_folder_of_a_tyk(run: Run, tmp_path: Path, source: str, status: int, said: str) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty").mkdir()
    result = run("import", "tyk", str(tmp_path / source))
    assert (result.exit_code, said in result.output) == (status, True), result.output


def test_names_of_keys_are_not_shown_where_a_file_is_wrong(run: Run, put: Put, folder: Path) -> None:
    put("map.json", '{"apikey-acmebob": {}, "apikey-acmebob": {}}')
    said = run("import", "tyk", str(folder)).output
    assert ("map.json: /apikey-acme… is given twice" in said, "acmebob" in said) == (True, False), said


def test_names_of_files_that_are_not_text(run: Run, put: Put, tyk: Path, make_definition: Any) -> None:
    put("apps/caf\udce9.json", make_definition())
    put("keys/apikey-caf\udce9", {"access_rights": {}})
    said = run("import", "tyk", str(tyk)).output
    assert "7 items: 6 creates, 1 refused." in said
    assert "apps/caf?.json: the name of the file is not UTF-8: rename it" in said
    assert "keys/caf?…: the name of the file is not UTF-8: rename it" in said


@pytest.mark.parametrize("wrong", [{"access_rights": [1]}, {"access_rights_array": 3}, {"access_rights": "all"}])
def test_rights_of_a_resource_that_are_none(wrong: dict[str, Any], run: Run, put: Put, folder: Path) -> None:
    put("policy.json", {"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "p"}, "spec": wrong})
    put("oas.json", {"x-tyk-api-gateway": {}, "info": "Pets"})
    [api, policy] = json.loads(run("--json", "import", "tyk", str(folder)).output)["items"]
    assert (api["name"], policy["refused"]) == ("oas.json", ["access_rights must be an object, and access_rights_array a list"])


def test_folders_that_are_not_read_are_named(run: Run, tyk: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old", "caf\udce9"):
        (tyk / "apps" / name).mkdir()
        put(f"apps/{name}/orders.json", {})
    put("closed/a.json", {})
    listed = Path.iterdir

    def iterdir(folder: Path) -> Any:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    said = run("import", "tyk", str(tyk)).output
    assert "7 items: 6 creates, 1 refused." in said
    assert "apps/old: is too deep to be read" in said and "apps/caf?: is too deep" in said
    assert "closed: cannot be read: Permission denied" in said


def test_numbers_that_cannot_be_sent_stop_no_other(run: Run, tyk: Path, put: Put, make_definition: Any, make_session: Any) -> None:
    put("apps/inf.json", json.dumps(make_definition(api_id="inf", org_id="acme", cache_timeout=77)).replace(" 77", " 1e999"))
    put("keys/apikey-acmeinf", json.dumps(make_session("orders", org_id="acme", rate=77)).replace(" 77", " -1e999"))
    said = run("import", "tyk", str(tyk)).output
    assert "9 items: 6 creates, 3 refused." in said
    assert said.count("holds a number that is too large") == 2
