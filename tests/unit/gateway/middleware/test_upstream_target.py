"""The upstream of a version, and the client's `Host`."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import interpret, lint, parse
from services.gateway.definitions.model import TargetUrl
from services.gateway.middleware import upstream_target
from services.gateway.targets import target
from tests.unit.gateway.exchanges import ask, built, document, exchange, mistakes, ports


def versioned(**targets: str) -> dict[str, Any]:
    versions = {name: {"name": name, "override_target": url} for name, url in targets.items()}
    return {"version_data": {"not_versioned": False, "versions": versions}, "definition": {"location": "header", "key": "v"}}


def test_without_targets_it_is_not_in_the_chain() -> None:
    assert built(upstream_target, ports()) is None
    assert built(upstream_target, ports(), **versioned(v1="")) is None


def test_the_target_of_a_version() -> None:
    rule = built(upstream_target, ports(), **versioned(v1="http://10.0.0.2:81/two/?a=1", v2=""))
    asked = exchange(version="v1")
    assert ask(rule, asked) is None
    assert asked.target == target(TargetUrl("http", "10.0.0.2", 81, "/two", "a=1"))
    assert asked.upstream_host is None
    other = exchange(version="v2")
    ask(rule, other)
    assert other.target is None


def test_what_url_rewrite_has_chosen_stays() -> None:
    chosen = target(TargetUrl("http", "elsewhere", 80, "", ""))
    asked = exchange(version="v1")
    asked.target = chosen
    ask(built(upstream_target, ports(), **versioned(v1="http://10.0.0.2/")), asked)
    assert asked.target is chosen


def test_the_host_of_the_client() -> None:
    rule = built(upstream_target, ports(), proxy={**document()["proxy"], "preserve_host_header": True})
    asked = exchange(headers=[("Host", "Api.Example:8080")])
    ask(rule, asked)
    assert asked.upstream_host == b"Api.Example:8080"
    asked.upstream_host = b"set"
    ask(rule, asked)
    assert asked.upstream_host == b"set"


def test_without_versions_a_target_has_no_effect_and_says_so() -> None:
    more = {"version": {"override_target": "http://10.0.0.2/"}}
    assert built(upstream_target, ports(), **more) is None
    place = "/version_data/versions/Default/override_target"
    assert dict(lint(parse(document(**more)))) == {place: "override_target has no effect where the API is not_versioned"}


@pytest.mark.parametrize("url", ["tyk://self/", "ftp://h/", "/a", "http://user:secret@h/", "env://UPSTREAM_X/"])
def test_targets_that_are_wrong(url: str) -> None:
    assert mistakes(upstream_target, **versioned(v1=url)) == ["/version_data/versions/v1/override_target"]


def test_a_target_from_the_environment() -> None:
    found = interpret(document(**versioned(v1="env://UPSTREAM_TWO/a")), {"UPSTREAM_TWO": "http://10.0.0.3:5"})
    spec = found.spec(upstream_target.Spec)
    assert spec is not None
    assert spec.targets == (("v1", TargetUrl("http", "10.0.0.3", 5, "/a", "")),)
    assert found.raw["version_data"]["versions"]["v1"]["override_target"] == "env://UPSTREAM_TWO/a"
