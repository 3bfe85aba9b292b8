"""What is logged within a block, as the events that were written: `event`, `level`, the values, and `traced` with a stack trace."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from services.common.logging import values_of


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        traced = {"traced": True} if record.exc_info else {}
        self.lines.append({"event": record.getMessage(), "level": record.levelname.lower(), **traced, **values_of(record)})


@contextlib.contextmanager
def captured() -> Iterator[list[dict[str, Any]]]:
    handler = _Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
