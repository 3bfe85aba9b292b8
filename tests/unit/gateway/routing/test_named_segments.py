"""Listen paths with `{name}` segments."""

from __future__ import annotations

import pytest

from services.gateway.refusals import Refusal
from services.gateway.routing.listen_paths import ListenPaths, relative_path
from services.gateway.routing.named_segments import count_segments, end_of
from tests.unit.gateway.routing.listen_path_apis import api, owner


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/acme/files", "tenant"), ("/acme/files/a/b", "tenant"), ("/acme/file", "root"), ("/files", "root"), ("/", "root"),
        ("/acme/files/x/y", "tenant"), ("/acme/files/raw/y", "longer"), ("/app/files", "literal"), ("/app/other", "app"),
        ("/a/b", "root"), ("/a%2Fb/files", "root"), ("/a%5Cb/files", "root"), ("/app/files/raw", "longer"),
    ],
)  # fmt: skip
def test_named_segments(path: str, expected: str) -> None:
    """The longest wins, of two that are as long the one that names its segments."""
    apis = [
        api("root", "/"), api("tenant", "/{tenant}/files/"), api("longer", "/{t}/files/raw/"), api("literal", "/app/files"),
        api("app", "/app"),
    ]  # fmt: skip
    for order in (apis, apis[::-1]):
        assert owner(ListenPaths(order), path) == expected


def test_the_first_segment_that_is_not_named_decides() -> None:
    apis = [api("late", "/{a}/b/"), api("early", "/a/{b}/")]
    for order in (apis, apis[::-1]):
        assert owner(ListenPaths(order), "/a/b/x") == "early"
    assert owner(ListenPaths(apis), "/x/b/") == "late"


def test_names_make_no_place_of_their_own() -> None:
    (conflict,) = ListenPaths([api("a", "/{x}/b/"), api("b", "/{y}/b/")]).conflicts()
    assert "both listen on /{}/b/" in str(conflict)
    assert ListenPaths([api("a", "/{x}/b/"), api("b", "/x/b/")]).conflicts() == ()


@pytest.mark.parametrize(("path", "expected"), [("/acme/files", "/"), ("/acme/files/", "/"), ("/x/files/a/b", "/a/b")])
def test_what_follows_named_segments(path: str, expected: str) -> None:
    tenant = api("tenant", "/{tenant}/files/")
    assert relative_path(tenant, path) == expected


def test_a_named_segment_is_one_in_all_readings() -> None:
    tenant = api("tenant", "/{tenant}/")
    paths = ListenPaths([tenant])
    assert owner(paths, "/a%2Fb/c") is None
    assert paths.other_readings(tenant, "", "/a/b%2Fc") == ["/a/b/c"]
    with pytest.raises(Refusal):
        paths.other_readings(tenant, "", "/a/..%2Fc")


@pytest.mark.parametrize(("listen_path", "count"), [("/", 0), ("/a/b/", 0), ("/{x}/", 1), ("/{x}/a/{y.z-1}/", 3), ("/a/{x}/", 2)])
def test_how_many_segments_a_listen_path_has(listen_path: str, count: int) -> None:
    assert count_segments(listen_path) == count


@pytest.mark.parametrize(
    ("path", "segments", "rest"), [("/a/b/c", 1, "/b/c"), ("/a/b/c", 2, "/c"), ("/a/b", 2, ""), ("/a", 2, ""), ("/a/", 1, "/")]
)
def test_where_segments_end(path: str, segments: int, rest: str) -> None:
    assert path[end_of(path, segments) :] == rest
