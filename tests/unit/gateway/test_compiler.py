"""A definition becomes its chain, or says why not."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway import compiler
from services.gateway.chain import Step
from services.gateway.compiler import broken_api, compile_api, inactive_api, target
from services.gateway.definitions.reader import Mistakes
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.values import target_url
from services.gateway.exchange import CompiledApi, Exchange, ResponseHead, Target, Timeouts
from services.gateway.ports import Ports
from services.gateway.refusals import DEFINITION_BROKEN, NOT_FOUND, Refusal
from tests.unit.gateway.exchanges import definition, document, exchange, ports


def names(stages: Any) -> list[str]:
    return [type(stage.__self__).__name__ for stage in stages]


def test_what_an_open_api_is_made_of() -> None:
    """Nothing that it does not use stands in the way of a request."""
    api = compile_api(definition(use_keyless=True), ports(), 7)
    assert names(api.open_stages) == ["OnlyVersion"]
    assert names(api.closing_stages) == ["KeylessQuota"]
    assert (api.late_stages, api.answer_stages) == ((), ())
    assert (api.api_id, api.revision, api.keyless, api.batch, api.body_limit) == ("api", 7, True, False, None)
    assert api.timeouts == Timeouts(5, 60, 60)


def test_what_a_definition_that_uses_everything_is_made_of() -> None:
    paths = {
        "white_list": [{"path": "/a", "method_actions": None}],
        "hard_timeouts": [{"path": "/a", "timeout": 1}],
        "size_limits": [{"path": "/a", "size_limit": 1}],
    }
    made = definition(
        id="54b53d3aeba6db5c35000002",
        org_id="org",
        domain="h.example",
        enable_ip_whitelisting=True,
        enable_batch_request_support=True,
        global_rate_limit={"rate": 1, "per": 1},
        version={"use_extended_paths": True, "extended_paths": paths, "global_size_limit": 9},
        error_template={"e": "{{.Message}}"},
        error_overrides={"not-found": {"status": 410}},
        event_handlers={"events": {"AuthFailure": [{"handler_name": "eh_log_handler"}]}},
        proxy={**document()["proxy"], "timeouts": {"connect": 1, "first_byte": 2, "idle": 3}, "strip_listen_path": False},
    )
    api = compile_api(made, ports(), 1)
    assert names(api.open_stages) == ["IpFilter", "Organisation", "OnlyVersion", "PathLists", "SizeLimits"]
    assert names(api.closing_stages) == ["AuthKey", "KeyState", "AccessRights", "RateLimitStatus", "RateLimit", "Quota", "HardTimeouts"]
    assert names(api.late_stages) == ["HardTimeouts"]
    assert (api.internal_id, api.org_id, api.domain, api.listen_path) == ("54b53d3aeba6db5c35000002", "org", "h.example", "/api/")
    assert (api.strip_listen_path, api.keyless, api.batch, api.body_limit) == (False, False, True, 9)
    assert api.timeouts == Timeouts(1, 2, 3)
    assert api.error_template == {"e": "{{.Message}}"}
    assert list(api.error_overrides) == ["not-found"]
    assert list(api.event_handlers) == ["AuthFailure"]
    assert api.definition is made


class Answering:
    """A middleware that also sees answers."""

    @staticmethod
    def fields(reader: DefinitionReader) -> int:
        return 0

    @classmethod
    def build(cls, spec: int, ports: Ports) -> Answering:
        return cls()

    def on_request(self, exchange: Exchange) -> None:
        """Goes on."""

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        """Changes nothing."""


class Failing:
    """A middleware with a defect."""

    @staticmethod
    def fields(reader: DefinitionReader) -> int:
        return 0

    @classmethod
    def build(cls, spec: int, ports: Ports) -> Failing:
        raise KeyError("colour")


def test_a_middleware_that_sees_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "ORDER", (Step("late", Answering),))
    api = compile_api(definition(), ports(), 1)
    assert names(api.late_stages) == names(api.answer_stages) == ["Answering"]


def test_no_header_of_the_definition_doubles_those_of_cors() -> None:
    version = {"global_response_headers": {"access-control-allow-origin": "*", "X-Own": "1"}}
    cors = {"enable": True, "allowed_origins": ["https://app.example"]}
    api = compile_api(definition(use_keyless=True, version=version, CORS=cors), ports(), 1)
    head = ResponseHead(200, b"OK", [(b"Access-Control-Allow-Credentials", b"true")])
    for stage in api.answer_stages:
        stage(exchange(), head)
    assert head.headers == [(b"X-Own", b"1")]


def test_every_part_that_cannot_be_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours in one definition must not take the others down."""
    monkeypatch.setattr(compiler, "ORDER", (Step("open", Failing), Step("open", Answering), Step("late", Failing)))
    with pytest.raises(Mistakes) as wrong:
        compile_api(definition(), ports(), 1)
    assert [mistake.message for mistake in wrong.value.mistakes] == ["Failing cannot be built: 'colour'"] * 2


