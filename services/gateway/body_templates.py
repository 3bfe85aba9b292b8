"""What templates for bodies see and do, for requests and answers alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.template_schema import TemplateEntry, Templates
from services.gateway.exchange import Exchange
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.templating.templates import MOST_STEPS, Template, TooLarge, TooManySteps

# Larger bodies, and templates that take more steps, are worked on in a thread.
_AT_ONCE: Final = 16 * 1024
_STEPS_AT_ONCE: Final = 3000
_LARGEST: Final = 4 * 1024 * 1024  # characters of a filled template
_MOST_PARAMETERS: Final = 1000


class BodyTemplate(NamedTuple):
    """One template, ready, with what it reads and sees."""

    template: Template
    form: bool
    with_session: bool
    with_context: bool


def tables(templates: Templates) -> dict[str, EndpointTable[BodyTemplate | None]]:
    """Return a table of endpoints for each version."""
    return {version.name: _table(version, entries, templates.with_context) for version, entries in templates.versions}


def _table(version: Version, entries: Iterable[TemplateEntry], with_context: bool) -> EndpointTable[BodyTemplate | None]:
    return endpoint_table(
        version,
        [
            (entry.path, entry.method, BodyTemplate(Template(entry.source), entry.input == "form", entry.with_session, with_context))
            for entry in entries
        ],
        None,
    )


def context(exchange: Exchange, used: BodyTemplate) -> dict[str, Any]:
    """Return what a template sees besides the body: `_tyk_meta` and `_tyk_context`. A secret is not among it."""
    found: dict[str, Any] = {}
    if used.with_session:
        found["_tyk_meta"] = {} if exchange.key is None else exchange.key.session.get("meta_data") or {}
    if used.with_context:
        named = ((name.decode("latin-1").replace("-", "_"), value.decode("latin-1")) for name, value in exchange.headers)
        found["_tyk_context"] = {
            "request_data": parameters(exchange.query),
            "path": exchange.path,
            "path_parts": exchange.path.strip("/").split("/"),
            "remote_addr": exchange.client,
            "request_id": exchange.request_id,
            "token": "" if exchange.key is None else exchange.key.id,
            **{f"headers_{name}": value for name, value in named if name.lower() not in _SECRET},
        }
    return found


_SECRET: Final = frozenset({"authorization", "cookie", "proxy_authorization"})


def parameters(query: str) -> dict[str, list[str]]:
    """Return the values of parameters by name. Raises ValueError when there are too many."""
    return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)


def read(body: bytes, used: BodyTemplate) -> Any:
    """Return what a body holds. Raises ValueError, RecursionError."""
    if used.form:
        return {name: values[0] if len(values) == 1 else values for name, values in parameters(body.decode("utf-8")).items()}
    return json.loads(body) if body.strip() else {}


async def filled(body: bytes, used: BodyTemplate, seen: Mapping[str, Any], threads: Executor) -> bytes:
    """Return the new body. seen: of `context`. Raises ValueError, RecursionError, TooLarge."""
    if len(body) <= _AT_ONCE:
        with contextlib.suppress(TooManySteps):
            return _fill(body, used, seen, _STEPS_AT_ONCE)
    return await asyncio.get_running_loop().run_in_executor(threads, _fill, body, used, seen, MOST_STEPS)


def _fill(body: bytes, used: BodyTemplate, seen: Mapping[str, Any], steps: int) -> bytes:
    data = read(body, used)
    if isinstance(data, dict):
        data = {**data, **seen}
    elif seen:
        data = {"array": data, **seen}
    try:
        return used.template.fill(data, _LARGEST, steps).encode("utf-8", "replace")
    except RecursionError:
        raise TooLarge from None
