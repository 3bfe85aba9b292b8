"""Saving what is there, undo and redo: one step each time, told, and never on top of what another writer did."""

from __future__ import annotations

import threading
from typing import Any

import pytest

UNDO, REDO = "/api/gatehouse/apis/one/undo", "/api/gatehouse/apis/one/redo"


def name(operator: Any) -> str | None:
    found = operator.call("GET", "/api/apis/one")
    return None if found.status_code == 404 else found.get_json()["api_definition"]["name"]


@pytest.fixture
def save(operator: Any, make_definition: Any) -> Any:
    def save(name: str) -> Any:
        return operator.json("PUT", "/api/apis/one", {"api_definition": make_definition(name=name)})

    return save


def test_undo_walks_back_and_redo_forward(operator: Any, save: Any) -> None:
    operator.new_api(name="A")
    for other in "BCD":
        save(other)
    steps = [operator.json("POST", UNDO) for _ in range(3)]
    assert [(one["from"], one["to"], one["revision"]) for one in steps] == [(4, 3, 5), (3, 2, 6), (2, 1, 7)]
    assert '-        "name": "D",\n+        "name": "C",' in steps[0]["diff"]
    assert steps[0]["diff"].startswith("--- revision 4\n+++ revision 3\n")
    assert name(operator) == "A"
    assert operator.json("POST", UNDO, status=409)["Code"] == "nothing-to-undo"
    steps = [operator.json("POST", REDO) for _ in range(2)]
    assert [(one["from"], one["to"], one["revision"]) for one in steps] == [(1, 2, 8), (2, 3, 9)]
    assert (name(operator), operator.json("POST", UNDO)["to"], name(operator)) == ("C", 2, "B")
    assert [operator.json("POST", REDO)["to"] for _ in range(2)] == [3, 4]
    assert operator.json("POST", REDO, status=409)["Code"] == "nothing-to-redo"
    newest = operator.json("GET", "/api/gatehouse/apis/one/revisions")["revisions"]
    assert [(one["action"], one["to"]) for one in newest[:3]] == [("redone", 4), ("redone", 3), ("undone", 2)]
    assert newest[-1]["to"] is None


def test_a_save_after_an_undo_ends_the_way_forward(operator: Any, save: Any) -> None:
    operator.new_api(name="A")
    save("B")
    operator.json("POST", UNDO)
    save("C")
    operator.json("POST", REDO, status=409)
    assert (operator.json("POST", UNDO)["to"], name(operator)) == (1, "A"), "B was undone before C was saved"
    assert (operator.json("POST", REDO)["to"], name(operator)) == (4, "C")


def test_a_deletion_is_undone_and_redone(operator: Any, save: Any) -> None:
    id = operator.new_api(name="A")
    save("B")
    operator.json("DELETE", "/api/apis/one")
    back = operator.call("POST", UNDO, headers={"If-Match": '"3"'})
    assert (back.get_json()["to"], back.headers["ETag"], back.get_json()["Meta"]) == (2, '"4"', id)
    assert (name(operator), operator.json("POST", UNDO)["to"], name(operator)) == ("B", 1, "A")
    assert [operator.json("POST", REDO)["to"] for _ in range(2)] == [2, 3]
    assert name(operator) is None
    assert operator.json("POST", UNDO)["to"] == 2
    assert operator.gateway.live.current.apis["one"].revision == 8, "what is undone is announced"


def test_where_an_api_was_created_there_is_no_step_back(operator: Any) -> None:
    operator.new_api()
    refused = operator.json("POST", UNDO, status=409)
    assert "delete it" in refused["Message"]
    document = operator.json("GET", "/api/apis/one")["api_definition"]
    operator.json("DELETE", "/api/apis/one")
    operator.json("POST", "/api/apis", {"api_definition": document})
    operator.json("POST", UNDO, status=409)
    assert name(operator) == "One"
    for path in (UNDO, REDO):
        operator.json("POST", path.replace("one", "ghost"), status=404)


def test_a_restored_revision_is_a_save_like_any_other(operator: Any, save: Any) -> None:
    operator.new_api(name="A")
    save("B")
    save("C")
    assert operator.json("POST", "/api/gatehouse/apis/one/revisions/1/restore")["diff"]
    assert (operator.json("POST", UNDO)["to"], name(operator)) == (3, "C")


def test_a_step_that_would_not_be_valid_is_refused(operator: Any, save: Any, make_definition: Any) -> None:
    operator.new_api(name="A")
    operator.json("PUT", "/api/apis/one", {"api_definition": make_definition(name="B", listen_path="/moved/")})
    operator.new_api(api_id="two", listen_path="/one/")
    assert operator.json("POST", UNDO, status=400)["Errors"][0]["pointer"] == "/proxy/listen_path"
    assert name(operator) == "B"


def test_another_writer_is_not_undone(operator: Any, save: Any) -> None:
    operator.new_api(name="A")
    save("B")
    for path in (UNDO, REDO):
        assert operator.call("POST", path, headers={"If-Match": '"1"'}).status_code == 412
    check = operator.gateway.check

    def and_then_somebody_writes(*_: Any) -> None:
        operator.gateway.check = check
        save("C")

    operator.gateway.check = and_then_somebody_writes
    refused = operator.call("POST", UNDO)
    assert (refused.status_code, refused.headers["ETag"], name(operator)) == (412, '"3"', "C")


