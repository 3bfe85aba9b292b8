"""A folder of scripts, and the scripts of a definition that names them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.gateway.scripts.scripts import Out, Running, Scripts
from tests.unit.gateway.exchanges import definition

Load = Callable[..., Running]


class Called:
    """What scripts gave, and whether they ran on the loop. running: kept, because its processes end with it."""

    def __init__(self, running: Running) -> None:
        self.running = running

    def __call__(self, place: int = 0, *, session: Any = None, **more: Any) -> tuple[Out, bool]:
        given = {"Headers": {"Host": ["a.test"]}, "Body": "", "Params": {}, "URL": "/api/x", "Method": "GET"}
        return asyncio.run(self._out(place, json.dumps({**given, **more}), "" if session is None else json.dumps(session)))

    async def _out(self, place: int, request: str, session: str) -> tuple[Out, bool]:
        out: Out | Awaitable[Out] = self.running.run(place, request, session)
        try:
            return (out, True) if isinstance(out, dict) else (await out, False)
        finally:
            self.running.end()  # each call has a loop of its own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "middleware"
    found.mkdir()
    return found


@pytest.fixture
def load(folder: Path) -> Callable[..., Called]:
    """Load the `pre` scripts `one` of files with these texts."""

    def loaded(*texts: str, seconds: float = 20.0, driver: str = "otto", **more: Any) -> Called:
        ending = "py" if driver == "python" else "js"
        for number, text in enumerate(texts):
            (folder / f"{number}.{ending}").write_text(text)
        hooks = [{"name": "one", "path": f"{number}.{ending}"} for number in range(len(texts))]
        scripts = definition(custom_middleware={"pre": hooks, "driver": driver}, **more).scripts
        assert scripts is not None
        return Called(Scripts(folder, seconds=seconds).load(scripts))

    return loaded
