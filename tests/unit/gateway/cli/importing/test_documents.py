"""Files of another gateway: JSON, JSON lines and YAML."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from services.gateway.cli.importing.documents import plain, read_documents
from services.gateway.definitions.reader import Mistakes


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("a.json", b'{"a": 1}', [{"a": 1}]),
        ("a.json", b'\xef\xbb\xbf{"a": 1}', [{"a": 1}]),  # as editors on Windows write it
        ("a.json", b'[{"a": 1}, {"b": null}]\n', [[{"a": 1}, {"b": None}]]),
        ("a.jsonl", b'{"a": 1}\n\n{"b": 2}\n', [{"a": 1}, {"b": 2}]),
        ("a.json", b'{"a": 1}\n{"b": 2}', [{"a": 1}, {"b": 2}]),  # mongoexport names it so
        ("a.yaml", b"a: 1\n---\nb: [x]\n---\n", [{"a": 1}, {"b": ["x"]}]),
        ("a.yml", b"expires: 2030-01-01\n1.0: {on: yes}\n", [{"expires": "2030-01-01", "1.0": {"true": True}}]),
        ("a.yml", b"a: &x {b: 1}\nc: {<<: *x, d: 2}\n", [{"a": {"b": 1}, "c": {"b": 1, "d": 2}}]),
    ],
)
def test_what_is_read(name: str, content: bytes, read: list[Any]) -> None:
    assert read_documents(name, content) == read


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"a": 1,}', "not valid JSON"),
        ("a.json", b'{"a": 1}\n{"b": ', "not valid JSON"),
        ("a.json", b'{"a": 1, "a": 2}', "given twice"),
        ("a.json", b"\xff{}", "not UTF-8"),
        ("a.json", b"", "not valid JSON"),
        ("a.yaml", b"a: 1\na: 2\n", "`a` is given twice (line 2)"),
        ("a.yaml", b"a: [1\n", "not valid YAML"),
        ("a.yaml", b"a: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("a.yaml", b"a: .inf\n", "not a JSON number"),
        ("a.yaml", b"a: !!binary aGk=\n", "that JSON does not have"),
        ("a.yaml", b"a: !!timestamp 2030-01-01\n", "that JSON does not have"),
        ("a.yaml", b"a: !!int x\n", "not of the type"),
        ("a.yaml", b"a: !!bool x\n", "not of the type"),
        ("a.yaml", b"!!map x\n", "not of the type"),
    ],
)
def test_what_is_not_read(name: str, content: bytes, said: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        read_documents(name, content)
    assert said in str(wrong.value)


def test_without_pyyaml_only_yaml_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway's image does not have it; JSON is what `kubectl` writes as well."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert read_documents("a.json", b"{}") == [{}]
    with pytest.raises(Mistakes, match="kubectl get"):
        read_documents("a.yaml", b"a: 1")


def test_extended_json_of_mongodb() -> None:
    document = {"_id": {"$oid": "5f"}, "n": {"$numberLong": "7"}, "x": [{"$numberDouble": "0.5"}], "at": {"$date": "2030"}, "y": {"a": {}}}
    assert plain(document) == {"_id": "5f", "n": 7, "x": [0.5], "at": "2030", "y": {"a": {}}}
    assert plain({"$numberInt": "many"}) == "many"
