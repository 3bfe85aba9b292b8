"""Requests that one API sends on to another: who is found, what is judged again, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.gateway.exchange import BATCH_PATH, CompiledApi, Exchange, Looped, Reply, ResponseHead, Timeouts
from services.gateway.forwarding.whole_answers import changed_head, transformed
from services.gateway.judge import Judge
from services.gateway.live import Live
from services.gateway.loops import Loops, _announce, settle
from services.gateway.ports import Ports
from services.gateway.refusals import (
    BAD_PATH,
    DEFINITION_BROKEN,
    ENDPOINT_FORBIDDEN,
    IP_REFUSED,
    KEY_MISSING,
    LOOP_LIMIT,
    LOOP_UNKNOWN,
    NOT_FOUND,
    RATE_LIMITED,
    SCRIPT_NOT_AUTHORISED,
    Refusal,
    RefusalKind,
)
from services.gateway.scripts.scripts import Scripts
from services.gateway.wire.heads.responses import parse_response
from tests.support.token_issuer import sign
from tests.unit.gateway.exchanges import KnownKeys, document, exchange, make_key, ports
from tests.unit.gateway.test_live import Source, Stored


def stored(api_id: str, target: str = "http://10.0.0.1/base", **more: Any) -> Stored:
    proxy = {"listen_path": f"/{api_id}/", "target_url": target, "strip_listen_path": True, **more.pop("proxy", {})}
    more = {"use_keyless": True, "name": api_id, **more}
    return Stored(f"id-{api_id}", api_id, 1, document(**{"api_id": api_id, "proxy": proxy, **more}))


def rewriting(to: str, path: str = "/a", **lists: Any) -> dict[str, Any]:
    entry = {"path": path, "match_pattern": f"{path}(.*)", "rewrite_to": to}
    return {"use_extended_paths": True, "extended_paths": {"url_rewrites": [entry], **lists}}


class House:
    """Some APIs, and a judge. told: codes of refusals that events were told of, with the API."""

    def __init__(self, *definitions: Stored, keys: KnownKeys | None = None, outside: Ports | None = None) -> None:
        outside = outside or ports(keys or KnownKeys({"secret": make_key("key-1", rate=1, per=1000)}))
        self.live = Live(Source(*definitions), outside)
        self.live.reload()
        self.loops = Loops(self.live)

    def ask(self, target: str, method: str = "GET", headers: Any = (), **more: Any) -> tuple[Exchange, Exchange, Reply | None]:
        """Judge a request; return it, as it goes to the upstream, and the answer. Raises Refusal."""
        self.asked = request = exchange(method, target, headers, **more)
        request.version_name = ""
        judge = Judge(self.live, None, lambda: Reply(200, []))  # type: ignore[arg-type]

        async def decided() -> tuple[Exchange, Reply | None]:
            found = judge.decide(request)
            reply = found if found is None or isinstance(found, Reply) else await found
            assert isinstance(reply, Looped)
            return await self.loops.follow(request, reply)

        inner, reply = asyncio.run(decided())
        return request, inner, reply

    def refused(self, kind: RefusalKind, target: str, *more: Any, **named: Any) -> Refusal:
        with pytest.raises(Refusal) as refused:
            self.ask(target, *more, **named)
        assert refused.value.kind is kind, refused.value.kind.code
        return refused.value


def api_of(one: Exchange) -> CompiledApi:
    assert one.api is not None
    return one.api


def test_the_other_api_gets_the_request_below_its_listen_path() -> None:
    house = House(stored("front", "tyk://inner/below?b=2"), stored("inner", internal=True))
    request, inner, reply = house.ask("/front/a/%C3%A4?a=1", "POST", [("X-A", "1")], body_length=5)
    assert reply is None
    assert (api_of(inner).api_id, inner.path, inner.relative, inner.query) == (
        "inner",
        "/inner/below/a/%C3%A4",
        "/below/a/%C3%A4",
        "b=2&a=1",
    )
    assert (inner.upstream_method, inner.client, inner.request_id, inner.body_length) == ("POST", request.client, request.request_id, 5)
    assert (api_of(request).api_id, request.path) == ("front", "/front/a/%C3%A4")
    assert inner.section is request.section, "what is remembered of its fields is used again"
    assert inner.set_headers == [(b"X-Forwarded-Prefix", b"/front")]


@pytest.mark.parametrize("name", ["inner", "id-inner", "Inner-API", "inner_api", "INNERAPI"])
def test_ids_and_names(name: str) -> None:
    house = House(stored("front", f"tyk://{name}/"), stored("inner", name="Inner API #internal"))
    assert api_of(house.ask("/front/")[1]).api_id == "inner"


def test_who_is_not_found() -> None:
    twins = [stored(name, name="Twin") for name in ("one", "two")]
    off, other = stored("off", active=False), stored("other", org_id="others")
    broken = Stored("id-broken", "broken", 1, {**document(api_id="broken"), "proxy": {"listen_path": "/broken/", "target_url": "x"}})
    fronts = [stored(f"to-{name}", f"tyk://{name}/") for name in ("twin", "off", "other", "nobody", "broken", "id-off")]
    house = House(*twins, off, other, broken, *fronts)
    for name in ("twin", "off", "other", "nobody", "id-off"):
        house.refused(LOOP_UNKNOWN, f"/to-{name}/")
    house.refused(DEFINITION_BROKEN, "/to-broken/")


def test_an_organisation_finds_its_own() -> None:
    house = House(stored("front", "tyk://inner/", org_id="o"), stored("inner", org_id="o"))
    assert api_of(house.ask("/front/")[1]).api_id == "inner"


def test_the_other_apis_rules_count() -> None:
    lists = {"black_list": ["/black"], "white_list": [], "ignored": []}
    replies = {"ignored": [{"path": "/reply", "method_actions": {"GET": {"action": "reply", "code": 418, "data": "x"}}}]}
    house = House(
        stored("front", "tyk://inner/"),
        stored("inner", version={"paths": lists}, enable_ip_blacklisting=True, blacklisted_ips=["192.0.2.9"]),
        stored("replies", version={"use_extended_paths": True, "extended_paths": replies}),
        stored("to-replies", "tyk://replies/"),
    )
    house.refused(ENDPOINT_FORBIDDEN, "/front/black")
    house.refused(IP_REFUSED, "/front/a", client="192.0.2.9")
    reply = house.ask("/to-replies/reply")[2]
    assert reply is not None
    assert reply.status == 418


def test_the_other_api_asks_for_a_key_of_its_own() -> None:
    house = House(stored("front", "tyk://inner/"), stored("inner", use_keyless=False))
    house.refused(KEY_MISSING, "/front/")
    assert house.asked.inner is not None
    assert api_of(house.asked.inner).api_id == "inner", "its event handlers hear of it"
    request, inner, _ = house.ask("/front/", headers=[("Authorization", "secret")])
    assert (inner.key is not None, request.key) == (True, None)
    settle(request)
    assert request.key is inner.key
    assert b"RateLimit" in request.limits
    refused = house.refused(RATE_LIMITED, "/front/", headers=[("Authorization", "secret")])
    assert dict(refused.headers)[b"Retry-After"]
    assert b"RateLimit" in house.asked.limits


@pytest.mark.parametrize(("option", "counts"), [("", False), ("?check_limits=true", True), ("?check_limits=false", False)])
def test_limits_of_what_is_rewritten(option: str, counts: bool) -> None:
    house = House(stored("front", version=rewriting(f"tyk://inner/{option}")), stored("inner", use_keyless=False))
    headers = [("Authorization", "secret")]
    house.ask("/front/a", headers=headers)
    if counts:
        house.refused(RATE_LIMITED, "/front/a", headers=headers)
    else:
        house.ask("/front/a", headers=headers)


def test_within_an_api_a_key_is_asked_for_once() -> None:
    keys = KnownKeys({"secret": make_key("key-1", rate=2, per=1000)})
    internal = [{"path": "/b", "method": ""}]
    version = rewriting("tyk://self/b$1", internal=internal)
    house = House(
        stored("one", use_keyless=False, auth={"auth_header_name": "authorization", "strip_auth_data": True}, version=version), keys=keys
    )
    request, inner, _ = house.ask("/one/a/x?y=1", headers=[("Authorization", "secret")])
    assert (inner.relative, inner.query, inner.key is request.key, len(keys.asked)) == ("/b/x", "y=1", True, 1)
    assert inner.section.value(b"authorization") is None
    house.refused(KEY_MISSING, "/one/a")
    judge = Judge(house.live, None, lambda: Reply(200, []))  # type: ignore[arg-type]
    with pytest.raises(Refusal) as refused:
        judge.decide(exchange("GET", "/one/b"))
    assert refused.value.kind is ENDPOINT_FORBIDDEN, "from outside the path stays closed"


def test_within_an_api_the_claims_of_a_token_go_on() -> None:
    version = {**rewriting("tyk://self/b$1"), "global_headers": {"X-Sub": "$tyk_context.jwt_claims_sub"}}
    secret = "a secret of the tests, as long as a digest"
    asking = {"enable_jwt": True, "jwt_signing_method": "hmac", "jwt_source": secret, "jwt_default_policies": ["p"]}
    house = House(stored("one", use_keyless=False, strip_auth_data=True, version=version, **asking), keys=KnownKeys(policies=["p"]))
    _, inner, _ = house.ask("/one/a", headers=[("Authorization", f"Bearer {sign(secret, 'HS256', 'eve', exp=2_000_000_000)}")])
    assert (b"X-Sub", b"eve") in inner.sent_headers()


def test_within_an_api_a_script_is_asked_once_who_calls(tmp_path: Path) -> None:
    (tmp_path / "check.js").write_text(
        """var check = new TykJS.TykMiddleware.NewMiddleware({});
        check.NewProcessRequest(function (request) {
          if (!request.Headers.Authorization) request.ReturnOverrides.ResponseCode = 401;
          return check.ReturnAuthData(request, {alias: "Ann"}) });"""
    )
    asking: dict[str, Any] = {
        "custom_plugin_auth_enabled": True,
        "custom_middleware": {"auth_check": {"name": "check", "path": "check.js"}},
    }
    version = rewriting("tyk://self/b$1")
    house = House(
        stored("one", use_keyless=False, strip_auth_data=True, version=version, **asking),
        outside=replace(ports(), scripts=Scripts(tmp_path)),
    )
    request, inner, _ = house.ask("/one/a", headers=[("Authorization", "secret")])
    assert inner.section.value(b"authorization") is None
    assert inner.key is request.key is not None
    house.refused(SCRIPT_NOT_AUTHORISED, "/one/a")


def test_a_client_cannot_choose_the_options() -> None:
    house = House(stored("front", version=rewriting("tyk://inner/b$1")), stored("inner", use_keyless=False))
    _, inner, _ = house.ask("/front/a?check_limits=true&method=PUT&loop_limit=9", headers=[("Authorization", "secret")])
    assert (inner.upstream_method, inner.query) == ("GET", "check_limits=true&method=PUT&loop_limit=9")


def test_methods() -> None:
    house = House(stored("front", "tyk://inner/?method=PUT"), stored("inner"))
    for method in ("GET", "HEAD"):
        _, inner, _ = house.ask("/front/", method)
        assert (inner.method, inner.upstream_method) == (method, "PUT")
    assert all(transform.wants(inner, ResponseHead(200, b"OK", [])) for transform in inner.answer_transforms)


@pytest.mark.parametrize(("options", "most"), [("", 5), ("?loop_limit=2", 2), ("?loop_limit=20", 20)])
def test_circles_end(options: str, most: int) -> None:
    house = House(
        stored("one", version=rewriting(f"tyk://self/a{options}")), stored("two", f"tyk://three/{options}"), stored("three", "tyk://two/")
    )
    assert f"more than {most} loops" in house.refused(LOOP_LIMIT, "/one/a").message
    assert house.refused(LOOP_LIMIT, "/two/").kind.status == 500


def test_as_many_loops_as_allowed() -> None:
    chain = [stored(f"a{number}", f"tyk://a{number + 1}/") for number in range(5)]
    request, inner, _ = House(*chain, stored("a5", internal=True)).ask("/a0/x")
    assert (api_of(inner).api_id, inner.relative) == ("a5", "/x")
    assert inner.set_headers == [(b"X-Forwarded-Prefix", b"/a0")]
    assert request.inner is inner


def test_places_of_the_gateway_are_not_found() -> None:
    house = House(stored("front", "tyk://inner/"), stored("inner", enable_batch_request_support=True, use_keyless=False))
    headers = [("Authorization", "secret")]
    house.refused(NOT_FOUND, f"/front{BATCH_PATH}", "POST", headers)
    house.refused(NOT_FOUND, "/front/tyk%2Fbatch/", "POST", headers)
    house.refused(NOT_FOUND, "/front/tyk%2Frate-limits/", "GET", headers)


def test_a_long_path_is_refused() -> None:
    house = House(stored("front", f"tyk://inner/{'x' * 16_000}"), stored("inner"))
    house.refused(BAD_PATH, f"/front/{'y' * 1000}")


def test_fields_and_bodies_that_were_changed_go_on() -> None:
    heads = {
        "transform_headers": [{"path": "/", "method": "POST", "add_headers": {"Authorization": "secret"}, "delete_headers": ["X-Gone"]}]
    }
    version = {"use_extended_paths": True, "extended_paths": heads}
    house = House(stored("front", "tyk://inner/", version=version), stored("inner", use_keyless=False))
    _, inner, _ = house.ask("/front/", "POST", [("Host", "h"), ("X-Gone", "1"), ("X-Kept", "1"), ("Content-Length", "3")], body_length=3)
    assert inner.key is not None
    assert [name for name, _ in inner.headers] == [b"Host", b"X-Kept", b"Content-Length", b"Authorization"]


def test_a_body_is_read_once() -> None:
    house = House(stored("front", "tyk://inner/"), stored("inner"))
    request = exchange("POST", "/front/", [("Expect", "100-continue")], body_length=3)
    request.expects = True
    reads: list[int] = []

    async def at_hand() -> bytes:
        reads.append(1)
        return b"abc"

    request.body_reader = at_hand
    request.api = house.live.current.apis["front"]

    async def follow() -> tuple[Exchange, bytes]:
        inner, _ = await house.loops.follow(request, Looped(api_of(request).targets[0]))
        await inner.read_body()
        return inner, await inner.read_body()

    inner, body = asyncio.run(follow())
    assert (body, request.body, reads) == (b"abc", b"abc", [1])
    assert inner.drop_headers is not None
    assert b"expect" in inner.drop_headers


def test_a_body_is_no_larger_than_both_allow() -> None:
    version = {"global_size_limit": 1000}
    house = House(stored("front", "tyk://inner/", version=version), stored("inner"), stored("less", "tyk://inner/"))
    _, inner, _ = house.ask("/front/", "POST", body_length=-1)
    assert api_of(inner).body_limit == 1000
    again = house.ask("/front/", "POST", body_length=-1)[1]
    assert again.api is inner.api, "made once"
    assert api_of(house.ask("/less/", "POST", body_length=-1)[1]).body_limit is None


def test_all_apis_change_the_answer() -> None:
    def adds(name: str) -> dict[str, Any]:
        added = {"transform_response_headers": [{"path": "/", "method": "GET", "add_headers": {"X-Who": name}}]}
        return {"use_extended_paths": True, "extended_paths": added}

    errors = {"503": [{"response": {"status_code": 404, "message": "Gone"}}]}
    house = House(
        stored("front", "tyk://middle/", version=adds("front"), error_overrides=errors),
        stored("middle", "tyk://inner/"),
        stored("inner", version=adds("inner")),
    )
    _, inner, _ = house.ask("/front/")
    answer = parse_response(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    head, wanting = changed_head(answer, inner, api_of(inner))
    assert [value for name, value in head.headers if name == b"X-Who"][-1] == b"front"
    assert len(wanting) == 1
    assert b"Gone" in asyncio.run(transformed(wanting, (), inner, head, b"x"))
    assert head.status == 404


def test_a_content_type_that_an_api_sets_does_not_switch_off_the_template_of_another() -> None:
    template = base64.b64encode(b'{"a": "{{.a}}"}').decode()
    changes = {"transform_response": [{"path": "/", "method": "GET", "template_data": {"template_source": template}}]}
    front = {"use_extended_paths": True, "extended_paths": changes}
    house = House(
        stored("front", "tyk://inner/", version=front), stored("inner", version={"global_response_headers": {"Content-Type": "a/b"}})
    )
    _, inner, _ = house.ask("/front/")
    answer = parse_response(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n")
    head, wanting = changed_head(answer, inner, api_of(inner))
    assert asyncio.run(transformed(wanting, (), inner, head, b'{"a": "x", "secret": 1}')) == b'{"a": "x"}'


def test_who_waits_for_the_outcome_is_told() -> None:
    house = House(stored("front", "tyk://inner/"), stored("inner"))
    told: list[tuple[str, int]] = []
    request = exchange("GET", "/front/")
    request.api = house.live.current.apis["front"]
    request.outcome = lambda asked, status: told.append((api_of(asked).api_id, status))
    request.timeouts = Timeouts(1, 2, 3)
    inner, _ = asyncio.run(house.loops.follow(request, Looped(api_of(request).targets[0])))
    assert inner.outcome is not None
    inner.outcome(inner, 503)
    assert (told, inner.timeouts) == ([("front", 503)], request.timeouts)


def test_what_all_apis_say_of_limits_goes_out() -> None:
    house = House(stored("front", "tyk://inner/"), stored("inner"))
    request = exchange("GET", "/front/")
    request.api = house.live.current.apis["front"]
    request.limits = b"RateLimit: a\r\nVary: Origin\r\n"
    request.limits += b"X-RateLimit-Reset: 5\r\n"
    request.key = make_key("key-1")
    inner, _ = asyncio.run(house.loops.follow(request, Looped(api_of(request).targets[0])))
    assert request.limits == inner.limits
    assert all(line in request.limits for line in (b"RateLimit: a\r\n", b"Vary: Origin\r\n", b"X-RateLimit-Reset: 5\r\n"))
    assert request.limits.count(b"X-RateLimit-Reset") == 1, "the other API has no key, and says zeros"
    request.key = None
    request.limits, inner.limits = b"RateLimit: a\r\nVary: Origin\r\n", b"RateLimit: b\r\nRateLimit: c\r\n"
    _announce(request)
    assert request.limits == b"Vary: Origin\r\nRateLimit: b\r\nRateLimit: c\r\n", "both that one API says"
