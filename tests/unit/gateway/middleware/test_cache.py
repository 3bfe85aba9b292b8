"""What is answered from the cache, and to whom; what is kept at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from services.gateway.cache.memory import MemoryAnswers
from services.gateway.compiler import compile_api, lint, parse
from services.gateway.exchange import Exchange, Reply, ResponseHead, Target
from services.gateway.keys.model import Key, made_by_script
from services.gateway.middleware import cache
from services.gateway.ports import Ports
from tests.unit.gateway.exchanges import Time, ask, definition, document, exchange, make_key, mistakes, ports, spec

ON = {"enable_cache": True, "cache_timeout": 60, "cache_all_safe_requests": True}
KEYLESS: dict[str, Any] = {"use_keyless": True}
PLAIN = ((b"Content-Type", b"text/plain"),)


class House:
    """One API with a cache, and its upstream."""

    def __init__(self, revision: int = 1, store: MemoryAnswers | None = None, **more: Any) -> None:
        self.time = Time()
        self.store = store or MemoryAnswers(now=self.time)
        outside = ports(time=self.time)
        found = {name: getattr(outside, name) for name in Ports.__slots__}
        outside = Ports(**{**found, "answers": self.store})
        options = more.pop("options", ON)
        self.api = compile_api(definition(cache_options=options, **more), outside, revision)
        self.rule = cache.build(spec(cache, cache_options=options, **more), outside)

    def request(self, method: str = "GET", target: str = "/api/", headers: Iterable[tuple[str, str]] = (), **more: Any) -> Exchange:
        made = exchange(method, target, headers, **more)
        made.api = self.api
        return made

    def answer(
        self, made: Exchange, headers: Iterable[tuple[bytes, bytes]] = PLAIN, body: bytes = b"body", status: int = 200
    ) -> Reply | None:
        """What the cache answers; None = the upstream answered, with this."""
        reply = ask(self.rule, made)
        if reply is None:
            head = ResponseHead(status, b"OK", list(headers))
            self.rule.on_response(made, head)
            for copy in made.answer_copies:
                if copy.wants(made, head):
                    copy.take(made, head, body)
        return reply

    def hit(self, *given: Any, **more: Any) -> Reply:
        reply = self.answer(self.request(*given, **more))
        assert reply is not None
        return reply

    def missed(
        self, *given: Any, answered: Iterable[tuple[bytes, bytes]] = PLAIN, body: bytes = b"body", status: int = 200, **more: Any
    ) -> bool:
        return self.answer(self.request(*given, **more), answered, body, status) is None


@pytest.fixture
def house() -> House:
    return House(**KEYLESS)


def fields(reply: Reply) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in reply.headers}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"enable_cache": True, "cache_timeout": 60},
        {**ON, "enable_cache": False},
        {"enable_cache": True, "enable_upstream_cache_control": True},
    ],
)
def test_where_nothing_is_kept_it_is_not_in_the_chain(options: dict[str, Any]) -> None:
    assert spec(cache, cache_options=options) is None


def test_the_same_request_is_answered_from_the_cache(house: House) -> None:
    assert house.missed(answered=[*PLAIN, (b"Content-Length", b"4"), (b"Date", b"x"), (b"Age", b"0")])
    house.time.now += 5.5
    reply = house.hit()
    assert (reply.status, reply.body) == (200, b"body")
    assert reply.headers == [*PLAIN, (b"Age", b"5"), (b"x-tyk-cached-response", b"1")]
    assert (house.store.hits, house.store.misses) == (1, 1)
    house.time.now += 60
    assert house.missed()


def test_a_reply_may_be_changed_without_changing_the_next(house: House) -> None:
    house.missed()
    house.hit().headers.clear()
    assert fields(house.hit())[b"content-type"] == b"text/plain"


def test_head_is_answered_from_get_and_keeps_nothing(house: House) -> None:
    assert house.missed("HEAD")
    assert house.missed()
    assert house.hit("HEAD").body == b"body", "the writer leaves it out, and knows its length"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"key": make_key("a")}, {"key": make_key("b")}),
        ({"key": make_key("a")}, {}),
        ({"key": make_key("a")}, {"key": Key.from_session("a", [], {}, saved_at=2.0)}),
        ({"target": "/api/a"}, {"target": "/api/b"}),
        ({"target": "/api/a?x=1"}, {"target": "/api/a?x=2"}),
        ({"target": "/api/a"}, {"target": "/api/a?a"}),
        ({"version": "Default"}, {"version": "Default", "headers": [("Cookie", "a=b")]}),
        ({"headers": [("Cookie", "a=b")]}, {"headers": [("Cookie", "a=c")]}),
        ({"headers": [("X-Forwarded-Host", "a")]}, {"headers": [("X-Forwarded-Host", "b")]}),
        ({"headers": [("X-Tenant", "a")]}, {"headers": [("X-Tenant", "b")]}),
        ({"headers": [("X-Tenant", "")]}, {}),
        ({"headers": [("X-Tenant", "a"), ("X-Tenant", "b")]}, {"headers": [("X-Tenant", "b")]}),
    ],
)  # fmt: skip
def test_what_two_requests_must_share(one: dict[str, Any], other: dict[str, Any]) -> None:
    house = House(options={**ON, "cache_by_headers": ["X-Tenant"]})
    assert house.missed(**one, body=b"one")
    assert house.missed(**other, body=b"other")
    assert house.hit(**one).body == b"one"
    assert house.hit(**other).body == b"other"


@pytest.mark.parametrize(
    ("name", "value"),
    [("host", "other.example"), ("secure", True), ("upstream_path", "/other"), ("upstream_query", "a=b"), ("upstream_host", b"other"),
     ("target", Target("http", "10.0.0.2", 80, "", "", b"10.0.0.2", ("http", "10.0.0.2", 80))), ("further_keys", (make_key("second"),))],
)  # fmt: skip
def test_what_stages_found_out_or_changed_is_a_part_of_it(name: str, value: Any) -> None:
    house = House()
    other = house.request(key=make_key())
    setattr(other, name, value)
    assert house.missed(key=make_key())
    assert house.answer(other) is None
    house.hit(key=make_key())


def test_two_tokens_of_one_user_share_nothing_but_two_signatures_do() -> None:
    one, other = ({"key": make_key(), "headers": [("Authorization", text)]} for text in ("Bearer a", "Bearer b"))
    tokens = House(enable_jwt=True, jwt_signing_method="hmac", jwt_source="x" * 32)
    assert tokens.missed(**one)
    assert tokens.missed(**other), "a token says more than whose it is"
    for way in ({"enable_signature_checking": True}, {"use_basic_auth": True}, {}):
        house = House(**way)
        assert house.missed(**one)
        house.hit(**other)


def test_callers_whom_a_script_names_alike_share_nothing_when_their_sessions_differ() -> None:
    one, same, other = (made_by_script("default", "as a", {"meta_data": {"role": role}}, ()) for role in ("staff", "staff", "guest"))
    assert one.key(one.session).rate_counter == other.key(other.session).rate_counter
    house = House()
    assert house.missed(key=one.key(one.session))
    assert house.missed(key=other.key(other.session))
    house.hit(key=same.key(same.session))


def test_another_revision_has_answers_of_its_own() -> None:
    old = House(**KEYLESS)
    new = House(2, old.store, **KEYLESS)
    assert old.missed()
    assert new.missed()
    assert old.missed() is False


@pytest.mark.parametrize(
    "made",
    [
        {"method": "POST"}, {"body_length": 3}, {"body_length": -1},
        {"headers": [("Range", "bytes=0-1")]}, {"headers": [("If-Match", '"a"')]}, {"headers": [("X-HTTP-Method-Override", "DELETE")]},
        {"headers": [("Authorization", "Basic x")]}, {"headers": [("Cache-Control", "no-store")]}, {"method": "OPTIONS"},
    ],
)  # fmt: skip
def test_requests_that_are_the_upstreams(house: House, made: dict[str, Any]) -> None:
    house.missed()
    request = house.request(**made)
    assert ask(house.rule, request) is None
    assert request.answer_copies == ()
    assert house.store.misses == 1


def test_a_request_to_upgrade_is_the_upstreams(house: House) -> None:
    house.missed()
    request = house.request()
    request.upgrade = True
    assert ask(house.rule, request) is None
    assert request.answer_copies == ()


@pytest.mark.parametrize("says", ["no-cache", "max-age=0", "max-age=4", "max-age=x"])
def test_the_client_wants_a_new_answer(house: House, says: str) -> None:
    house.missed(body=b"old")
    house.time.now += 5
    assert house.missed(headers=[("Cache-Control", says)], body=b"new")
    assert house.hit().body == b"new"


def test_the_client_takes_an_old_answer(house: House) -> None:
    house.missed()
    house.time.now += 5
    house.hit(headers=[("Cache-Control", "max-age=5")])
    assert house.missed(headers=[("Pragma", "no-cache")])


@pytest.mark.parametrize("header", [(b"Set-Cookie", b"a=b"), (b"Cache-Control", b"private"), (b"Vary", b"*")])
def test_answers_that_are_nobody_elses(house: House, header: tuple[bytes, bytes]) -> None:
    assert house.missed(answered=[header])
    assert house.missed()


def test_answers_differ_by_the_fields_of_vary(house: House) -> None:
    vary = [(b"Vary", b"Accept-Language, Accept")]
    german, english = [("Accept-Language", "de")], [("Accept-Language", "en")]
    assert house.missed(headers=german, answered=vary, body=b"de")
    assert house.missed(headers=english, answered=vary, body=b"en")
    assert house.hit(headers=german).body == b"de"
    assert house.hit(headers=english).body == b"en"
    assert house.missed(answered=vary), "without the field is another one"
    assert house.missed(headers=[*german, ("Accept", "a")], answered=vary)


def test_vary_means_what_the_upstream_gets(house: House) -> None:
    def request() -> Exchange:
        made = house.request()
        made.set_header(b"X-Plan", plan)
        return made

    for plan, cached in ((b"gold", False), (b"free", False), (b"gold", True)):
        reply = house.answer(request(), [(b"Vary", b"X-Plan")], plan)
        assert (reply is not None) is cached
        assert reply is None or reply.body == plan


def test_variants_do_not_come_back_when_their_address_was_forgotten(house: House) -> None:
    vary, post = [(b"Vary", b"Accept")], {"method": "POST"}
    one, other = [("Accept", "a")], [("Accept", "b")]
    house.missed(headers=one, answered=vary, body=b"old")
    house.missed(headers=other, answered=vary, body=b"old")
    assert house.missed(**post)
    assert house.missed(headers=one, answered=vary, body=b"new")
    assert house.missed(headers=other, answered=vary)


@pytest.mark.parametrize(
    ("method", "status", "forgotten"), [("POST", 201, True), ("DELETE", 204, True), ("PUT", 500, False), ("OPTIONS", 200, False)]
)
def test_a_change_makes_the_callers_own_answer_old(house: House, method: str, status: int, forgotten: bool) -> None:
    house.missed(target="/api/a")
    house.missed(target="/api/b")
    assert house.missed(method, "/api/a", status=status)
    assert house.missed(target="/api/a") is forgotten
    house.hit(target="/api/b")


TAGGED = [(b"ETag", b'W/"t"'), (b"Last-Modified", b"Fri, 15 Jan 2027 08:00:00 GMT"), *PLAIN, (b"Content-Location", b"/x")]


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (("If-None-Match", 'W/"t"'), True), (("If-None-Match", '"a", "t"'), True), (("If-None-Match", "*"), True),
        (("If-None-Match", '"tt"'), False), (("If-None-Match", '"a"'), False),
        (("If-Modified-Since", "Fri, 15 Jan 2027 08:00:00 GMT"), True), (("If-Modified-Since", "Fri, 15 Jan 2027 07:00:00 GMT"), False),
    ],
)  # fmt: skip
def test_the_client_has_the_answer_already(house: House, header: tuple[str, str], known: bool) -> None:
    house.missed(answered=TAGGED)
    reply = house.hit(headers=[header])
    assert reply.status == (304 if known else 200)
    assert reply.body == (b"" if known else b"body")
    assert (b"content-type" in fields(reply)) is not known
    assert fields(reply)[b"etag"] == b'W/"t"'
    assert fields(reply)[b"content-location"] == b"/x"
    assert fields(reply)[b"age"] == b"0"


def test_a_tag_outranks_a_date_and_errors_have_neither(house: House) -> None:
    house.missed(answered=TAGGED)
    assert house.hit(headers=[("If-None-Match", '"a"'), ("If-Modified-Since", "Fri, 15 Jan 2027 08:00:00 GMT")]).status == 200
    house.missed(target="/api/none", status=404, answered=TAGGED)
    assert house.hit(target="/api/none", headers=[("If-None-Match", '"t"')]).status == 404


def test_the_upstream_says_how_long(house: House) -> None:
    house.missed(answered=[(b"Cache-Control", b"max-age=10")])
    house.time.now += 9
    house.hit()
    house.time.now += 1
    assert house.missed()
    by_upstream = House(options={**ON, "enable_upstream_cache_control": True}, **KEYLESS)
    assert by_upstream.missed()
    assert by_upstream.missed(answered=[(b"x-tyk-cache-action-set", b"1"), (b"x-tyk-cache-action-set-ttl", b"300")])
    by_upstream.time.now += 299
    by_upstream.hit()


PATHS = {
    "cache": ["/listed"],
    "advance_cache_config": [
        {"path": "/errors", "method": "GET", "cache_response_codes": [500], "timeout": 5},
        {"path": "/off", "method": "GET", "disabled": True},
    ],
}
VERSION = {"use_extended_paths": True, "extended_paths": PATHS}
SOME = {"enable_cache": True, "cache_timeout": 60}


def test_paths_of_their_own() -> None:
    house = House(options=SOME, version=VERSION, **KEYLESS)
    for path in ("/api/other", "/api/off", "/api/errors"):
        assert house.missed(target=path)
        assert house.missed(target=path)
    for path, status in (("/api/listed", 200), ("/api/errors", 500)):
        house.missed(target=path, status=status)
        assert house.hit(target=path).status == status
    house.time.now += 6
    assert house.missed(target="/api/errors")
    house.hit(target="/api/listed")


def test_a_later_change_of_the_method_is_the_upstreams(house: House) -> None:
    house.missed()
    request = house.request()
    request.upstream_method = "POST"
    assert ask(house.rule, request) is None
    assert request.answer_copies == ()


@pytest.mark.parametrize(
    ("options", "paths", "place"),
    [
        ({"cache_timeout": -1}, {}, "/cache_options/cache_timeout"),
        ({"cache_response_codes": ["200"]}, {}, "/cache_options/cache_response_codes/0"),
        ({"cache_response_codes": [200, 99]}, {}, "/cache_options/cache_response_codes/1"),
        ({"cache_control_ttl_header": "a b"}, {}, "/cache_options/cache_control_ttl_header"),
        ({"cache_by_headers": ["a", "a:b"]}, {}, "/cache_options/cache_by_headers/1"),
        ({}, {"cache": ["("]}, "/cache/0"),
        ({}, {"cache": [{"path": "/a"}]}, "/cache/0"),
        ({}, {"advance_cache_config": [{"path": "/a", "method": "POST"}]}, "/advance_cache_config/0/method"),
        ({}, {"advance_cache_config": [{"path": ""}]}, "/advance_cache_config/0/path"),
        ({}, {"advance_cache_config": [{"path": "/a", "timeout": -1}]}, "/advance_cache_config/0/timeout"),
    ],
)
def test_mistakes(options: dict[str, Any], paths: dict[str, Any], place: str) -> None:
    version = {"use_extended_paths": True, "extended_paths": paths}
    prefix = "" if place.startswith("/cache_options") else "/version_data/versions/Default/extended_paths"
    assert mistakes(cache, cache_options={**ON, **options}, version=version) == [prefix + place]


@pytest.mark.parametrize(
    ("options", "paths", "places"),
    [
        (ON, {}, []),
        ({}, {"cache": []}, []),
        ({}, {"cache": ["/a"]}, ["/cache"]),
        ({**ON, "enable_cache": False}, {}, ["/cache_options/cache_all_safe_requests"]),
        ({**ON, "cache_timeout": 0}, {}, ["/cache_options/cache_timeout"]),
        ({**SOME, "enable_upstream_cache_control": True}, {}, ["/cache_options/enable_upstream_cache_control"]),
        ({"enable_cache": True}, {"advance_cache_config": [{"path": "/a", "timeout": 5}]}, []),
        (SOME, {"advance_cache_config": [{"path": "/a", "cache_key_regex": "x"}]}, ["/advance_cache_config/0/cache_key_regex"]),
        (SOME, {"advance_cache_config": [{"path": "/a"}, {"path": "/a"}]}, ["/advance_cache_config/1"]),
    ],
)
def test_warnings(options: dict[str, Any], paths: dict[str, Any], places: list[str]) -> None:
    version = {"use_extended_paths": True, "extended_paths": paths}
    found = lint(parse(document(cache_options=options, version=version)))
    assert [warning.pointer.removeprefix("/version_data/versions/Default/extended_paths") for warning in found] == places


def test_a_body_that_was_read_and_is_empty_is_no_body(house: House) -> None:
    for cached, body in ((False, b""), (True, b""), (False, b"x")):
        request = house.request()
        request.body = body
        assert (house.answer(request) is not None) is cached


def test_credentials_of_the_upstreams_own(house: House) -> None:
    for name in ("X-Api-Key", "x-auth-token"):
        assert house.missed(headers=[(name, "one")], body=b"one")
        assert house.missed(headers=[(name, "other")])
        assert house.hit(headers=[(name, "one")]).body == b"one"
