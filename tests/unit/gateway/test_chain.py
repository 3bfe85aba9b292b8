"""The order in which the middlewares are asked, by the first refusal of a request that several of them refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.chain import ORDER
from services.gateway.compiler import compile_api
from services.gateway.exchange import CompiledApi, Exchange, Reply
from services.gateway.keys.model import Key
from services.gateway.middleware import quota, rate_limit
from services.gateway.refusals import Refusal
from tests.unit.gateway.exchanges import KnownKeys, Time, definition, exchange, make_key, ports, spec

FULL: dict[str, Any] = {
    "enable_ip_whitelisting": True,
    "allowed_ips": ["192.0.2.1"],
    "definition": {"location": "header", "key": "v"},
    "global_rate_limit": {"rate": 1000, "per": 60},
    "version_data": {
        "versions": {
            "v1": {
                "name": "v1",
                "use_extended_paths": True,
                "global_size_limit": 10,
                "extended_paths": {
                    "ignored": [
                        {"path": "^/open", "method_actions": None},
                        {"path": "^/mock", "method_actions": {"GET": {"action": "reply", "code": 200, "data": "x"}}},
                    ],
                    "black_list": [{"path": "^/closed", "method_actions": None}],
                    "hard_timeouts": [{"path": "^/", "timeout": 1}],
                },
            },
            "v2": {"name": "v2"},
        }
    },
}


def key(**session: Any) -> Key:
    limits = {"rate": 1, "per": 60, "quota_max": 1, "quota_renewal_rate": 60}
    return make_key(**{"access_rights": {"api": {"versions": ["v1"]}}, **limits, **session})


KEYS = {
    "good": key(),
    "roomy": key(rate=5),
    "inactive": key(is_inactive=True, access_rights={}),
    "inactive-elsewhere": key(is_inactive=True, access_rights={"other": {}}),
    "expired-elsewhere": key(expires=1, access_rights={"other": {}}),
    "elsewhere": key(access_rights={"other": {}}, rate=0, quota_max=0),
}


def api() -> CompiledApi:
    return compile_api(definition(**FULL), ports(KnownKeys(KEYS), time=Time()), 1)


def walk(compiled: CompiledApi, request: Exchange) -> str:
    """What the chain says: the code of a refusal, `reply`, or `upstream`."""

    async def ask(stages: Any) -> Reply | None:
        for stage in stages:
            answer = stage(request)
            reply = answer if answer is None or isinstance(answer, Reply) else await answer
            if reply is not None:
                return reply
        return None

    async def in_order() -> str:
        if await ask(compiled.open_stages) is not None:
            return "reply"
        rest = compiled.late_stages if request.ignored else compiled.closing_stages
        return "upstream" if await ask(rest) is None else "reply"

    try:
        return asyncio.run(in_order())
    except Refusal as refused:
        return refused.kind.code


def request(path: str = "/a", secret: str = "", version: str = "v1", client: str = "192.0.2.1", body_length: int = 0) -> Exchange:
    headers = [("v", version)] if version else []
    headers += [("Authorization", secret)] if secret else []
    return exchange("GET", f"/api{path}", headers, client=client, body_length=body_length, version="")


# Each line mends what the line before was refused for, and is refused by the next middleware.
WRONG: list[tuple[Callable[[], Exchange], str]] = [
    (lambda: request("/closed", client="203.0.113.1", version="", body_length=99), "ip-refused"),
    (lambda: request("/closed", version="", body_length=99), "version-missing"),
    (lambda: request("/closed", version="v9", body_length=99), "version-unknown"),
    (lambda: request("/closed", body_length=99), "endpoint-forbidden"),
    (lambda: request(body_length=99), "body-too-large"),
    (lambda: request(), "key-missing"),
    (lambda: request(secret="unknown"), "key-unknown"),
    (lambda: request(secret="inactive-elsewhere"), "key-inactive"),
    (lambda: request(secret="expired-elsewhere"), "key-expired"),
    (lambda: request(secret="elsewhere"), "access-denied"),
    (lambda: request(secret="good", version="v2"), "access-denied"),
    (lambda: request(secret="good"), "upstream"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG, ids=[f"{place}-{told}" for place, (_, told) in enumerate(WRONG)])
def test_what_is_told_first(wrong: Callable[[], Exchange], told: str) -> None:
    assert walk(api(), wrong()) == told


def test_the_rate_before_the_quota() -> None:
    """A request that is refused for its rate costs no quota; one refused for its quota has used the rate."""
    compiled = api()
    assert [walk(compiled, request(secret="good")) for _ in range(3)] == ["upstream", "rate-limit-exceeded", "rate-limit-exceeded"]
    compiled = api()
    assert [walk(compiled, request(secret="roomy")) for _ in range(3)] == ["upstream", "quota-exceeded", "quota-exceeded"]


def test_what_is_refused_before_the_limits_is_not_charged() -> None:
    compiled = api()
    for _ in range(5):
        assert walk(compiled, request("/closed", secret="good")) == "endpoint-forbidden"
        assert walk(compiled, request(secret="good", version="v2")) == "access-denied"
        assert walk(compiled, request("/tyk/rate-limits/", secret="good")) == "reply"
    assert walk(compiled, request(secret="good")) == "upstream"


@pytest.mark.parametrize(("path", "told"), [("/open", "upstream"), ("/mock", "reply")])
def test_an_ignored_path_and_a_reply_need_no_key_but_the_right_address(path: str, told: str) -> None:
    compiled = api()
    for secret in ("", "unknown", "inactive", "good", "good", "good"):
        assert walk(compiled, request(path, secret=secret)) == told
    assert walk(compiled, request(path, client="203.0.113.1")) == "ip-refused"
    assert walk(compiled, request(path, version="v9")) == "version-unknown"
    assert walk(compiled, request(secret="good")) == "upstream", "a key that was sent along was not charged"


def test_an_ignored_path_keeps_its_size_and_its_time() -> None:
    compiled = api()
    assert walk(compiled, request("/open", body_length=99)) == "body-too-large"
    ignored = request("/open")
    assert walk(compiled, ignored) == "upstream"
    assert ignored.timeouts is not None


def test_closed_paths_and_mocks() -> None:
    """What is closed to clients is refused before all lists and keys; a mock needs no key, whatever the lists say, and is not charged."""
    paths = FULL["version_data"]["versions"]["v1"]["extended_paths"]
    more = {"internal": [{"path": "^/(open|mock)/closed"}], "mock_response": [{"path": "^/made"}]}
    version = {**FULL["version_data"]["versions"]["v1"], "extended_paths": {**paths, **more}}
    full = {**FULL, "version_data": {"versions": {"v1": version}}}
    compiled = compile_api(definition(**full), ports(KnownKeys(KEYS), time=Time()), 1)
    assert [walk(compiled, request(path)) for path in ("/open/closed", "/mock/closed")] == ["endpoint-forbidden"] * 2
    assert [walk(compiled, request("/made")) for _ in range(3)] == ["reply"] * 3


def test_the_groups_stand_in_their_order() -> None:
    groups = [step.group for step in ORDER]
    assert groups == sorted(groups, key=["open", "keyed", "late"].index)
    assert len({step.middleware for step in ORDER}) == len(ORDER)


def test_the_quota_is_asked_wherever_the_rate_limit_was() -> None:
    """It charges what that one leaves to it: where it were not asked, or after a reply, limits would count nothing."""
    place = [step.middleware for step in ORDER].index(rate_limit)
    assert ORDER[place + 1] == ORDER[place]._replace(middleware=quota)


@pytest.mark.parametrize(
    "fields",
    [{}, {"use_keyless": True}, {"disable_quota": True}, {"use_keyless": True, "disable_quota": True}],
    ids=lambda fields: "+".join(fields),
)
def test_the_rate_limit_leaves_its_charges_only_to_a_quota_that_takes_them(fields: dict[str, Any]) -> None:
    limited = {"global_rate_limit": {"rate": 3, "per": 60}, **fields}
    assert spec(rate_limit, **limited).before_quota == spec(quota, **limited).charged == (not fields)
