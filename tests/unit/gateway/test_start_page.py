"""The page at `/` of the public port."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from services.gateway import start_page


def no_files(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a request reads a file")


@pytest.mark.parametrize(("status", "title"), [(404, b"Nothing listens here"), (503, b"Not ready yet")])
def test_no_request_reads_a_file(status: int, title: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop stands still as long as one is read."""
    for name in ("open", "read_bytes", "read_text"):
        monkeypatch.setattr(Path, name, no_files)
    reply = start_page.reply(status)
    assert reply.status == status
    assert title in reply.body
