"""The command line in an operator's first hour: steps back and forth, files, keys, errors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from werkzeug.wrappers import Response

from services.common.webhooks.outbox import Call
from services.gateway.cli.main import main
from services.gateway.stores.events import Outbox

Run = Callable[..., Result]


@pytest.fixture
def offline(tmp_path: Path) -> Run:
    """The command line where no gateway is."""

    def offline(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(main, ["--url", "http://127.0.0.1:1", *arguments], env={"GATEHOUSE_KEY": "k"}, **options)

    return offline


def test_undo_and_redo(run: Run, write: Any, make_definition: Any) -> None:
    for name in ("A", "B", "C"):
        run("--author", "ann", "definitions", "apply", write("one.json", make_definition(name=name)))
    assert "would be undone to revision 2; nothing was written\n--- revision 3" in run("definitions", "undo", "one", "--dry-run").output
    assert run("definitions", "undo", "one").output.startswith("one: undone to revision 2, as revision 4\n")
    assert json.loads(run("definitions", "undo", "one", "--json").output)["to"] == 1
    refused = run("definitions", "undo", "one")
    assert (refused.exit_code, "nothing before revision 1" in refused.output) == (1, True)
    assert '+        "name": "B",' in run("definitions", "redo", "one", "--note", "it was right").output
    history = run("definitions", "history", "one").output.splitlines()
    assert [line.split("  ")[0] for line in history] == ["REVISION", "6", "5", "4", "3", "2", "1"]
    assert ["redone to revision 2" in history[1], "it was right" in history[1], "undone to revision 1" in history[2]] == [True] * 3
    assert "ann" in history[-1]
    assert "redone to revision 2" in run("definitions", "show", "one", "--revision", "6").output
    assert run("definitions", "undo", "one", "--to", "2").output == "one: unchanged, it is as revision 2 was\n(nothing differs)\n"


def test_apply_says_what_is_unchanged(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    file = write("one.json", make_definition())
    assert run("definitions", "apply", file, "--dry-run").output.startswith(f"{file}: would be created one\n--- nothing\n+++ this\n")
    operator.json("GET", "/api/apis/one", status=404)
    assert run("definitions", "apply", file).output == f"{file}: created one\n"
    assert run("definitions", "apply", file).output == f"{file}: unchanged one\n"
    assert run("definitions", "apply", file, "--dry-run").output == f"{file}: unchanged one\n"
    assert json.loads(run("definitions", "apply", file, "--json").output)[0]["action"] == "unchanged"
    assert len(operator.json("GET", "/api/gatehouse/apis/one/revisions")["revisions"]) == 1
    nameless = {name: value for name, value in make_definition(listen_path="/x/").items() if name != "api_id"}
    assert "has no api_id, so each apply creates another API" in run("definitions", "apply", write("two.json", nameless)).output


def test_json_holds_the_warnings(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    operator.gateway.unconfirmed = ["worker-2"]
    applied = run("definitions", "apply", write("one.json", make_definition(later=1)), "--json")
    [one] = json.loads(applied.output)
    assert ([place["pointer"] for place in one["warnings"]], one["unconfirmed"]) == (["/api_definition/later"], ["worker-2"])
    assert json.loads(run("definitions", "delete", "one", "--json").output)["Unconfirmed"] == ["worker-2"]


def test_apply_tells_what_it_did_before_it_was_refused(run: Run, write: Any, make_definition: Any) -> None:
    one, two = write("one.json", make_definition()), write("two.json", make_definition(api_id="two"))
    refused = run("definitions", "apply", one, two)
    assert refused.exit_code == 1
    assert refused.output == (
        f"Error: {two}: refused, 1 mistake (400)\n  /api_definition/proxy/listen_path: one already listens on this listen_path\n"
        f"  before that: {one} was created\n"
    )


def test_all_mistakes_of_all_files_are_told(run: Run, write: Any, operator: Any, make_definition: Any) -> None:
    files = [write("a.json", make_definition(listen_path="x")), write("b.json", "{"), write("c.json", make_definition())]
    refused = run("definitions", "apply", *files)
    assert refused.exit_code == 1
    for said in ("nothing was applied: 2 mistakes in 2 files", f"{files[0]}:\n    /proxy/listen_path: ", f"{files[1]}:\n    /: "):
        assert said in refused.output
    assert operator.json("GET", "/api/apis")["apis"] == []


def test_lint_needs_no_gateway(offline: Run, tmp_path: Path, make_definition: Any) -> None:
    good = make_definition(target="env://UPSTREAM_UNKNOWN_HERE/")
    for name, document in (("b.json", good), ("a.json", make_definition(listen_path="x")), ("not.txt", {})):
        (tmp_path / name).write_text(json.dumps(document))
    (tmp_path / "c.json").write_text('{"a": 1e999}')
    linted = offline("definitions", "lint", str(tmp_path / "none.json"), str(tmp_path))
    assert linted.exit_code == 1
    lines = linted.output.splitlines()
    assert [line.partition(": ")[0].rpartition("/")[2] for line in lines if "mistake" in line] == [
        "none.json",
        "a.json",
        "b.json",
        "c.json",
    ]
    assert f"{tmp_path}/b.json: 0 mistakes, 0 warnings" in lines
    assert lines[-1].startswith("Checked without the gateway; listen paths may be taken: the gateway cannot be reached at")
    alone = offline("definitions", "lint", "-", "--json", input=json.dumps(good))
    assert (alone.exit_code, json.loads(alone.output)["standard input"]["checked_by"]) == (0, "here")
    assert offline("definitions", "lint", str(tmp_path / "not.txt" / "x")).exit_code == 1
    (tmp_path / "empty").mkdir()
    assert "holds no *.json" in offline("definitions", "lint", str(tmp_path / "empty")).output


def test_lint_asks_the_gateway_when_it_can(run: Run, write: Any, operator: Any, make_definition: Any, tmp_path: Path) -> None:
    file = write("one.json", make_definition())
    asked = run("definitions", "lint", file)
    assert (asked.exit_code, asked.output.splitlines()[-1].startswith("Checked by the gateway at http://127.0.0.1:")) == (0, True)
    assert operator.gateway.checked == [("one", None)]
    wrong = tmp_path / "wrong.key"
    wrong.write_text("wrong")
    for key in (wrong, tmp_path / "none.key"):
        alone = run("definitions", "lint", file, key=key)
        assert (alone.exit_code, "Checked without the gateway" in alone.output) == (0, True)


def test_lint_says_the_same_with_and_without_the_gateway(run: Run, offline: Run, write: Any, make_definition: Any) -> None:
    """Also what no field is, beside a mistake."""
    file = write("one.json", make_definition(no_such_field=1, version_data=[]))
    asked, alone = (json.loads(ask("definitions", "lint", file, "--json").output)[file] for ask in (run, offline))
    assert (asked.pop("checked_by"), alone.pop("checked_by")) == ("gateway", "here")
    assert asked == alone
    assert (asked["valid"], len(asked["warnings"])) == (False, 1)


def test_keys_are_revoked_all_or_none(run: Run, operator: Any, make_session: Any) -> None:
    operator.new_api()
    one, two = (operator.json("POST", "/api/keys", make_session("one"))["id"] for _ in range(2))
    refused = run("keys", "revoke", one, "nope", two, "nada")
    assert (refused.exit_code, refused.output) == (1, "Error: no such key: nope, nada; nothing was revoked\n")
    assert json.loads(run("keys", "revoke", "nope", "--json").output)["unknown"] == ["nope"]
    assert len(operator.json("GET", "/api/keys")["data"]["keys"]) == 2
    assert run("keys", "revoke", one, two).output == f"revoked {one}\nrevoked {two}\n"


def test_when_a_key_expires(run: Run, operator: Any) -> None:
    operator.new_api()

    def expires(given: str) -> Any:
        return run("keys", "create", "--api", "one", "--expires", given)

    assert "\nexpires: 2999-01-31 12:00:00 UTC\n" in expires("2999-01-31T12:00Z").output
    assert "\nexpires: never\n" in expires("never").output
    key = json.loads(run("keys", "create", "--api", "one", "--expires", "90d", "--quota", "5", "--quota-renewal", "1d", "--json").output)
    assert (0 < key["data"]["expires"] - time.time() - 90 * 86400 + 60 < 600, key["data"]["quota_renewal_rate"]) == (True, 86400)
    for wrong, said in (("2001-01-01", "has passed"), ("soon", "is not a moment")):
        refused = expires(wrong)
        assert (refused.exit_code, said in refused.output) == (2, True)
    assert len(operator.json("GET", "/api/keys")["data"]["keys"]) == 3


def test_lists_are_sorted_and_whole_in_a_pipe(run: Run, operator: Any, make_session: Any) -> None:
    for api_id, name in (("z", "apple"), ("b", "Banana" + "a" * 200), ("a", "apple")):
        operator.new_api(api_id=api_id, name=name, listen_path=f"/{api_id}/")
    assert [line.split()[0] for line in run("definitions", "list").output.splitlines()] == ["API", "a", "z", "b"]
    assert "a" * 200 in run("definitions", "list").output
    for alias, expires in (("Zoe", 0), ("", 0), ("adam", 1)):
        operator.json("POST", "/api/keys", make_session("a", alias=alias, expires=expires))
    rows = run("keys", "list").output.splitlines()[1:]
    assert [(row.split()[1], row.split()[-1]) for row in rows] == [("adam", "expired"), ("Zoe", "active"), ("a", "active")]
    assert [one["alias"] for one in json.loads(run("keys", "list", "--json").output)] == ["adam", "Zoe", ""]


def test_webhooks_and_their_calls(run: Run, operator: Any) -> None:
    for name in ("second", "First"):
        operator.json("POST", "/api/hooks", {"name": name, "target_path": "http://h.example/", "method": "POST"})
    assert [line.split()[1] for line in run("hooks", "list").output.splitlines()] == ["NAME", "First", "second"]
    outbox, woken = Outbox(operator.gateway.database), []
    operator.gateway.events = SimpleNamespace(outbox=outbox, wake=lambda: woken.append(1))
    calls = [Call(f"msg_{n}", "h1", "lane", "KeyExpired", "one", "POST", "https://h.example/", (), "{}", (), 0) for n in range(2)]
    outbox.put(calls, 1_700_000_000.0)
    for delivery in outbox.lease(1_700_000_001.0, 1, 10, {}, 10):
        outbox.given_up(delivery, 500, "the target answered 500", 1_700_000_002.0)
    listed = run("deliveries", "list", "--state", "dead", "--last", "1")
    assert ["2023-11-14 22:13Z" in listed.output, "the target answered 500" in listed.output, "1 of 2; " in listed.output] == [True] * 3
    assert json.loads(run("deliveries", "list", "--state", "pending", "--json").output) == []
    assert run("deliveries", "replay", "msg_0").output == "1 call scheduled\n"
    assert run("deliveries", "replay", "--hook", "h1").output == "1 call scheduled\n"
    assert run("deliveries", "replay", "--all").output == "0 calls scheduled\n"
    refused = run("deliveries", "replay", "nope")
    assert (refused.exit_code, "`deliveries list` shows those that exist" in refused.output, len(woken)) == (1, True, 3)
    assert "before that: msg_0 was scheduled" in run("deliveries", "replay", "msg_0", "nope").output
    for wrong in ((), ("msg_0", "--all")):
        assert run("deliveries", "replay", *wrong).exit_code == 2


def test_the_wrong_place_is_told(operator: Any, offline: Run, run: Run, tmp_path: Path) -> None:
    gone = offline("keys", "list", "--json")
    assert (gone.exit_code, "cannot be reached" in json.loads(gone.output)["error"]) == (3, True)
    wrong = tmp_path / "wrong.key"
    wrong.write_text("wrong")
    refused = run("--json", "keys", "list", key=wrong)
    assert (refused.exit_code, json.loads(refused.output)["code"]) == (1, "operator-key-wrong")
    public = Response('{"error": "Not Found", "code": "not-found"}', 404, mimetype="application/json")
    operator.app.wsgi_app = public
    other = run("keys", "list")
    assert (other.exit_code, "is it the public port?" in other.output) == (3, True), other.output


def test_every_command_has_an_example() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        return [leaf for one in command.commands.values() for leaf in leaves(one)] if isinstance(command, click.Group) else [command]

    for command in leaves(main):
        assert command.epilog, command.name
        assert "./dev gateway " in command.epilog
        assert any(option.name == "json" or "--json" in option.opts for option in command.params)
    shown = CliRunner().invoke(main, ["--version"], env=dict(os.environ))
    assert shown.output.startswith("gateway 0.")
