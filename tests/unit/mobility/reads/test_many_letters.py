"""Names that are sought by as many different letters as a query may have."""

from __future__ import annotations

import pytest

from tests.unit.mobility.conftest import API, good, point

_CYRILLIC = "".join(map(chr, range(0x0410, 0x0430)))
_GREEK = "".join(chr(code) for code in range(0x0391, 0x03AA) if code != 0x03A2)
_LATIN = "".join(chr(code) for code in range(0x0100, 0x0130, 2))
_ARMENIAN = "".join(map(chr, range(0x0531, 0x0557)))
_GEORGIAN = "".join(map(chr, range(0x1C90, 0x1CBB)))
LETTERS = (_CYRILLIC + _GREEK + _LATIN + _ARMENIAN + _GEORGIAN)[:150]


@pytest.mark.parametrize("flags", [{}, {"trigrams": ""}])
def test_a_name_of_many_letters_is_found(api: API, flags: dict[str, str]) -> None:
    """Each letter has another case: a condition that grew with them was too deep for SQLAlchemy, and for both stores."""
    api.bulk("a.rail", [{"id": "x", "name": LETTERS, "geom": point(4, 52), "data": {}}])
    assert [node["name"] for node in good(api.get("/nodes", name=LETTERS.lower(), **flags))["results"]] == [LETTERS]
    assert good(api.get("/nodes", name=LETTERS[:-1] + "x", layer="a.rail"))["results"] == []


@pytest.mark.parametrize("sign", list("*?[]^-%_\\'\"!"))
def test_a_sign_stands_for_itself(sqlite_api: API, sign: str) -> None:
    name = f"sign {ord(sign)} a{sign}B"
    sqlite_api.bulk("a.rail", [{"id": f"s{ord(sign)}", "name": name, "geom": point(4, 52), "data": {}}])
    assert [node["name"] for node in good(sqlite_api.get("/nodes", name=f"A{sign}b"))["results"]] == [name]
