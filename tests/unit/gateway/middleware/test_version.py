"""Which version a request asks for: where it stands, what happens without it, and its end."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.middleware import version
from services.gateway.refusals import NOT_FOUND, VERSION_EXPIRED, VERSION_MISSING, VERSION_UNKNOWN
from tests.unit.gateway.exchanges import Time, ask, built, definition, exchange, mistakes, ports, refusal, spec

END = 1_798_761_540.0  # 2026-12-31 23:59 UTC
VERSIONS = {"v1": {"name": "v1", "expires": "2026-12-31 23:59"}, "v2": {"name": "v2", "expires": "-1"}, "grün": {"name": "grün"}}
HEADER = {"location": "header", "key": "X-Version"}
PARAMETER = {"location": "url-param", "key": "ver"}


def rule(placing: dict[str, Any], time: Time | None = None, **version_data: Any) -> Any:
    fields = {"definition": placing, "version_data": {"versions": VERSIONS, **version_data}}
    return built(version, ports(time=time or Time(END - 1)), **fields)


def asked(check: Any, target: str = "/api/a", headers: tuple[tuple[str, str], ...] = ()) -> str:
    request = exchange(target=target, headers=headers, version="")
    assert ask(check, request) is None
    return request.version_name


def test_in_a_header() -> None:
    check = rule(HEADER)
    assert asked(check, headers=(("x-version", "v1"),)) == "v1"
    assert asked(check, headers=(("X-VERSION", " v2 "),)) == "v2"
    refusal(check, exchange(target="/api/v1?X-Version=v1"), VERSION_MISSING)
    refusal(check, exchange(headers=[("X-Version", "")]), VERSION_MISSING)
    refusal(check, exchange(headers=[("X-Version", "V1")]), VERSION_UNKNOWN)


@pytest.mark.parametrize(
    ("placing", "place"),
    [(HEADER, "the header `X-Version`"), (PARAMETER, "the query parameter `ver`"), ({"location": "url"}, "the first segment")],
)
def test_a_refusal_says_where_the_version_belongs(placing: dict[str, Any], place: str) -> None:
    assert place in str(refusal(rule(placing), exchange(target="/api/"), VERSION_MISSING).detail)
    request = exchange(target="/api/v9?ver=v9", headers=[("X-Version", "v9")])
    assert place in str(refusal(rule(placing), request, VERSION_UNKNOWN).detail)


def test_in_the_query() -> None:
    check = rule(PARAMETER)
    assert asked(check, "/api/?a=1&ver=v2&ver=v1") == "v2"
    assert asked(check, "/api/?ver=gr%C3%BCn") == "grün"
    refusal(check, exchange(target="/api/", headers=[("ver", "v1")]), VERSION_MISSING)
    refusal(check, exchange(target="/api/?VER=v1"), VERSION_MISSING)
    refusal(check, exchange(target="/api/?ver=v3"), VERSION_UNKNOWN)


@pytest.mark.parametrize(
    ("target", "version", "relative"),
    [("/api/v1/a/b", "v1", "/a/b"), ("/api/v2", "v2", "/"), ("/api/v2/", "v2", "/"), ("/api/gr%C3%BCn/%2F", "grün", "/%2F")],
)
def test_in_the_path(target: str, version: str, relative: str) -> None:
    """Path lists see what follows the version; the upstream sees the version unless it is stripped."""
    request = exchange(target=target, version="")
    ask(rule({"location": "url"}), request)
    assert (request.version_name, request.relative, request.upstream_path) == (version, relative, None)


@pytest.mark.parametrize(("strip_listen_path", "expected"), [(True, "/a"), (False, "/api/a")])
def test_cut_out_of_the_path(strip_listen_path: bool, expected: str) -> None:
    proxy = {"listen_path": "/api/", "target_url": "http://10.0.0.1/", "strip_listen_path": strip_listen_path}
    made: dict[str, Any] = {"definition": {"location": "url", "strip_path": True}, "version_data": {"versions": VERSIONS}, "proxy": proxy}
    request = exchange(target="/api/v2/a", version="")
    ask(built(version, ports(time=Time(0)), **made), request)
    assert (request.relative, request.upstream_path) == ("/a", expected)


def test_a_path_that_names_no_version() -> None:
    refusal(rule({"location": "url"}), exchange(target="/api/"), VERSION_MISSING)
    refusal(rule({"location": "url"}), exchange(target="/api/a/v1"), VERSION_UNKNOWN)
    refusal(rule({"location": "url"}), exchange(target="/api/v1%2Fa"), VERSION_UNKNOWN)


@pytest.mark.parametrize("placing", [HEADER, PARAMETER, {"location": "url"}])
def test_the_default_version(placing: dict[str, Any]) -> None:
    check = rule({**placing, "strip_path": True}, default_version="v2")
    request = exchange(target="/api/", version="")
    ask(check, request)
    assert (request.version_name, request.relative, request.upstream_path) == ("v2", "/", None)
    unknown = exchange(target="/api/v3?ver=v3", headers=[("X-Version", "v3")])
    refusal(check, unknown, VERSION_UNKNOWN)


def test_falling_back_to_the_default_version() -> None:
    check = rule({"location": "url", "fallback_to_default": True, "strip_path": True}, default_version="v2")
    request = exchange(target="/api/users/7", version="")
    ask(check, request)
    assert (request.version_name, request.relative, request.upstream_path) == ("v2", "/users/7", None), "nothing was a version"
    refusal(rule({**HEADER, "fallback_to_default": True}), exchange(headers=[("X-Version", "v3")]), VERSION_UNKNOWN)


def test_a_version_ends_at_its_minute() -> None:
    time = Time()
    check = rule(HEADER, time, default_version="v1")
    for moment, good in ((END - 0.1, True), (END, False), (END + 86_400, False)):
        time.now = moment
        for headers in ((("X-Version", "v1"),), ()):
            if good:
                assert asked(check, headers=headers) == "v1"
            else:
                refusal(check, exchange(headers=headers), VERSION_EXPIRED)
        assert asked(check, headers=(("X-Version", "v2"),)) == "v2"


def test_the_only_version_of_an_api() -> None:
    """It needs no asking, and its end counts too: 3.1 forgets it."""
    time = Time(END - 1)
    check = rule(HEADER, time, not_versioned=True)
    assert asked(check, headers=(("X-Version", "v2"),)) == "v1", "the first, as there is no `Default`"
    time.now = END
    refusal(check, exchange(), VERSION_EXPIRED)
    named = {"a": {"name": "a", "expires": "2000-01-01 00:00"}, "Default": {"name": "Default"}}
    assert asked(rule({}, not_versioned=True, versions=named)) == "Default"


@pytest.mark.parametrize(
    "path",
    ["/v1/..%2Fv2/x", "/v1/x%2F..%2F..%2Fv2", "/v1/..%5Cv2/x", "/v1/x%2F..%2F..%2Fv1/y", "/v1/..%2F..%2Fapi/v1/x", "/v1/..%2F"],
)
def test_a_path_has_one_version_in_all_its_readings(path: str) -> None:
    refusal(rule({"location": "url"}), exchange(target=f"/api{path}"), NOT_FOUND)


def test_a_version_that_another_reading_names_is_not_replaced_by_the_default() -> None:
    check = rule({"location": "url", "fallback_to_default": True}, default_version="v1")
    for path in ("/v2%2Fx", "/%2Fv2/x", "/v1%2Fx", "/x%2F..%2Fv2/y", "/x%5C..%5Cv1"):
        refusal(check, exchange(target=f"/api{path}"), NOT_FOUND)
    for path in ("/x%2Fy", "/v9%2Fv2", "/x/v2%2Fy"):
        assert asked(check, f"/api{path}") == "v1"
    assert asked(check, "/api/v2/a%2Fb%5Cc") == "v2"


def test_elsewhere_than_in_the_url_a_path_names_no_version() -> None:
    assert asked(rule(HEADER), "/api/v1%2F..%2Fv2/x", headers=(("x-version", "v2"),)) == "v2"


def test_versions_in_the_url_are_stripped_by_either_name() -> None:
    for name in ("strip_path", "strip_versioning_data"):
        stripped: dict[str, Any] = {"definition": {"location": "url", name: True}}
        assert spec(version, **stripped, version_data={"versions": VERSIONS}).strip
        assert lint(definition(**stripped)) == []
    in_header = definition(definition={"location": "header", "key": "v", "strip_versioning_data": True})
    assert [one.pointer for one in lint(in_header)] == ["/definition/strip_versioning_data"]


@pytest.mark.parametrize(
    ("placing", "more", "place"),
    [
        ({"location": "header"}, {}, "/definition/key"),
        ({"location": "url-param", "key": ""}, {}, "/definition/key"),
        ({"location": "header", "key": "x v"}, {}, "/definition/key"),
        ({"location": "url-param", "key": "x v"}, {}, None),
        ({"location": "url"}, {}, None),
        ({"location": "header"}, {"default_version": "v1"}, None),
        ({"location": "url-path"}, {"not_versioned": True}, "/definition/location"),
        ({"location": ""}, {"not_versioned": True}, None),
        ({}, {"not_versioned": True}, None),
    ],
)
def test_where_versions_are_named(placing: dict[str, Any], more: dict[str, Any], place: str | None) -> None:
    found = mistakes(version, definition=placing, version_data={"versions": {"v1": {"name": "v1"}}, **more})
    assert found == ([] if place is None else [place])
