"""Adding: what a generator may hand in, idempotency keys, many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from services.tokens.archive.rules import ids
from tests.unit.tokens.archive.conftest import views
from tests.unit.tokens.conftest import API, GEN, SVG


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
