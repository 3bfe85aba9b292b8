"""The command line against a real HTTP server with the operator API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.gateway.cli.main import main
from services.gateway.definitions.reader import Mistake
from services.gateway.keys.model import secret_hash

Run = Callable[..., Result]


def test_definitions(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    one, two = (
        write("one.json", make_definition()),
        write("two.json", {"api_definition": make_definition(api_id="two", listen_path="/two/")}),
    )
    applied = run("definitions", "apply", "--note", "first", one, two)
    assert applied.exit_code == 0, applied.output
    assert "one.json: created" in applied.output
    assert {one["api_definition"]["api_id"] for one in json.loads(run("--json", "definitions", "list").output)} == {"one", "two"}
    assert "/two/" in run("definitions", "list", "--search", "two").output
    moved = write("one.json", make_definition(listen_path="/moved/"))
    assert "updated" in run("definitions", "apply", moved).output
    assert json.loads(run("definitions", "show", "one").output)["api_definition"]["proxy"]["listen_path"] == "/moved/"
    assert '+            "listen_path": "/moved/",' in run("definitions", "show", "one", "--revision", "2").output
    assert "first" in run("definitions", "history", "one").output
    undone = run("definitions", "undo", "one").output
    assert undone.startswith("one: undone to revision 1, as revision 3\n--- revision 2\n+++ revision 1\n"), undone
    assert operator.json("GET", "/api/apis/one")["api_definition"]["proxy"]["listen_path"] == "/one/"
    operator.json("DELETE", "/api/apis/two")
    assert json.loads(run("--json", "definitions", "undo", "two", "--to", "1").output)["to"] == 1
    assert operator.call("GET", "/api/apis/two").status_code == 200
    assert run("definitions", "undo", "two", "--to", "9").exit_code == 1


def test_nothing_is_applied_when_one_file_is_wrong(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    good, bad = write("good.json", make_definition()), write("bad.json", make_definition(api_id="bad", listen_path="x"))
    refused = run("definitions", "apply", good, bad)
    assert refused.exit_code == 1
    assert "/proxy/listen_path: " in refused.output
    assert operator.json("GET", "/api/apis")["apis"] == []
    linted = run("definitions", "lint", good, bad)
    assert linted.exit_code == 1
    assert "bad.json: 1 mistake, 0 warnings" in linted.output
    for wrong in ("{", "[]", '{"api_definition": 1}'):
        assert run("definitions", "lint", write("broken.json", wrong)).exit_code == 1


def test_a_deletion_and_its_undo(run: Run, operator: Any) -> None:
    operator.new_api()
    assert run("definitions", "delete", "one", "--note", "by mistake").output == "one: deleted\n"
    operator.json("GET", "/api/apis/one", status=404)
    assert "by mistake" in run("definitions", "history", "one").output
    assert run("definitions", "undo", "one").output.startswith("one: undone to revision 1, as revision 3\n")
    assert run("definitions", "delete", "ghost").exit_code == 1
    assert run("definitions", "undo", "one", "--to", "-1").exit_code == 2


def test_the_list_tells_states(run: Run, operator: Any) -> None:
    operator.new_api()
    operator.new_api(api_id="off", listen_path="/off/", active=False)
    operator.new_api(api_id="bad", listen_path="/bad/")
    operator.new_api(api_id="unsaid", listen_path="/unsaid/", active=None)
    operator.gateway.live.current.broken = {"bad": [Mistake("/name", "must be a string")]}
    states = {line.split()[0]: line.split()[-1] for line in run("definitions", "list").output.splitlines()[1:]}
    assert states == {"one": "active", "off": "inactive", "bad": "broken", "unsaid": "active"}


def test_an_undo_does_not_undo_what_came_meanwhile(run: Run, operator: Any, make_definition: Any) -> None:
    operator.new_api()
    operator.json("PUT", "/api/apis/one", {"api_definition": make_definition(name="Two")})
    listed = operator.gateway.definitions.revisions

    def and_then_somebody_writes(key: str) -> Any:
        operator.gateway.definitions.revisions = listed
        found = listed(key)
        operator.json("PUT", "/api/apis/one", {"api_definition": make_definition(name="Three")})
        return found

    operator.gateway.definitions.revisions = and_then_somebody_writes
    refused = run("definitions", "undo", "one")
    assert (refused.exit_code, "changed meanwhile" in refused.output) == (1, True)
    assert operator.json("GET", "/api/apis/one")["api_definition"]["name"] == "Three"


def test_notes_in_any_language(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    for note in ("größer → 日本", "one\n  line"):
        file = write("one.json", make_definition(name=note))
        assert run("definitions", "apply", file, "--note", note).exit_code == 0
    history = json.loads(run("--json", "definitions", "history", "one").output)
    assert [one["note"] for one in history] == ["one line", "größer → 日本"]
    operator.json("DELETE", "/api/apis/one", headers={"X-Gatehouse-Note": "gr\u00f6\u00dfer", "X-Gatehouse-Author": "ann"})
    assert "größer" in run("definitions", "history", "one").output, "Latin-1 is understood, too"


def test_warnings_of_a_save_are_told(run: Run, write: Any, make_definition: Any) -> None:
    applied = run("definitions", "apply", write("one.json", make_definition(later=1)))
    assert (applied.exit_code, "warning: /api_definition/later: " in applied.output) == (0, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "line 1"),
        (b'{"a": 1, "a": 2}', "/a: is given twice"),
        (b"\xff\xfe", "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[]", "list"),
    ],
)
def test_files_that_cannot_be_used(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "one.json"
    file.write_bytes(content)
    for command in ("lint", "apply"):
        refused = run("definitions", command, str(file))
        assert (refused.exit_code, said in refused.output, "Traceback" in refused.output) == (1, True, False), refused.output


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    refused = CliRunner().invoke(main, ["--url", url, "keys", "list"], env={"GATEHOUSE_KEY": "k"})
    assert (refused.exit_code, "is not the address" in refused.output) == (2, True), refused.output


def test_keys(run: Run, operator: Any) -> None:
    operator.new_api()
    made = json.loads(run("--json", "keys", "create", "--api", "one", "--alias", "ann", "--rate", "5", "--per", "10").output)
    assert (made["data"]["rate"], made["data"]["alias"]) == (5, "ann")
    assert "ann" in run("keys", "list", "--api", "one").output
    rotated = run("keys", "rotate", made["id"], "--overlap", "0").output
    secret = rotated.split("secret: ")[1].split()[0]
    assert operator.gateway.keys_store.by_hash(secret_hash(secret)) is not None
    assert secret not in run("--json", "keys", "list").output
    assert run("keys", "revoke", made["id"]).exit_code == 0
    assert operator.gateway.keys_store.by_hash(secret_hash(secret)) is None
    assert run("keys", "revoke", made["id"]).exit_code == 1
    assert run("keys", "create").exit_code == 2
    assert run("keys", "create", "--api", "one", "--all-apis").exit_code == 2
    assert run("keys", "create", "--api", "one", "--rate", "5").exit_code == 2
    refused = run("keys", "create", "--api", "ghost")
    assert (refused.exit_code, "/access_rights/ghost" in refused.output) == (1, True)
    assert run("keys", "create", "--all-apis").exit_code == 0
    assert "infinite" in run("keys", "create", "--api", "one", "--rate", "inf", "--per", "1").output


def test_the_operator_key(run: Run, operator: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text("wrong")
    refused = run("keys", "list", key=wrong)
    assert (refused.exit_code, "Not authorised" in refused.output) == (1, True)
    assert run("keys", "list", key=wrong, environ={"GATEHOUSE_KEY": operator.gateway.operator_key}).exit_code == 0
    for odd in ("k\u00e9y \u65e5", "\udcff"):
        assert run("keys", "list", environ={"GATEHOUSE_KEY": odd}).exit_code == 1
    (tmp_path / "odd.key").write_bytes(b"\xff")
    assert "is not text" in run("keys", "list", key=tmp_path / "odd.key").output
    missing = run("keys", "list", key=tmp_path / "none")
    assert (missing.exit_code, "cannot be read" in missing.output) == (2, True)
    assert run("definitions", "undo", "--help", key=tmp_path / "none").exit_code == 0


def test_workers_that_did_not_confirm_are_told(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    operator.gateway.unconfirmed = ["worker-2"]
    assert "not confirmed yet by worker-2" in run("definitions", "apply", write("one.json", make_definition())).output


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    gone = CliRunner().invoke(main, ["--url", "http://127.0.0.1:1", "keys", "list"], env={"GATEHOUSE_KEY": "k"})
    assert (gone.exit_code, "cannot be reached" in gone.output) == (3, True)


def test_the_key_goes_to_no_proxy_and_nothing_replaces_it(run: Run, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    environ = {"NETRC": str(netrc), "http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": ""}
    result = run("keys", "list", environ=environ)
    assert result.exit_code == 0, result.output


def test_operators_and_the_audit(run: Run, operator: Any) -> None:
    made = json.loads(run("--json", "operators", "create", "--email", "ada@a.example", "--org", "acme", "--role", "editor").output)
    assert run("operators", "create").exit_code == 2
    assert run("operators", "create", "--email", "x", "--role", "owner").exit_code == 2
    line = run("operators", "list").output.splitlines()[1].split()
    assert line == [made["id"], "ada@a.example", "acme", "editor", "active"]
    key = {"GATEHOUSE_KEY": made["access_key"]}
    assert json.loads(run("--json", "keys", "list", environ=key).output) == []
    refused = run("operators", "list", environ=key)
    assert (refused.exit_code, "You do not have permission" in refused.output) == (1, True)
    rotated = run("operators", "rotate", made["id"], "--overlap", "0").output
    assert "gh_ope_" in rotated and "not shown again" in rotated
    assert run("keys", "list", environ=key).exit_code == 1
    assert run("operators", "remove", made["id"]).output == f"removed {made['id']}\n"
    assert "`operators list` shows those that exist" in run("operators", "remove", made["id"]).output
    records = json.loads(run("--json", "audit", "--kind", "operator", "--since", "7d").output)
    assert [(one["method"], one["result"]) for one in records] == [
        ("DELETE", "operator-unknown"), ("DELETE", "done"), ("POST", "done"), ("GET", "operator-forbidden"), ("POST", "done"),
    ]  # fmt: skip
    assert "ada@a.example" in run("audit", "--who", "ada@a.example").output
    assert run("--json", "audit", "--until", "2020-01-31").output == "[]\n"
    assert "2 of 5" in run("audit", "--last", "2").output
    assert run("audit", "--since", "yesterday").exit_code == 2
