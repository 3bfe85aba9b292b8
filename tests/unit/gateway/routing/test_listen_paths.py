"""Who owns a host and a path."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.exchange import CompiledApi
from services.gateway.refusals import NOT_FOUND, Refusal
from services.gateway.routing.listen_paths import ListenPaths, relative_path
from tests.unit.gateway.routing.listen_path_apis import api, broken, owner


@pytest.mark.parametrize("listen_path", ["/app", "/app/"])
@pytest.mark.parametrize(
    ("path", "owned"),
    [("/app", True), ("/app/", True), ("/app/x/y", True), ("/apple", False), ("/ap", False), ("/", False), ("/x/app/", False)],
)
def test_whole_segments(listen_path: str, path: str, owned: bool) -> None:
    assert (owner(ListenPaths([api("a", listen_path)]), path) == "a") is owned


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "root"), ("/x", "root"), ("/a", "a"), ("/a/x", "a"), ("/a/b", "ab"), ("/a/b/", "ab"), ("/a/bc", "a"), ("/a/b/x", "ab"),
        ("/a/b/c/d", "abcd"), ("/a/b/c/d/e", "abcd"), ("/a/b/c", "ab"), ("/q/r", "qr"), ("/q", "root"), ("/q/", "root"), ("/q/s/r", "root"),
    ],
)  # fmt: skip
def test_the_longest_wins(path: str, expected: str) -> None:
    found = ListenPaths([api("root", "/"), api("a", "/a"), api("ab", "/a/b/"), api("abcd", "/a/b/c/d"), api("qr", "/q/r")])
    assert owner(found, path) == expected


def test_without_an_owner() -> None:
    assert owner(ListenPaths([]), "/") is None
    assert owner(ListenPaths([api("a", "/a")]), "/") is None


def test_a_host_beats_none() -> None:
    found = ListenPaths([api("any", "/a/b"), api("host", "/a", "H.example"), api("other", "/", "other.example"), api("root", "/")])
    assert owner(found, "/a/b/c") == "host", "even where another listens on a longer path"
    assert owner(found, "/a/b/c", "x.example") == "any"
    assert owner(found, "/a/b/c", "other.example") == "other"
    assert owner(found, "/z") == "root"
    assert owner(found, "/a/b", "") == "any"


def test_several_on_one_place() -> None:
    found = ListenPaths([api("one", "/a"), api("two", "/a/"), api("three", "/a", "h.example"), api("four", "/b")])
    assert [str(conflict) for conflict in found.conflicts()] == ["`one` (one) and `two` (two) both listen on /a/"]
    assert owner(found, "/a", "x.example") == "one"
    on_host = ListenPaths([api("one", "/a", "h.example"), api("two", "/a", "h.example")])
    assert str(on_host.conflicts()[0]).endswith("both listen on h.example/a/")


def test_a_switched_off_api_keeps_its_place() -> None:
    """Its traffic never falls to a broader neighbour; an active one on exactly its place takes it."""
    off = api("off", "/a/b", active=False)
    assert owner(ListenPaths([api("a", "/a")], [off]), "/a/b/c") == "off"
    taken = ListenPaths([api("a", "/a"), api("on", "/a/b")], [off, api("off2", "/c", active=False), api("off3", "/c", active=False)])
    assert owner(taken, "/a/b/c") == "on"
    assert owner(taken, "/c") == "off2"
    assert taken.conflicts() == ()


def claimed(paths: ListenPaths) -> object:
    """All that it says, for comparing two of them."""
    trees = {"": paths._any_host, **paths._hosts}
    owners = {
        host: (tree._root, tree._heads, list(tree._named._shapes.items()) if tree._named is not None else [])
        for host, tree in trees.items()
    }
    return [owners, paths._claims, set(map(str, paths.conflicts()))]


def one_of_each(kind: str, listen_path: str, domain: str) -> CompiledApi:
    name = f"{kind}{listen_path}{domain}".translate(str.maketrans("/{}", ".--"))
    return broken(name, listen_path, domain) if kind == "broken" else api(name, listen_path, domain, active=kind != "off")


# Of each kind that a place may have, twice those that are served, so that there are conflicts; `/{p}/y` and `/{q}/y` are one place.
KINDS = ("a", "b", "off", "broken")
APIS = {
    one_of_each(kind, listen_path, domain): kind
    for kind in KINDS
    for listen_path in ("/", "/x", "/x/y", "/q/r", "/{p}/y", "/{q}/y", "/x/{p}", "/{p}")
    for domain in ("", "h.example")
}


def of_kinds(apis: set[CompiledApi], *kinds: str) -> list[CompiledApi]:
    return [one for one, kind in APIS.items() if one in apis and kind in kinds]


CHANGES = st.sets(st.sampled_from(list(APIS)), max_size=8)


@settings(max_examples=60)
@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=5))
def test_changed_step_by_step_it_is_as_if_built_at_once(steps: list[tuple[set[CompiledApi], set[CompiledApi]]]) -> None:
    def split(apis: set[CompiledApi]) -> tuple[list[CompiledApi], list[CompiledApi], list[CompiledApi]]:
        return of_kinds(apis, "a", "b"), of_kinds(apis, "off"), of_kinds(apis, "broken")

    present: set[CompiledApi] = set()
    paths = ListenPaths()
    for going, coming in steps:
        before, said = paths, repr(claimed(paths))
        gone = going & present
        come = coming - (present - gone)
        present = (present - gone) | come
        paths = paths.changed(gone, *split(come))
        assert claimed(paths) == claimed(ListenPaths(*split(present)))
        assert repr(claimed(before)) == said, "the one before stays as it is"


@pytest.mark.parametrize(("path", "relative"), [("/app", "/"), ("/app/", "/"), ("/app/x", "/x"), ("/app/x/", "/x/"), ("/app/%2F", "/%2F")])
def test_what_follows_the_listen_path(path: str, relative: str) -> None:
    assert relative_path(api("a", "/app"), path) == relative
    assert relative_path(api("a", "/"), path) == path


def paths_of(*segments: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(segments), max_size=4).map(lambda parts: "/" + "".join(f"{part}/" for part in parts))


@functools.cache
def on(listen_path: str) -> CompiledApi:
    return api(f"on{listen_path.translate(str.maketrans('/{}', '.--'))}", listen_path)


@given(st.sets(paths_of("a", "b", "ab", "{x}"), max_size=8), paths_of("a", "b", "ab"), st.booleans())
def test_as_if_every_listen_path_were_tried(listen_paths: set[str], path: str, slash: bool) -> None:
    def owns(listen_path: str) -> bool:
        wanted, given = listen_path[1:].split("/")[:-1], path[1:].split("/")[:-1]
        return len(given) >= len(wanted) and all(own in (segment, "{x}") for own, segment in zip(wanted, given, strict=False))

    def rank(listen_path: str) -> tuple[int, list[bool]]:
        segments = listen_path.split("/")
        return len(segments), [segment != "{x}" for segment in segments]

    owned = [listen_path for listen_path in listen_paths if owns(listen_path)]
    asked = path if slash or path == "/" else path[:-1]
    expected = on(max(owned, key=rank)).api_id if owned else None
    assert owner(ListenPaths(map(on, listen_paths)), asked) == expected


@pytest.mark.parametrize(
    ("path", "host", "served"),
    [
        ("/a/x%2Fy", "h.example", True), ("/a/x%5Cy", "h.example", True), ("/a/x%2F..%2Fy", "h.example", True),
        ("/a%2Fb", "h.example", False), ("/a%2Fb/x", "h.example", False), ("/a/x%2F..%2Fb/y", "h.example", False),
        ("/a/b%2Fx", "h.example", False), ("/a/b%2F", "h.example", False), ("/a/b%5Cx", "h.example", False),
        ("/a/off%2Fx", "h.example", False), ("/a/broken%2Fx", "h.example", False), ("/a/x%2F..%2F..%2Fnobody", "h.example", False),
        ("/a/hosted%2Fx", "h.example", True), ("/a/hosted%2Fx", "other.example", False),
        ("/a/x%2F..%2F..%2Fa%2Fy", "h.example", False), ("/a/x%5C..%2F..%5Cb", "h.example", False),
    ],
)  # fmt: skip
def test_a_path_has_one_owner_in_all_its_readings(path: str, host: str, served: bool) -> None:
    found = ListenPaths(
        [api("a", "/a"), api("ab", "/a/b/"), api("broken", "/a/broken"), api("hosted", "/a/hosted", "other.example")],
        [api("off", "/a/off", active=False)],
    )
    owner = found.find(host, path)
    if owner is None:
        assert not served
    elif served:
        assert found.other_readings(owner, host, path)
    else:
        with pytest.raises(Refusal) as refused:
            found.other_readings(owner, host, path)
        assert refused.value.kind is NOT_FOUND
