"""The places of APIs."""

from __future__ import annotations

import pytest

from services.gateway.routing.places import Place, place_of


@pytest.mark.parametrize(
    ("listen_path", "path"),
    [
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("/{tenant}/files/", "/{}/files/"),
        ("/a/{x}/{y}/", "/a/{}/{}/"),
        ("/a{x}/", "/a{x}/"),
    ],
)
def test_names_of_segments_make_no_difference(listen_path: str, path: str) -> None:
    assert place_of("", listen_path) == ("", path)
    assert str(place_of("h.example", listen_path)) == f"h.example{path}"
    assert place_of("", listen_path) != place_of("h.example", listen_path)


@pytest.mark.parametrize(
    ("own", "other", "takes"),
    [
        (("", "/b/x/"), ("", "/b/"), True),
        (("", "/b"), ("", "/b/"), True),
        (("h", "/b/"), ("", "/b/"), True),
        (("h", "/b/x/"), ("h", "/"), True),
        (("", "/{}/x/"), ("", "/b/"), True),
        (("", "/b/"), ("", "/{}/"), True),
        (("", "/bx/"), ("", "/b/"), False),
        (("", "/"), ("", "/b/"), False),
        (("", "/b/"), ("", "/b/x/"), False),
        (("", "/b/x/"), ("h", "/b/"), False),
        (("i", "/b/x/"), ("h", "/b/"), False),
        (("h", "/b/"), ("", "/"), False),
    ],
)
def test_which_place_takes_requests_from_which(own: tuple[str, str], other: tuple[str, str], takes: bool) -> None:
    assert Place(*own).takes_from(Place(*other)) is takes
