"""Compiled APIs on listen paths, and who owns a path."""

from __future__ import annotations

from typing import Any

from services.gateway.compiler import broken_api, compile_api, inactive_api
from services.gateway.exchange import CompiledApi
from services.gateway.routing.listen_paths import ListenPaths
from tests.unit.gateway.exchanges import definition, document, ports


def api(name: str, listen_path: str, domain: str = "", *, active: bool = True) -> CompiledApi:
    proxy: dict[str, Any] = {**document()["proxy"], "listen_path": listen_path}
    made = definition(api_id=name, name=name, domain=domain, proxy=proxy)
    return compile_api(made, ports(), 1) if active else inactive_api(made, 1)


def broken(name: str, listen_path: str, domain: str = "") -> CompiledApi:
    made = broken_api({"api_id": name, "name": name, "domain": domain, "proxy": {"listen_path": listen_path}}, 1)
    assert made is not None
    return made


def owner(paths: ListenPaths, path: str, host: str = "h.example") -> str | None:
    found = paths.find(host, path)
    return None if found is None else found.api_id
