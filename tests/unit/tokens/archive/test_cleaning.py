"""SVGs that older rules let in: cleaned once, when they are next read."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.common.database import Database
from services.tokens.archive import store
from services.tokens.archive.rules import svg
from services.tokens.models import Token
from tests.unit.tokens.archive.conftest import BAD, age, sized, views
from tests.unit.tokens.conftest import API, SVG


def stored(database: Database) -> tuple[str, int]:
    with database.read() as session:
        return tuple(session.execute(sa.select(Token.svg, Token.rules)).one())  # type: ignore[return-value]


@pytest.fixture
def cleanings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that was cleaned."""
    seen: list[str] = []
    cleaned = svg.cleaned
    monkeypatch.setattr(svg, "cleaned", lambda text: seen.append(text) or cleaned(text))
    return seen


@pytest.mark.parametrize("first", ["/svg", "/token", "/tokens", "/png"])
def test_what_older_rules_let_in_is_cleaned_once(api: API, database: Database, cleanings: list[str], first: str) -> None:
    token = api.token()
    age(database, BAD)
    assert api.get(first, **({"offset": 0} if first == "/tokens" else {"id": token})).status_code == 200
    assert views(api, token) == [SVG] * 3
    assert stored(database) == (SVG, svg.RULES)
    assert cleanings == [BAD]


def test_who_keeps_what_older_rules_let_in_gets_it_anew(api: API, database: Database) -> None:
    token = api.token()
    age(database, BAD)
    for path in ("/svg", "/token"):
        assert api.get(path, {"If-None-Match": f'"{token}-{svg.RULES - 1}"'}, id=token).status_code == 200


def test_what_cannot_be_cleaned_is_an_empty_image(api: API, database: Database, cleanings: list[str]) -> None:
    """The store keeps it, for whoever wants to save something of it; clients do not see it, and nobody tries again."""
    token = api.token()
    hopeless = "<!DOCTYPE svg>" + BAD
    age(database, hopeless)
    for _ in range(2):
        assert views(api, token) == [svg.EMPTY] * 3
    assert api.get("/png", id=token, width=256).status_code == 200
    assert stored(database) == (hopeless, -svg.RULES)
    assert cleanings == [hopeless]
    age(database, BAD, -svg.RULES + 1)  # marked by older rules
    assert views(api, token) == [SVG] * 3


def test_what_newer_rules_wrote_is_left_alone(api: API, database: Database, cleanings: list[str]) -> None:
    """While a new version starts beside an old one, both work on the same store."""
    token = api.token()
    text = SVG.replace("rect", "g")
    age(database, text, svg.RULES + 1)
    assert views(api, token) == [text] * 3 and stored(database) == (text, svg.RULES + 1) and cleanings == []


def test_many_readers_clean_once(api: API, database: Database, cleanings: list[str]) -> None:
    token = api.token()
    age(database, BAD)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: api.get("/svg", id=token).text, range(16))) == {SVG}
    assert cleanings == [BAD]


def test_a_store_that_takes_nothing_does_not_keep_from_reading(api: API, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("UPDATE", {}, Exception("disk full"))

    token = api.token()
    age(database, BAD)
    monkeypatch.setattr(store, "replace", refuse)
    assert views(api, token) == [SVG] * 3 and stored(database)[0] == BAD


def test_an_old_large_token(api: API, database: Database) -> None:
    token = api.token()
    age(database, sized(1_000_000).replace("<rect", "<script/><rect"))
    for answer in (api.get("/svg", id=token), api.get("/svg", id=token)):
        assert answer.text == sized(1_000_000) and answer.headers["Content-Length"] == str(len(answer.data))


def test_old_tokens_wait_only_so_long(api: API, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.tokens.archive.service.CLEANING_WAIT_S", 0.05)
    token = api.token()
    age(database, BAD)
    begun, go_on = threading.Event(), threading.Event()
    cleaned = svg.cleaned

    def slow(text: str) -> str:
        begun.set()
        go_on.wait(30)
        return cleaned(text)

    monkeypatch.setattr(svg, "cleaned", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.get, "/svg", id=token)
        assert begun.wait(30)
        for path in ("/svg", "/token", "/tokens", "/png"):
            answer = api.get(path, id=token, offset=0)
            assert (answer.status_code, answer.json) == (503, {"error": "too many old tokens at once"})
            assert answer.headers["Retry-After"] == "2"
        go_on.set()
        assert first.result().text == SVG
