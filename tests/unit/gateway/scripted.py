"""Definitions with scripts, built: for the tests of the middlewares that run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.gateway.chain import Middleware
from services.gateway.compiler import compile_api
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import built, definition, exchange, ports

HOOK = """var one = new TykJS.TykMiddleware.NewMiddleware({});
one.NewProcessRequest(function (request, session, config) { %s; return one.ReturnData(request, session.meta_data) });"""


class Saved(list[tuple[str, dict[str, Any]]]):
    """What became the `meta_data` of which key."""

    def save(self, key: Key, meta: dict[str, Any]) -> None:
        self.append((key.id, meta))


def scripted(middleware: Middleware, folder: Path, files: Mapping[str, str], saved: Saved | None = None, **more: Any) -> Any:
    """The built middleware of a definition whose scripts have these texts."""
    for name, text in files.items():
        (folder / name).write_text(text)
    scripts = Scripts(folder, save_meta=(Saved() if saved is None else saved).save)
    return built(middleware, replace(ports(), scripts=scripts), **more)


def hooked(middleware: Middleware, kind: str, folder: Path, body: str, saved: Saved | None = None, *, session: bool = False) -> Any:
    """The built middleware whose one script runs this."""
    hooks = {kind: [{"name": "one", "path": "one.js", "require_session": session}]}
    return scripted(middleware, folder, {"one.js": HOOK % body}, saved, custom_middleware=hooks)


def request(method: str = "GET", target: str = "/api/", *headers: tuple[str, str], body: bytes = b"", key: Key | None = None) -> Exchange:
    """A request whose API and body are known."""
    made = exchange(method, target, headers, body_length=len(body), key=key)
    made.api = compile_api(definition(), ports(), 1)

    async def read() -> bytes:
        return body

    made.body_reader = read if body else None
    return made
