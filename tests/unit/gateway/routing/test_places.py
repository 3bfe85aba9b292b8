"""The places of APIs."""

from __future__ import annotations

import pytest

from services.gateway.routing.places import place_of


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