@pytest.mark.parametrize("deleted", [False, True])
def test_of_two_at_once_one_goes_a_step(operator: Any, save: Any, deleted: bool) -> None:
    operator.new_api(name="A")
    save("B")
    save("C")
    if deleted:
        operator.json("DELETE", "/api/apis/one")
    gate = threading.Barrier(2)
    operator.gateway.check = lambda *_: gate.wait(30)  # both have read the history when both write
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(operator.call("POST", UNDO).status_code)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 412]
    assert name(operator) == ("C" if deleted else "B")


def test_a_dry_run_writes_nothing(operator: Any, save: Any, make_definition: Any) -> None:
    operator.new_api(name="A")
    save("B")
    calls = [("POST", UNDO, None), ("POST", "/api/gatehouse/apis/one/revisions/1/restore", None)]
    calls.append(("PUT", "/api/apis/one", {"api_definition": make_definition(name="A")}))
    published = list(operator.gateway.published)
    for method, path, body in calls:
        told = operator.json(method, f"{path}?dry_run=1", body)
        assert (told["DryRun"], '-        "name": "B",\n+        "name": "A",' in told["diff"]) == (True, True)
    same = operator.json("PUT", "/api/apis/one?dry_run=1", {"api_definition": make_definition(name="B")})
    assert (same["Unchanged"], same["diff"]) == (True, "")
    two = {"api_definition": make_definition(api_id="two", listen_path="/two/")}
    assert '+        "api_id": "two",' in operator.json("POST", "/api/apis?dry_run=1", two)["diff"]
    operator.json("POST", "/api/apis?dry_run=1", {"api_definition": make_definition()}, status=409)
    assert (name(operator), operator.gateway.published) == ("B", published)
    assert len(operator.json("GET", "/api/gatehouse/apis/one/revisions")["revisions"]) == 2


def test_a_dry_run_says_what_the_step_would(operator: Any, save: Any, make_definition: Any) -> None:
    id = operator.new_api(name="A")
    restore = f"/api/gatehouse/apis/{id}/revisions/1/restore"
    assert operator.json("POST", f"{restore}?dry_run=1")["Unchanged"] is True
    operator.json("DELETE", "/api/apis/one")
    operator.new_api(name="another with the same api_id")
    for call in (restore, f"/api/gatehouse/apis/{id}/undo"):
        refusals = [operator.json("POST", call + query, status=409) for query in ("", "?dry_run=1")]
        assert [one["Code"] for one in refusals] == ["api-id-taken", "api-id-taken"]


def test_a_member_that_only_moved_is_no_difference(operator: Any, make_definition: Any) -> None:
    operator.new_api()
    moved = dict(reversed(make_definition(name="B").items()))
    told = operator.json("PUT", "/api/apis/one?dry_run=1", {"api_definition": moved})
    assert [line for line in told["diff"].splitlines()[2:] if line[0] in "+-"] == ['-        "name": "One",', '+        "name": "B",']
    operator.json("PUT", "/api/apis/one", {"api_definition": moved})
    assert operator.json("GET", "/api/gatehouse/apis/one/revisions/2")["diff"].splitlines()[2:] == told["diff"].splitlines()[2:]


def test_saving_what_is_there_changes_nothing(operator: Any, make_definition: Any) -> None:
    hook = operator.json("POST", "/api/hooks", {"name": "h", "target_path": "http://h.example/", "method": "POST"})["Meta"]
    body = {"api_definition": make_definition(), "hook_references": [{"event_name": "AuthFailure", "hook": {"id": hook}}]}
    operator.json("POST", "/api/apis", body)
    published, generation = len(operator.gateway.published), operator.gateway.definitions.generation()
    reordered = {**body, "api_definition": dict(reversed(make_definition().items()))}
    for saved in (body, reordered, operator.json("GET", "/api/apis/one")):
        answer = operator.call("PUT", "/api/apis/one", saved)
        assert answer.get_json() == {"Status": "OK", "Message": "Api updated", "Meta": "", "Unchanged": True}
        assert answer.headers["ETag"] == '"1"'
    assert operator.call("PUT", "/api/apis/one", body, {"If-Match": '"7"'}).status_code == 412
    assert operator.json("PUT", "/tyk/apis/one", make_definition())["unchanged"] is True
    assert operator.json("POST", "/tyk/apis", make_definition())["unchanged"] is True
    restored = operator.call("POST", "/api/gatehouse/apis/one/revisions/1/restore")
    assert (restored.get_json()["Unchanged"], restored.get_json()["revision"], restored.headers["ETag"]) == (True, None, '"1"')
    assert (len(operator.gateway.published), operator.gateway.definitions.generation()) == (published, generation)
    for changes in ({"active": 1}, {"tags": []}, {"expire_analytics_after": 0}, {"expire_analytics_after": False}):
        answer = operator.call("PUT", "/api/apis/one", {**body, "api_definition": make_definition(**changes)})
        assert answer.status_code == 400 or "Unchanged" not in answer.get_json(), changes
    assert "Unchanged" not in operator.json("PUT", "/api/apis/one", {"api_definition": make_definition()}), "without the reference"
