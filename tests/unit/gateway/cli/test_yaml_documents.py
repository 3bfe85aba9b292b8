"""YAML as JSON: what words mean, and what a small file cannot do."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from services.gateway.cli.yaml_documents import read_yaml
from services.gateway.definitions.reader import Mistakes


def read(text: str, *, core: bool = True) -> Any:
    [found] = map(json.loads, read_yaml(text, core=core))
    return found


def test_words_of_openapi_are_those_of_yaml_1_2() -> None:
    """There `no` is Norway and `12:30` a time; Kubernetes reads 1.1."""
    text = "{a: no, b: on, c: 12:30:00, d: 2030-01-01, e: 010, f: 0x1F, g: -1.5e3, h: ~, i: , j: true, k: '1', l: 1.0, m: <<x}"
    assert read(text) == {
        "a": "no", "b": "on", "c": "12:30:00", "d": "2030-01-01", "e": 10, "f": 31, "g": -1500.0, "h": None, "i": None,
        "j": True, "k": "1", "l": 1.0, "m": "<<x",
    }  # fmt: skip
    assert read("{a: no, b: 010, d: 2030-01-01}", core=False) == {"a": False, "b": 8, "d": "2030-01-01"}
    assert read("200: ok\ntrue: 1\nnull: 2\n") == {"200": "ok", "true": 1, "null": 2}


def test_what_is_merged_gives_way_to_what_stands_there() -> None:
    text = "base: &b {x: 1, y: 1}\nmid: {<<: &m {<<: *b, x: 2}, z: 3}\nother: *m\nlist: {<<: [{a: 1}, {a: 2, b: 2}]}\n"
    assert read(text) == {
        "base": {"x": 1, "y": 1},
        "mid": {"x": 2, "y": 1, "z": 3},
        "other": {"x": 2, "y": 1},
        "list": {"a": 1, "b": 2},
    }


BOMB = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "repeats too much"),
        (MERGES, "repeats too much"),
        (f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]\n", "repeats too much"),
        ("a: &a [*a]\n", "alias to what it stands in"),
        ("a: &a {b: {c: *a}}\n", "alias to what it stands in"),
        ("a: *b\n", "not valid YAML: found undefined alias"),
        ("a: 1\nb:\n  - {c: 1, 'c': 2}\n", "`c` is given twice (line 3)"),
        ("a: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("a: !!set {x, y}\n", "that JSON does not have"),
        ("[" * 5000, "nested too deeply"),
        ("a: 1\nb: \x08\n", "special characters are not allowed (line 2)"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(Mistakes) as wrong:
        list(read_yaml(text, core=True))
    assert said in str(wrong.value)


def test_aliases_that_spare_some_lines_are_read() -> None:
    [text] = read_yaml("a: &a {type: string}\nb: [*a, *a, *a]\n")
    assert text == '{"a": {"type": "string"}, "b": [{"type": "string"}, {"type": "string"}, {"type": "string"}]}'


def test_without_pyyaml_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(Mistakes, match=r"pip install pyyaml\), or draw it"):
        list(read_yaml("a: 1", otherwise="draw it"))
