"""Revisions, undo, lint, workers."""

from __future__ import annotations

from typing import Any


def test_every_write_is_a_revision(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    said = {"X-Gatehouse-Author": "ann", "X-Gatehouse-Note": "moved"}
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(listen_path="/moved/")}, headers=said)
    operator.json("DELETE", f"/api/apis/{id}")
    for key in (id, "one"):
        found = operator.json("GET", f"/api/gatehouse/apis/{key}/revisions")["revisions"]
        assert [(one["number"], one["action"], one["who"], one["note"]) for one in found] == [
            (3, "deleted", "operator", ""), (2, "updated", "ann", "moved"), (1, "created", "operator", ""),
        ]  # fmt: skip
    operator.json("GET", "/api/gatehouse/apis/none/revisions", status=404)


def test_a_note_keeps_no_secret(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    body = "0Az9" * 12 + "x"
    said = {"X-Gatehouse-Author": f"ann gh_acc_{body}", "X-Gatehouse-Note": f"ask with gh%5Fkey%5F{body}"}
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(listen_path="/moved/")}, headers=said)
    newest = operator.json("GET", f"/api/gatehouse/apis/{id}/revisions")["revisions"][0]
    assert (newest["who"], newest["note"]) == ("ann gh_acc_***", "ask with gh%5Fkey%5F***")


def test_a_revision_shows_what_changed(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(listen_path="/moved/", tags=["x"])})
    shown = operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/2")
    assert shown["against"] == 1
    assert shown["changes"] == [
        {"pointer": "/api_definition/proxy/listen_path", "kind": "changed", "before": "/one/", "after": "/moved/"},
        {"pointer": "/api_definition/tags", "kind": "added", "before": None, "after": ["x"]},
    ]
    assert '-            "listen_path": "/one/",' in shown["diff"]
    assert operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/2?against=2")["changes"] == []
    assert operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/1")["against"] is None
    operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/9", status=404)
    operator.json("GET", f"/api/gatehouse/apis/{id}/revisions/2?against=x", status=400)


def test_a_former_revision_is_restored(operator: Any, make_definition: Any) -> None:
    id = operator.new_api()
    operator.json("PUT", f"/api/apis/{id}", {"api_definition": make_definition(listen_path="/moved/")})
    path = f"/api/gatehouse/apis/{id}/revisions/1/restore"
    assert operator.call("POST", path, None, {"If-Match": "1"}).status_code == 412
    published = len(operator.gateway.published)
    answer = operator.json("POST", path)
    assert answer.pop("diff").startswith("--- revision 2\n+++ revision 1\n")
    assert answer == {"Status": "OK", "Message": "API restored", "Meta": id, "from": 2, "to": 1, "revision": 3}
    assert len(operator.gateway.published) == published + 1
    restored = operator.call("GET", f"/api/apis/{id}")
    assert restored.get_json()["api_definition"]["proxy"]["listen_path"] == "/one/"
    assert restored.headers["ETag"] == '"3"'
    newest = operator.json("GET", f"/api/gatehouse/apis/{id}/revisions")["revisions"][0]
    assert (newest["action"], newest["note"]) == ("restored", "restored from revision 1")


def test_a_deletion_can_be_undone_unless_its_place_was_taken(operator: Any) -> None:
    id = operator.new_api()
    operator.json("DELETE", f"/api/apis/{id}")
    other = operator.new_api(api_id="two")
    path = f"/api/gatehouse/apis/{id}/revisions/1/restore"
    operator.json("POST", path, status=400)
    operator.json("DELETE", f"/api/apis/{other}")
    operator.json("POST", f"/api/gatehouse/apis/{id}/revisions/2/restore", status=400)
    operator.json("POST", path)
    read = operator.call("GET", "/api/apis/one")
    assert (read.get_json()["api_definition"]["id"], read.headers["ETag"]) == (id, '"3"')


def test_lint(operator: Any, make_definition: Any) -> None:
    good = operator.json("POST", "/api/gatehouse/lint", make_definition(unknown_field=1))
    assert good["valid"] is True
    assert "/unknown_field" in [one["pointer"] for one in good["warnings"]]
    bad = operator.json("POST", "/api/gatehouse/lint", {"api_definition": make_definition(listen_path="")})
    assert (bad["valid"], bad["mistakes"][0]["pointer"]) == (False, "/proxy/listen_path")
    assert operator.json("GET", "/api/apis")["apis"] == []
    operator.json("POST", "/api/gatehouse/lint", {"api_definition": 1}, status=400)
    operator.json("POST", "/api/gatehouse/lint", {"api_id": 5})


def test_workers(operator: Any) -> None:
    operator.new_api()
    shown = operator.json("GET", "/api/gatehouse/workers")
    assert shown == {"workers": ["worker-1"], "number": 2, "generation": 1, "apis": {"one": 1}, "broken": {}}
