"""`export tyk FOLDER`: files that a Tyk, and an import, read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

Run = Callable[..., Result]


def test_what_is_written_is_taken_along_again(run: Run, operator: Any, tmp_path: Path, make_session: Any) -> None:
    operator.new_api(api_id="one", error_template={"error": "{{.Message}}"}, error_overrides={"not-found": {"message": "No"}})
    operator.json("POST", "/tyk/policies", {"id": "gold", "access_rights": {"one": {}}})
    made = operator.json("POST", "/tyk/keys/create", make_session("one"))
    folder = tmp_path / "out"
    said = run("export", "tyk", str(folder))
    assert (said.exit_code, "Keys are not written" in said.output) == (0, True), said.output
    assert "warning: one: Tyk does not know error_template, error_overrides by error code (left out)" in said.output
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["apps", "apps/one.json", "policies.json"]
    assert made["key"] not in "".join(path.read_text() for path in folder.rglob("*.json"))
    assert list(json.loads((folder / "policies.json").read_text())) == ["gold"]
    written = json.loads((folder / "apps/one.json").read_text())
    assert "error_overrides" not in written
    again = json.loads(run("--json", "import", "tyk", str(folder)).output)["items"]
    assert [(one["id"], one["happens"]) for one in again] == [("one", "updates"), ("gold", "is the same")], "without the overrides"


def test_other_files_stay_and_are_named(run: Run, operator: Any, tmp_path: Path) -> None:
    operator.new_api()
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "deleted-here.json").write_text("{}")
    document = json.loads(run("--json", "export", "tyk", str(tmp_path)).output)
    assert (document["files"], document["other_files"]) == (["apps/one.json", "policies.json"], ["deleted-here.json"])
    assert "deleted-here.json" in run("export", "tyk", str(tmp_path)).output


def test_a_folder_that_cannot_be_written(run: Run, operator: Any, tmp_path: Path) -> None:
    operator.new_api()
    (tmp_path / "apps").write_text("a file")
    refused = run("export", "tyk", str(tmp_path))
    assert (refused.exit_code, "cannot be written" in refused.output) == (1, True)
