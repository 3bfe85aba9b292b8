"""Reading one token: its answers, their conditions, ids that are none."""

from __future__ import annotations

import pytest

from services.tokens.archive.rules import svg
from tests.unit.tokens.conftest import API, SVG


def test_information(api: API) -> None:
    answer = api.get("/")
    assert answer.status_code == 200
    assert set(answer.json) == {"name", "description", "version", "git_sha"}


def test_svg_is_served_so_that_nothing_runs(api: API) -> None:
    token = api.token()
    answer = api.get("/svg", id=token)
    assert answer.text == SVG
    assert answer.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"] and "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer.headers["Cache-Control"]
    again = api.get("/svg", {"If-None-Match": answer.headers["ETag"]}, id=token)
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/svg", "/token", "/png"])
def test_conditions(api: API, path: str) -> None:
    """An answer that may be kept for a year is whole, or says that it is none."""
    token = api.token()
    tag = f'"{token}-{svg.RULES}{"-256" if path == "/png" else ""}"'
    whole = api.get(path, id=token, width=256)
    assert whole.status_code == 200 and whole.headers["ETag"] == tag

    def asked(**conditions: str) -> tuple[int, bytes, bool]:
        answer = api.get(path, {name.replace("_", "-"): value for name, value in conditions.items()}, id=token, width=256)
        return answer.status_code, answer.data, "immutable" in answer.headers.get("Cache-Control", "")

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        assert asked(If_None_Match=known) == asked(If_None_Match=known, If_Match=tag) == (304, b"", True)
    for wanted in (tag, f'"other", {tag}', "*"):
        assert asked(If_Match=wanted) == asked(If_Match=wanted, If_None_Match='"other"') == (200, whole.data, True)
    for status, _, kept in (asked(If_Match='"other"'), asked(If_Match='"other"', If_None_Match=tag)):
        assert (status, kept) == (412, False)
    assert asked(Range="bytes=0-1", If_None_Match='"other"', If_Range=tag) == (200, whole.data, True)


def test_svg_download(api: API) -> None:
    token = api.token()
    answer = api.get("/svg", id=token.upper(), download="")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="token-{token}.svg"'


@pytest.mark.parametrize("path", ["/svg", "/png", "/token"])
def test_id_missing_and_not_found(api: API, path: str) -> None:
    for query in ({}, {"id": ""}):
        answer = api.get(path, **query)
        assert (answer.status_code, answer.json) == (400, {"error": "id missing"})
    for unknown in ("1234567", "zzz!", "iO", "z" * 32, "z" * 33, "\x00", "ä"):
        answer = api.get(path, id=unknown)
        assert (answer.status_code, answer.json) == (404, {"error": "token not found"}), unknown


def test_first_of_repeated_parameters_counts(api: API) -> None:
    token = api.token()
    assert api.client.get(f"/token?id={token}&id=b").status_code == 200


def test_public_routes_take_no_notice_of_the_header(api: API) -> None:
    assert api.get("/tokens", {"Authorization": "Bearer garbage"}, offset=0).status_code == 200