@pytest.mark.parametrize(
    ("url", "host_header", "origin"),
    [
        ("http://h/base?x=1", b"h", ("http", "h", 80)),
        ("https://h", b"h", ("https", "h", 443)),
        ("http://h:443", b"h:443", ("http", "h", 443)),
        ("https://h:80", b"h:80", ("https", "h", 80)),
        ("http://[2001:db8::1]:8080/", b"[2001:db8::1]:8080", ("http", "2001:db8::1", 8080)),
        ("http://[::1]", b"[::1]", ("http", "::1", 80)),
    ],
)
def test_upstreams(url: str, host_header: bytes, origin: tuple[str, str, int]) -> None:
    found = target(target_url(url))
    assert isinstance(found, Target)
    assert (found.host_header, found.origin) == (host_header, origin)


def only_answer(api: CompiledApi) -> Refusal:
    assert (len(api.open_stages), api.closing_stages, api.late_stages, api.targets) == (1, (), (), ())
    with pytest.raises(Refusal) as refused:
        api.open_stages[0](exchange())
    return refused.value


def test_a_switched_off_api_looks_as_if_it_were_not_there() -> None:
    api = inactive_api(definition(active=False, enable_batch_request_support=True, error_template={"a": "b"}), 3)
    assert only_answer(api).kind is NOT_FOUND
    assert (api.listen_path, api.revision, api.batch, api.error_template) == ("/api/", 3, False, None)


def test_a_broken_definition_keeps_its_place() -> None:
    raw = {"API_ID": "x", "active": True, "domain": "H.example", "proxy": {"LISTEN_path": "/x"}, "version_data": 5}
    api = broken_api(raw, 3)
    assert api is not None
    assert only_answer(api).kind is DEFINITION_BROKEN
    assert (api.api_id, api.domain, api.listen_path, api.revision) == ("x", "h.example", "/x/", 3)


@pytest.mark.parametrize(
    ("active", "template", "shape"),
    [(True, {"m": "{{.Message}}"}, {"m": "{{.Message}}"}), (True, 5, None), (True, {}, None), (False, {"m": "{{.Message}}"}, None)],
)
def test_a_broken_definition_says_no_in_its_own_shape(active: bool, template: Any, shape: Any) -> None:
    api = broken_api({"active": active, "proxy": {"listen_path": "/x"}, "version_data": 5, "error_template": template}, 3)
    assert api is not None
    assert api.error_template == shape


@pytest.mark.parametrize(("active", "kind"), [(False, NOT_FOUND), (None, DEFINITION_BROKEN), ("no", DEFINITION_BROKEN)])
def test_only_false_switches_a_broken_definition_off(active: Any, kind: Any) -> None:
    api = broken_api({"active": active, "proxy": {"listen_path": "/x"}}, 3)
    assert api is not None
    assert only_answer(api).kind is kind


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"proxy": None},
        {"proxy": {"listen_path": "x"}},
        {"proxy": {"listen_path": 5}},
        {"proxy": {"listen_path": "/x"}, "domain": "a b"},
    ],
)
def test_a_place_that_cannot_be_read_cannot_be_kept(raw: dict[str, Any]) -> None:
    assert broken_api({"active": True, **raw}, 1) is None


def test_a_domain_that_is_switched_off_is_not_read() -> None:
    api = broken_api({"active": True, "proxy": {"listen_path": "/x"}, "domain": "a b", "domain_disabled": True}, 1)
    assert api is not None
    assert api.domain == ""
