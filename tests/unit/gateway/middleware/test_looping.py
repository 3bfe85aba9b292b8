"""Which requests are for another API of the gateway. What becomes of them is in test_loops.py."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import Exchange, Looped, LoopOptions, Target
from services.gateway.middleware import looping
from tests.unit.gateway.exchanges import ask, built, document, exchange, ports, spec

ELSEWHERE = Target("http", "h", 80, "", "", b"h", ("http", "h", 80))


def with_target(url: str, **more: Any) -> dict[str, Any]:
    return {"proxy": {**document()["proxy"], "target_url": url}, **more}


def looped(rule: Any, request: Exchange) -> Target | None:
    answer = ask(rule, request)
    assert answer is None or isinstance(answer, Looped)
    return None if answer is None else answer.target


def test_who_names_no_api_pays_nothing() -> None:
    assert spec(looping) is None
    assert spec(looping, version={"override_target": "http://h/", "path": "/tyk://"}) is None


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("tyk://other", LoopOptions("", True, 0)),
        ("TYK://other/a?check_limits=false&x=1", LoopOptions("", False, 0)),
        ("tyk://other/?method=PUT&loop_limit=20", LoopOptions("PUT", True, 20)),
    ],
)
def test_the_usual_target(url: str, options: LoopOptions) -> None:
    found = looped(built(looping, ports(), **with_target(url)), exchange())
    assert found is not None
    assert (found.scheme, found.host, found.loop) == ("tyk", "other", options)
    assert found.query == ("x=1" if "x=1" in url else "")


def test_another_stage_chooses() -> None:
    rule = built(looping, ports(), **with_target("tyk://other/"))
    request = exchange()
    request.target = ELSEWHERE
    assert looped(rule, request) is None
    request.target = ELSEWHERE._replace(scheme="tyk", loop=LoopOptions())
    assert looped(rule, request) is request.target


def test_targets_of_versions_and_paths() -> None:
    entry = {"path": "/a", "match_pattern": "/a", "rewrite_to": "tyk://self/b"}
    version = {"use_extended_paths": True, "extended_paths": {"url_rewrites": [entry]}}
    for one in (version, {"override_target": "tyk://other/"}):
        rule = built(looping, ports(), version=one)
        assert looped(rule, exchange()) is None, "what they chose is on the exchange"
