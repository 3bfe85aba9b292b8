"""`definitions import openapi FILE`: documents as people keep them, mostly in YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
COMMAND = ("definitions", "import", "openapi")
PETS = """
openapi: 3.1
info: {title: Pet Store, version: 1.0}
servers: [{url: "https://pets.example/v1"}]
paths:
  /pets:
    get: &read
      responses: {200: {description: ok}}
  /pets/{id}:
    get: *read
"""


def test_a_document_in_yaml(run: Run, operator: Any, write: Callable[..., str]) -> None:
    said = run(*COMMAND, write("pets.yaml", PETS))
    assert said.exit_code == 0, said.output
    [made] = operator.json("GET", "/tyk/apis")
    assert (made["proxy"]["listen_path"], made["proxy"]["target_url"]) == ("/pet-store/", "https://pets.example/v1")
    white = made["version_data"]["versions"]["Default"]["extended_paths"]["white_list"]
    assert [(one["path"], list(one["method_actions"])) for one in white] == [("^/pets$", ["GET"]), ("^/pets/{id}$", ["GET"])]


@pytest.mark.parametrize("typed", [PETS, json.dumps({"openapi": "3.1.0", "info": {"title": "Pet Store"}, "paths": {"/p": {"get": {}}}})])
def test_the_standard_input_has_no_ending(run: Run, operator: Any, typed: str) -> None:
    said = run(*COMMAND, "-", "--target", "http://pets.internal", "--dry-run", typed=typed)
    assert (said.exit_code, '"/pet-store/"' in said.output) == (0, True), said.output


def test_json_as_editors_on_windows_write_it(run: Run, operator: Any, tmp_path: Path) -> None:
    path = tmp_path / "pets.json"
    path.write_text(json.dumps({"openapi": "3.1.0", "info": {}, "paths": {"/p": {"get": {}}}}), encoding="utf-8-sig")
    assert run(*COMMAND, str(path), "--target", "http://pets.internal", "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("two.yaml", "a: 1\n---\nb: 1\n", "holds 2 documents, and one is expected"),
        ("none.yaml", "# nothing\n", "holds 0 documents"),
        ("list.yaml", "- 1\n", "must be an object"),
        ("broken.json", '{"openapi": ', "is not valid JSON"),
        ("loop.yaml", "a: &a {b: *a}\n", "holds an alias to what it stands in"),
    ],
)
def test_what_is_no_document(run: Run, write: Callable[..., str], name: str, content: str, said: str) -> None:
    result = run(*COMMAND, write(name, content))
    assert (result.exit_code, said in result.output) == (2, True), result.output
