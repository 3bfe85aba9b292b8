"""Large answers: sent in pieces, and what happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from services.common.database import Database
from services.tokens.archive import store
from services.tokens.archive.rules import svg
from services.tokens.archive.rules.tokens import Entry
from services.tokens.archive.service import PIECE, Changed
from services.tokens.models import Token
from tests.unit.tokens.archive.conftest import age, sized, ten
from tests.unit.tokens.conftest import ADM, API, SVG


@pytest.fixture
def large(api: API) -> list[str]:
    """Ids of nine tokens of about 100 KB with one of 1 MB in the middle, the newest first."""
    made = []
    for number in range(9):
        api.clock.move(1)
        made.append(api.token(sized(1_000_000 if number == 4 else 100_000)))
    return made[::-1]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of SVGs that each word with the store brought."""
    seen: list[int] = []
    some, piece = store.some, store.piece

    def watched_some(session: Session, numbers: Iterable[int]) -> list[Token]:
        found = some(session, numbers)
        seen.append(sum(len(token.svg.encode()) for token in found))
        return found

    def watched_piece(session: Session, entry: Entry, begin: int, size: int) -> bytes:
        found = piece(session, entry, begin, size)
        seen.append(len(found))
        return found

    monkeypatch.setattr(store, "some", watched_some)
    monkeypatch.setattr(store, "piece", watched_piece)
    return seen


@pytest.mark.parametrize("path", ["/svg", "/tokens"])
def test_what_follows_the_first_piece_is_waited_for_with_patience(
    api: API, large: list[str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer has begun: a store that is only busy must not cut it."""
    patience: list[bool] = []
    read = Database.read

    def watched(database: Database, *, patient: bool = False) -> Any:
        patience.append(patient)
        return read(database, patient=patient)

    monkeypatch.setattr(Database, "read", watched)
    asked: dict[str, Any] = {"id": large[4]} if path == "/svg" else {"offset": 0, "count": 9}
    answer = api.get(path, **asked)
    assert answer.status_code == 200 and len(answer.data) > 900_000
    assert patience[:3] == [False, False, True] and all(patience[2:])


def test_a_large_page_comes_in_pieces(api: API, large: list[str], reads: list[int]) -> None:
    """All rows, and only a small part of them in memory."""
    answer = api.get("/tokens", offset=1, count=7)
    assert answer.status_code == 200 and answer.content_type == "application/json" and "Content-Length" not in answer.headers
    assert [row["id"] for row in answer.json["rows"]] == large[1:8]
    assert [row["svg"] for row in answer.json["rows"]] == [sized(1_000_000 if number == 4 else 100_000) for number in range(1, 8)]
    assert {name: answer.json[name] for name in ("total_rows", "offset", "prev", "next", "newest_first")} == {
        "total_rows": 9, "offset": 1, "prev": large[0], "next": large[8], "newest_first": True,
    }  # fmt: skip
    assert max(reads) <= PIECE and sum(reads) > 1_500_000
    assert api.client.head("/tokens?offset=0&count=9").status_code == 200


def test_a_large_token_comes_in_pieces(api: API, large: list[str], reads: list[int]) -> None:
    text = sized(1_000_000)
    assert api.get("/token", id=large[4]).json == {
        "id": large[4], "svg": text, "generated": "2021-05-01T00:00:00Z", "keywords": ["a", "b", "c"],
    }  # fmt: skip
    answer = api.get("/svg", id=large[4])
    assert answer.text == text and answer.headers["Content-Length"] == str(len(text.encode()))
    assert api.get("/tokens", start_id=large[4]).json["rows"][0]["svg"] == text
    assert max(reads) <= PIECE and len(reads) == 12
    for path in ("/token", "/svg"):  # only what is sent is read
        del reads[:]
        parts = iter(api.client.get(path, query_string={"id": large[4]}).response)
        next(parts)
        assert len(reads) == 1
    assert api.client.head(f"/svg?id={large[4]}").headers["Content-Length"] == str(len(text.encode()))
    del reads[:]
    assert api.get("/svg", {"If-None-Match": answer.headers["ETag"]}, id=large[4]).status_code == 304
    assert reads == []  # who has it costs nothing


def test_a_small_page_is_whole(api: API) -> None:
    ten(api)
    for path in ("/tokens?offset=0&count=10", "/tokens?offset=99"):
        answer = api.client.get(path)
        assert answer.headers["Content-Length"] == str(len(answer.data)) and answer.data.endswith(b"}\n")


def test_a_token_removed_while_a_page_is_sent(api: API, large: list[str]) -> None:
    """Nothing is held in the store for a client that reads slowly; a row that is gone is left out."""
    answer = api.client.get("/tokens?offset=0&count=9")
    parts = iter(answer.response)
    begin = next(parts)
    api.client.delete("/token", query_string={"id": large[4]}, headers=ADM)
    page = json.loads(b"".join([begin, *parts]))
    assert [row["id"] for row in page["rows"]] == large[:4] + large[5:] and page["total_rows"] == 9


def test_a_token_removed_or_changed_while_it_is_sent(api: API, large: list[str], database: Database) -> None:
    """The answer breaks off: half of one text and half of another are no SVG that was ever looked at."""
    for change in (
        lambda: age(database, SVG, svg.RULES + 1),
        lambda: api.client.delete("/token", query_string={"id": large[4]}, headers=ADM),
    ):
        parts = iter(api.client.get(f"/svg?id={large[4]}").response)
        assert next(parts).startswith(b"<svg")
        change()
        with pytest.raises(Changed):
            b"".join(parts)
        age(database, sized(1_000_000), svg.RULES)


@pytest.mark.parametrize("path", ["/svg", "/token", "/tokens"])
def test_a_large_token_removed_before_its_first_piece(api: API, database: Database, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    token = api.token(sized(1_000_000))
    piece = store.piece

    def late(session: Session, entry: Entry, begin: int, size: int) -> bytes:
        with database.transaction() as other:
            store.remove(other, entry.id)
        return piece(session, entry, begin, size)

    monkeypatch.setattr(store, "piece", late)
    answer = api.get(path, **({"offset": 0} if path == "/tokens" else {"id": token}))
    if path == "/tokens":
        assert answer.status_code == 200 and answer.json["rows"] == []
    else:
        assert (answer.status_code, answer.json) == (404, {"error": "token not found"})
