"""What a shared cache may keep, and for how long."""

from __future__ import annotations

import pytest

from services.gateway.cache.port import LARGEST_BODY
from services.gateway.cache.storable import USUAL_CODES, Rule, Terms, directives, terms

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
RULE = Rule(60, USUAL_CODES)
BY_UPSTREAM = Rule(60, USUAL_CODES, by_upstream=True)


def judged(*lines: str, status: int = 200, rule: Rule = RULE) -> Terms | None:
    headers = [(name.encode(), value.encode()) for name, _, value in (line.partition(": ") for line in lines)]
    return terms(status, headers, rule, NOW)


@pytest.mark.parametrize(
    "line",
    ["Set-Cookie: a=b", "Cache-Control: no-store", "Cache-Control: max-age=9, Private", 'cache-control: private="x, y"',
     "Cache-Control: no-cache", "Cache-Control: max-age=0", "Cache-Control: max-age=x", "Vary: *", "Vary: Accept, X-Forwarded-For",
     "Content-Range: bytes 0-1/2", f"Content-Length: {LARGEST_BODY + 1}", "Expires: 0", "Expires: Fri, 15 Jan 2027 08:00:00 GMT",
     "Cache-Control: s-maxage=0, max-age=9"],
)  # fmt: skip
def test_what_is_never_kept(line: str) -> None:
    assert judged(line) is None
    assert judged("X-Other: 1") == Terms(60, 0, ())


@pytest.mark.parametrize("status", [206, 304, 302, 401, 500, 503])
def test_codes_that_are_not_kept_unasked(status: int) -> None:
    assert judged(status=status) is None


def test_codes_that_a_definition_names() -> None:
    rule = Rule(60, frozenset({500}))
    assert judged(status=500, rule=rule) is not None
    assert judged(status=200, rule=rule) is None


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["Cache-Control: max-age=10"], 10),
        (["Cache-Control: max-age=1000"], 60),
        (["Cache-Control: max-age=1000, max-age=7"], 7),
        (["Cache-Control: max-age=10", "Cache-Control: s-maxage=20"], 20),
        (['Cache-Control: max-age="10"'], 10),
        (["Cache-Control: max-age=30", "Age: 20"], 10),
        (["Expires: Fri, 15 Jan 2027 08:00:30 GMT"], 30),
        (["Expires: Fri, 15 Jan 2027 08:00:30 GMT", "Date: Fri, 15 Jan 2027 08:00:10 GMT"], 20),
        (["Age: 20"], 60),
    ],
)
def test_the_answer_says_less(lines: list[str], seconds: float) -> None:
    found = judged(*lines)
    assert found is not None
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], None),
        (["Cache-Control: max-age=1000"], 1000),
        (["Cache-Control: s-maxage=5, max-age=1000"], 5),
        (["x-tyk-cache-action-set: 1"], 60),
        (["x-tyk-cache-action-set: 1", "x-tyk-cache-action-set-ttl: 7"], 7),
        (["x-tyk-cache-action-set: 1", "x-tyk-cache-action-set-ttl: 7", "Cache-Control: no-store"], None),
        (["x-tyk-cache-action-set-ttl: 7"], None),
        (["Cache-Control: max-age=99999999999999999999999"], 365 * 86_400),
    ],
)
def test_the_upstream_decides_alone(lines: list[str], seconds: float | None) -> None:
    found = judged(*lines, rule=BY_UPSTREAM)
    assert (found and found.seconds) == seconds


def test_another_field_of_the_seconds() -> None:
    rule = Rule(60, USUAL_CODES, by_upstream=True, ttl_field=b"x-life")
    assert judged("x-tyk-cache-action-set: 1", "X-Life: 3", rule=rule) == Terms(3, 0, ())


def test_by_what_answers_differ() -> None:
    found = judged("Vary: Accept-Encoding, accept", "Vary: Cookie, Authorization")
    assert found == Terms(60, 0, (b"accept", b"accept-encoding"))
    assert judged("Access-Control-Allow-Origin: *") == Terms(60, 0, ())
    assert judged("Access-Control-Allow-Origin: https://a.example") == Terms(60, 0, (b"origin",)), "upstreams forget to say so"


def test_directives() -> None:
    assert directives([b"No-Cache, max-age = 5", b'x="y", ,']) == {b"no-cache": b"", b"max-age": b"5", b"x": b"y"}
