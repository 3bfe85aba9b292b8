"""The archive: adding, reading, paging, removing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.database import Database
from services.tokens.archive.rules import ids, svg
from services.tokens.archive.service import PIECE, Changed
from services.tokens.archive.store import Entry, TokenStore
from services.tokens.models import Token
from tests.unit.tokens.conftest import ADM, API, EX, GEN, SVG


def ten(api: API) -> list[str]:
    """Ids of ten tokens, the newest first."""
    made = []
    for _ in range(10):
        api.clock.move(0.5)
        made.append(api.token())
    return made[::-1]


def test_information(api: API) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert set(answer.json) == {"name", "description", "version", "git_sha"}


def test_put_and_read(api: API) -> None:
    answer = api.put()
    assert answer.status_code == 200
    token = answer.json["id"]
    assert len(token) >= 7 and token == token.lower() and not set(token) & {"i", "o"}
    shown = {"id": token, "svg": SVG, "generated": "2021-05-01T00:00:00Z", "keywords": ["a", "b", "c"]}
    for spelling in (token, token.upper(), token.zfill(32)):
        assert api.get("/token", id=spelling).json == shown


def test_id_is_the_time_in_base_34(api: API) -> None:
    assert ids.decode(api.token()) == ids.milliseconds(api.clock.now())


def test_svg_is_served_so_that_nothing_runs(api: API) -> None:
    token = api.token()
    answer = api.get("/svg", id=token)
    assert answer.text == SVG
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"] and "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer.headers["Cache-Control"]
    again = api.get("/svg", {"If-None-Match": answer.headers["ETag"]}, id=token)
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/svg", "/token", "/png"])
def test_conditions(api: API, path: str) -> None:
    """An answer that may be kept for a year is whole, or says that it is none."""
    token = api.token()
    tag = f'"{token}-{svg.RULES}{"-256" if path == "/png" else ""}"'
    whole = api.get(path, id=token, width=256)
    assert whole.status_code == 200 and whole.headers["ETag"] == tag

    def asked(**conditions: str) -> tuple[int, bytes, bool]:
        answer = api.get(path, {name.replace("_", "-"): value for name, value in conditions.items()}, id=token, width=256)
        return answer.status_code, answer.data, "immutable" in answer.headers.get("Cache-Control", "")

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert asked(If_None_Match=known) == asked(If_None_Match=known, If_Match=tag) == (304, b"", True)
    for wanted in (tag, f'"other", {tag}', "*"):
        assert asked(If_Match=wanted) == asked(If_Match=wanted, If_None_Match='"other"') == (200, whole.data, True)
    for status, _, kept in (asked(If_Match='"other"'), asked(If_Match='"other"', If_None_Match=tag)):
        assert (status, kept) == (412, False)
    assert asked(Range="bytes=0-1", If_None_Match='"other"', If_Range=tag) == (200, whole.data, True)


def test_svg_download(api: API) -> None:
    token = api.token()
    answer = api.get("/svg", id=token.upper(), download="")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="token-{token}.svg"'


@pytest.mark.parametrize("path", ["/svg", "/png", "/token"])
def test_id_missing_and_not_found(api: API, path: str) -> None:
    for query in ({}, {"id": ""}):
        answer = api.get(path, **query)
        assert (answer.status_code, answer.json) == (400, {"error": "id missing"})
    for unknown in ("1234567", "zzz!", "iO", "z" * 32, "z" * 33, "\x00", "ä"):
        answer = api.get(path, id=unknown)
        assert (answer.status_code, answer.json) == (404, {"error": "token not found"}), unknown


def test_first_of_repeated_parameters_counts(api: API) -> None:
    token = api.token()
    assert api.client.get(f"/token?id={token}&id=b").status_code == 200


@pytest.mark.parametrize(
    "other",
    [
        {"svg": ""}, {"svg": None}, {"svg": 1}, {"svg": "\ud800"}, {"svg": "a\x00"},
        {"generated": None}, {"generated": "tomorrow"}, {"generated": 5},
        {"keywords": None}, {"keywords": "a,b,c"}, {"keywords": ["a", "b"]}, {"keywords": ["a", "b", "c", "d"]},
        {"keywords": ["a", "b", 3]}, {"keywords": ["a", "b", "\x00"]},
    ],
)  # fmt: skip
def test_put_of_a_wrong_attribute(api: API, other: dict[str, object]) -> None:
    answer = api.put(**other)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json) == (400, {"error": "required attribute(s) missing"})
    assert api.get("/tokens", offset=0).json["total_rows"] == 0


@pytest.mark.parametrize(("body", "message"), [
    (b'{"svg":', "invalid json"), (b"", "invalid json"), (b"\xff", "invalid json"), (b"[" * 100_000, "invalid json"),
    (b"[]", "required attribute(s) missing"), (b"null", "required attribute(s) missing"), (b"{}", "required attribute(s) missing"),
])  # fmt: skip
def test_put_of_another_body(api: API, body: bytes, message: str) -> None:
    answer = api.client.put("/token", data=body, headers=GEN)
    assert (answer.status_code, answer.json) == (400, {"error": message})


def test_put_too_large(api: API) -> None:
    padding = "<!--" + "x" * 1_000_000 + "-->"
    for text in (SVG.replace("</svg>", padding + "</svg>"), SVG + "x" * 3_000_000):
        answer = api.put(text)
        assert (answer.status_code, answer.json) == (413, {"error": "body too large"})


def test_put_of_an_unsafe_svg_stores_nothing(api: API) -> None:
    answer = api.put('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
    assert answer.status_code == 400
    assert answer.json == {"error": "invalid svg: element 'script'"}
    assert api.get("/tokens", offset=0).json["total_rows"] == 0


BAD = SVG.replace("<rect", "<script>alert(1)</script><rect onload='x()'")


def age(database: Database, text: str, rules: int = svg.RULES - 1) -> None:
    """Let all tokens be as if they had been archived under other rules."""
    with database.transaction() as session:
        session.execute(sa.update(Token).values(svg=text, rules=rules))


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


def views(api: API, token: str) -> list[str]:
    """The SVG in every answer that shows it."""
    rows = api.get("/tokens", offset=0, count=5).json["rows"]
    return [api.get("/token", id=token).json["svg"], api.get("/svg", id=token).text, *[row["svg"] for row in rows]]


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
    monkeypatch.setattr(TokenStore, "replace", refuse)
    assert views(api, token) == [SVG] * 3 and stored(database)[0] == BAD


def test_what_is_stored_is_written_anew(api: API) -> None:
    sent = f"<!-- a program -->\n{SVG}".replace("<rect", "<g></g><rect data-x='1'")
    assert views(api, api.token(sent)) == [SVG.replace("<rect", "<g/><rect")] * 3


def test_put_too_large_when_it_is_written(api: API) -> None:
    answer = api.put(SVG.replace("</svg>", f"<text>{'>' * 400_000}</text></svg>"))
    assert (answer.status_code, answer.json) == (413, {"error": "body too large"})


def test_put_fields_beside_the_four_are_dropped(api: API) -> None:
    token = api.put(owner="me").json["id"]
    assert set(api.get("/token", id=token).json) == {"id", "svg", "generated", "keywords"}


def test_idempotency_key(api: API) -> None:
    headers = {**GEN, "Idempotency-Key": "one"}
    first = api.put(headers=headers).json
    assert api.put(headers=headers).json == first
    assert api.get("/tokens", offset=0).json["total_rows"] == 1
    assert api.put(headers=headers, keywords=["x", "y", "z"]).status_code == 422
    assert api.put(headers={**GEN, "Idempotency-Key": "two"}).json != first
    assert api.put(headers={**GEN, "Idempotency-Key": "k" * 256}).status_code == 400


def test_same_idempotency_key_at_once(api: API) -> None:
    headers = {**GEN, "Idempotency-Key": "one"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.put(headers=headers), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["id"] for answer in answers}) == 1


def test_fifty_puts_at_once(api: API) -> None:
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: api.put(), range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    made = {answer.json["id"] for answer in answers}
    page = api.get("/tokens", offset=0, count=250).json
    assert len(made) == 50 and {row["id"] for row in page["rows"]} == made and page["total_rows"] == 50
    numbers = [ids.decode(row["id"]) for row in page["rows"]]
    assert numbers == sorted(numbers, reverse=True)


def test_a_clock_that_goes_back_does_not_disturb_the_order(api: API) -> None:
    first = api.token()
    api.clock.move(-3600)
    second = api.token()
    assert [row["id"] for row in api.get("/tokens", offset=0, count=2).json["rows"]] == [second, first]


PAGES = [
    ("offset=0&count=3", "012", None, 3), ("offset=3&count=3", "345", 2, 6), ("offset=8&count=5", "89", 7, None),
    ("offset=10", "", 9, None),
    ("offset=99", "", None, None), ("offset=-1", "9", 8, None), ("offset=-3&count=5", "789", 6, None), ("offset=-5&count=3", "567", 4, 8),
    ("offset=-11", "", None, 0), ("offset=-12&count=5", "012", None, 3), ("offset=-99", "", None, None),
    ("offset=-2147483648", "", None, None),
    ("start_id=3&count=3", "345", 2, 6), ("end_id=5&count=3", "345", 2, 6), ("end_id=1&count=3", "01", None, 2),
    ("start_id=9&count=3", "9", 8, None),
    ("offset=0&start_id=5&end_id=2", "0", None, 1), ("start_id=5&end_id=2", "5", 4, 6),
]  # fmt: skip


@pytest.mark.parametrize("newest_first", [True, False])
def test_paging(api: API, newest_first: bool) -> None:
    tokens = ten(api)
    if not newest_first:
        tokens.reverse()
    for query, rows, previous, following in PAGES:
        asked = dict(part.split("=") for part in query.split("&"))
        named = {name: tokens[int(value)] if name.endswith("id") else value for name, value in asked.items()}
        page = api.get("/tokens", **named, newest_first=str(newest_first).lower()).json
        assert [row["id"] for row in page["rows"]] == [tokens[int(one)] for one in rows], query
        assert page["prev"] == (None if previous is None else tokens[previous]), query
        assert page["next"] == (None if following is None else tokens[following]), query
        assert page["total_rows"] == 10 and page["newest_first"] is newest_first
        if "offset" in asked:
            assert page["offset"] == int(asked["offset"]), query
        else:
            assert page["offset"] == int(rows[0]), query


def test_ids_between_tokens_begin_at_the_next_one(api: API) -> None:
    tokens = ten(api)
    between = ids.encode(ids.decode(tokens[4]) + 1)  # type: ignore[operator]  newer than 4, older than 3
    assert [row["id"] for row in api.get("/tokens", start_id=between, count=2).json["rows"]] == tokens[4:6]
    assert [row["id"] for row in api.get("/tokens", end_id=between, count=2).json["rows"]] == tokens[2:4]
    assert [row["id"] for row in api.get("/tokens", start_id=between, count=2, newest_first="false").json["rows"]] == [tokens[3], tokens[2]]
    assert [row["id"] for row in api.get("/tokens", end_id=between, count=2, newest_first="false").json["rows"]] == [tokens[5], tokens[4]]
    assert [row["id"] for row in api.get("/tokens", start_id="z" * 32, count=2).json["rows"]] == tokens[:2]
    assert api.get("/tokens", start_id="!", count=2).json["rows"] == []


def test_walk_there_and_back_while_tokens_are_added(api: API) -> None:
    tokens = ten(api)
    seen: list[str] = []
    page = api.get("/tokens", offset=0, count=3).json
    while True:
        seen += [row["id"] for row in page["rows"]]
        api.clock.move(1)
        api.token()
        if page["next"] is None:
            break
        page = api.get("/tokens", start_id=page["next"], count=3).json
    assert seen == tokens
    back = page["rows"]
    while page["prev"] is not None:
        page = api.get("/tokens", end_id=page["prev"], count=3).json
        back = page["rows"] + back
    assert [row["id"] for row in back][-10:] == tokens and len(back) == page["total_rows"]


@pytest.mark.parametrize(("query", "message"), [
    ({}, "need offset, start_id or end_id"), ({"offset": ""}, "need offset, start_id or end_id"),
    ({"count": 5}, "need offset, start_id or end_id"),
    *[({"offset": 0, "count": count}, "count out of range") for count in ("0", "-1", "251", "abc", "2.5", "9" * 400)],
    *[({"offset": offset}, "offset out of range") for offset in ("abc", "1.5", "2147483649", "-2147483649", "9" * 400, "１")],
    ({"offset": 0, "newest_first": "maybe"}, "invalid newest_first"),
])  # fmt: skip
def test_paging_refused(api: API, query: dict[str, object], message: str) -> None:
    answer = api.get("/tokens", **query)
    assert (answer.status_code, answer.json) == (400, {"error": message})


def test_count_defaults_to_one_and_250_is_allowed(api: API) -> None:
    ten(api)
    assert len(api.get("/tokens", offset=0).json["rows"]) == 1
    assert len(api.get("/tokens", offset=0, count=250).json["rows"]) == 10


def sized(size: int) -> str:
    """An SVG of nearly so many bytes, with characters that JSON escapes and such that take several bytes."""
    text = SVG.replace("</svg>", "<text></text></svg>")
    return text.replace("<text>", "<text>" + 'ä"\\\n\t\U0001f600seventeen letters' * ((size - len(text)) // 27))


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
    some, piece = TokenStore.some, TokenStore.piece

    def watched_some(store: TokenStore, numbers: Iterable[int], *, patient: bool = False) -> list[Token]:
        found = some(store, numbers, patient=patient)
        seen.append(sum(len(token.svg.encode()) for token in found))
        return found

    def watched_piece(store: TokenStore, entry: Entry, begin: int, size: int, *, patient: bool = False) -> bytes:
        found = piece(store, entry, begin, size, patient=patient)
        seen.append(len(found))
        return found

    monkeypatch.setattr(TokenStore, "some", watched_some)
    monkeypatch.setattr(TokenStore, "piece", watched_piece)
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
    piece = TokenStore.piece

    def late(store: TokenStore, entry: Entry, begin: int, size: int, *, patient: bool = False) -> bytes:
        store.delete(entry.id)
        return piece(store, entry, begin, size, patient=patient)

    monkeypatch.setattr(TokenStore, "piece", late)
    answer = api.get(path, **({"offset": 0} if path == "/tokens" else {"id": token}))
    if path == "/tokens":
        assert answer.status_code == 200 and answer.json["rows"] == []
    else:
        assert (answer.status_code, answer.json) == (404, {"error": "token not found"})


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


def test_public_routes_take_no_notice_of_the_header(api: API) -> None:
    assert api.get("/tokens", {"Authorization": "Bearer garbage"}, offset=0).status_code == 200


def test_delete(api: API) -> None:
    tokens = ten(api)
    assert api.client.delete("/token", query_string={"id": tokens[4]}, headers=GEN).status_code == 403
    answer = api.client.delete("/token", query_string={"id": tokens[4]}, headers=ADM)
    assert (answer.status_code, answer.json) == (200, {})
    assert api.client.delete("/token", query_string={"id": tokens[4]}, headers=ADM).status_code == 404
    assert api.client.delete("/token", headers=ADM).json == {"error": "id missing"}
    left = tokens[:4] + tokens[5:]
    page = api.get("/tokens", offset=3, count=3).json
    assert [row["id"] for row in page["rows"]] == left[3:6] and page["total_rows"] == 9
    assert (page["prev"], page["next"]) == (left[2], left[6])
    assert api.get("/tokens", start_id=tokens[4]).json["rows"][0]["id"] == tokens[5]
    assert api.get("/tokens", offset=0, count=250).json["rows"][-1]["id"] == tokens[9]


def test_delete_all_asks_twice(api: API) -> None:
    tokens = ten(api)
    assert api.client.delete("/tokens", headers=EX).status_code == 403
    assert api.client.delete("/tokens", headers=ADM).status_code == 400
    assert api.client.delete("/tokens?confirm=all", headers=ADM).status_code == 200
    assert api.get("/tokens", offset=0).json["total_rows"] == 0
    api.clock.move(-100)
    assert api.token() > tokens[0]  # an id is never given twice


def test_deleting_while_adding_keeps_positions_dense(api: API, database: Database) -> None:
    tokens = ten(api)
    barrier = threading.Barrier(2)

    def delete() -> None:
        barrier.wait()
        for token in tokens[::2]:
            assert api.client.delete("/token", query_string={"id": token}, headers=ADM).status_code == 200

    def add() -> None:
        barrier.wait()
        for _ in range(10):
            api.token()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(delete), pool.submit(add)]:
            done.result()
    with database.read() as session:
        positions = list(session.scalars(sa.select(Token.position).order_by(Token.id)))
    assert positions == list(range(1, 16))


def test_errors_have_the_original_shape_everywhere(api: API) -> None:
    for answer, status in (
        (api.get("/nowhere"), 404), (api.client.post("/token"), 405), (api.client.put("/token", data=b"x" * 3_000_000, headers=GEN), 413),
    ):  # fmt: skip
        assert answer.status_code == status
        assert set(answer.json) == {"error"}
        assert answer.headers["X-Request-Id"]


def test_cors_is_open(api: API) -> None:
    assert api.get("/tokens", offset=0).headers["Access-Control-Allow-Origin"] == "*"
    assert api.get("/nowhere").headers["Access-Control-Allow-Origin"] == "*"
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = api.client.options("/request_interaction", headers=asked)
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
