"""PNGs: drawn in a child process within limits, kept, forgotten."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.common.clock import SettableClock
from services.tokens.archive import render, store
from services.tokens.archive.pictures import Pictures
from services.tokens.archive.rules import svg
from services.tokens.settings import Settings
from tests.support.svg_attacks import ORDINARY
from tests.support.waiting import wait_until
from tests.unit.tokens.conftest import ADM, API, SVG, MakeAPI


def bomb() -> str:
    """An image of a few kilobytes that draws 3^30 rectangles."""
    uses = "".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 3 + "</g>" for n in range(1, 31))
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><rect id="a0" width="1" height="1"/>'
    return f'{head}{uses}</defs><use href="#a30"/></svg>'


def dimensions(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Pictures are the same on each store."""
    return sqlite_url


def test_png(api: API) -> None:
    token = api.token()
    answer = api.get("/png", id=token)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/png"
    assert dimensions(answer.data) == (2048, 1536)
    assert "immutable" in answer.headers["Cache-Control"]
    assert api.get("/png", {"If-None-Match": answer.headers["ETag"]}, id=token).status_code == 304
    assert dimensions(api.get("/png", id=token, width=256).data) == (256, 192)
    assert api.get("/png", id=token, width=256).headers["ETag"] != answer.headers["ETag"]
    download = api.get("/png", id=token, download="")
    assert download.headers["Content-Type"] == "application/octet-stream"
    assert download.headers["Content-Disposition"] == f'attachment; filename="token-{token}.png"'


@pytest.mark.parametrize("width", ["0", "abc", "100000", "-256", "256.0"])
def test_width_refused(api: API, width: str) -> None:
    assert api.get("/png", id=api.token(), width=width).status_code == 400


def test_second_time_nothing_is_drawn(api: API, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = api.token()
    first = api.get("/png", id=token, width=256).data
    assert len(list((tmp_path / "png").iterdir())) == 1
    monkeypatch.setattr(Pictures, "_run", None)
    assert api.get("/png", id=token, width=256).data == first


def test_others_cannot_read_what_is_kept(api: API, tmp_path: Path) -> None:
    api.get("/png", id=api.token(), width=256)
    [picture] = (tmp_path / "png").iterdir()
    assert (stat.S_IMODE(picture.stat().st_mode), stat.S_IMODE(picture.parent.stat().st_mode)) == (0o600, 0o700)


@pytest.mark.slow
def test_bomb_is_stopped_and_not_tried_again(make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn to its end it would take years."""
    runs = []
    run = Pictures._run
    monkeypatch.setattr(Pictures, "_run", lambda self, key, svg: runs.append(key) or run(self, key, svg))
    api = make_api(render_seconds=1.0)
    token = api.token(bomb())
    answer = api.get("/png", id=token)
    assert (answer.status_code, answer.json) == (500, {"error": "other error"})
    assert api.get("/png", id=token).status_code == 500
    assert len(runs) == 1
    assert api.get("/svg", id=token).status_code == 200
    # a new one each time: on a busy machine the second may be too short for a harmless one, too
    wait_until(lambda: api.get("/png", id=api.token(), width=256).status_code == 200, what="a picture of another token")


def sized(attributes: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}><rect width="1" height="1"/></svg>'


@pytest.mark.parametrize(
    "attributes",
    ['viewBox="0 0 1 100000"', 'viewBox="0 0 -1 5"', 'viewBox="0 0 nan nan"', 'viewBox="a b c d"', 'viewBox="0 0 1e300 1e300"'],
)
def test_impossible_sizes(attributes: str) -> None:
    with pytest.raises(ValueError):
        render.size(sized(attributes).encode())


def test_what_has_an_impossible_size_is_not_drawn(api: API) -> None:
    assert api.get("/png", id=api.token(sized('viewBox="0 0 1 100000"')), width=256).status_code == 500


@pytest.mark.parametrize(("attributes", "expected"), [
    ("", (256, 256)), ('width="100%" height="100%"', (256, 256)), ('width="200px" height="100"', (256, 128)),
    ('viewBox="0,0,10,20" width="5"', (256, 512)), ('viewBox="0 0 1000000 1000"', (256, 1)),
])  # fmt: skip
def test_sizes(api: API, attributes: str, expected: tuple[int, int]) -> None:
    assert dimensions(api.get("/png", id=api.token(sized(attributes)), width=256).data) == expected


def test_many_at_once_draw_once(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    token = api.token()
    runs = []
    run = Pictures._run
    monkeypatch.setattr(Pictures, "_run", lambda self, key, svg: runs.append(key) or run(self, key, svg))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: api.get("/png", id=token, width=256).status_code, range(12)))
    assert answers == [200] * 12 and len(runs) == 1


def test_no_renderer(api: API, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "none.py"
    program.write_text(f"raise SystemExit({render.NO_RENDERER})")
    monkeypatch.setattr("services.tokens.archive.pictures._PROGRAM", program)
    answer = api.get("/png", id=api.token())
    assert (answer.status_code, answer.json) == (501, {"error": "png rendering is not available here"})


def test_deleted_token_leaves_no_picture(api: API, tmp_path: Path) -> None:
    tokens = [api.token(), api.token()]
    for token in tokens:
        api.get("/png", id=token, width=256)
    api.client.delete("/token", query_string={"id": tokens[0]}, headers=ADM)
    assert [path.name.partition("-")[0] for path in (tmp_path / "png").iterdir()] == [tokens[1]]


def test_folder_is_kept_below_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "png"
    pictures = Pictures(dataclasses.replace(Settings(), png_cache=folder, png_cache_mb=1), SettableClock())
    folder.mkdir()
    for number in range(20):
        path = folder / f"old{number}-1-256.png"
        path.write_bytes(b"x" * 100_000)
        os.utime(path, (number, number))
    pictures.png("new", 1, SVG, 256)
    left = {path.name for path in folder.iterdir()}
    assert "new-1-256.png" in left and "old19-1-256.png" in left and "old0-1-256.png" not in left
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_000_000


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    pictures = Pictures(dataclasses.replace(Settings(), png_cache=occupied / "png"), SettableClock())
    assert dimensions(pictures.png("a", 1, SVG, 256)) == (256, 192)


def test_a_kept_picture_is_sent_from_its_file(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the picture, which may have 32 MB, nor the SVG is read into memory."""
    token = api.token()
    first = api.get("/png", id=token).data
    monkeypatch.setattr("services.tokens.web.SENT", 1000)
    monkeypatch.setattr(store, "some", None)
    monkeypatch.setattr(Pictures, "png", None)
    answer = api.get("/png", id=token)
    found = list(answer.response)
    assert b"".join(found) == first and max(map(len, found)) == 1000 and answer.headers["Content-Length"] == str(len(first))


@pytest.mark.slow
@pytest.mark.parametrize("text", ORDINARY)
def test_an_svg_that_was_written_anew_looks_as_before(text: str) -> None:
    assert drawn(text) == drawn(svg.accepted(text)) == drawn(svg.cleaned(text))


def test_another_look_is_noticed() -> None:
    assert drawn(SVG) != drawn(SVG.replace("#ff6868", "#ff6869"))


def drawn(text: str) -> bytes:
    """The picture that the service's renderer makes of the text, without the service."""
    command = [sys.executable, "-I", render.__file__, "512", "30", "512"]
    png = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    assert dimensions(png)[0] == 512
    return png
