"""Writes the body that the client gets by a template, from the one that the upstream answered.

Templates are those of body_transform. An answer that says it is JSON and cannot be read, is compressed, or is larger than
`GATEWAY_BODY_READ_LIMIT` is replaced by an error, because what the template leaves out must not get out. An answer of another type (a page
of an error) goes on as it is. A path with `%2F` or `%5C` has the template of the first of its readings that has one.

Fields:
* `versions.*.extended_paths.transform_response` (1.9): Entries for single paths, with `use_extended_paths`. Differs: They need no
  `response_processors`.
* `versions.*.extended_paths.transform_response[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.transform_response[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.transform_response[].disabled` (5.3): Leaves the entry out.
* `versions.*.extended_paths.transform_response[].template_data.input_type` (1.9): `json`. Differs: `xml` is a mistake.
* `versions.*.extended_paths.transform_response[].template_data.template_mode` (1.9): `blob`. Differs: `file` is a mistake.
* `versions.*.extended_paths.transform_response[].template_data.template_source` (1.9, required): The template as base64. Differs: Texts
  that it puts into JSON are escaped.
* `versions.*.extended_paths.transform_response[].template_data.enable_session` (1.9): Lets the template see `._tyk_meta`.
Refusals: upstream-broken, upstream-too-large.
"""

from __future__ import annotations

from collections.abc import Awaitable
from concurrent.futures import Executor
from typing import Final

from services.gateway.body_templates import BodyTemplate, context, filled, tables
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.template_schema import Templates, read_templates
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.refusals import UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE, Refusal
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.templating.templates import TooLarge

_OF_OLD_BODY: Final = frozenset({b"accept-ranges", b"content-md5", b"digest", b"etag", b"repr-digest", b"content-digest"})


class Spec(Templates):
    """The templates of answers."""

    __slots__ = ()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the templates; None when no version has any."""
    found = read_templates(reader, "transform_response")
    return None if found is None else Spec(found.versions, found.with_context)


def build(spec: Spec, ports: Ports) -> ResponseBodyTransform:
    """Build a table of endpoints for each version."""
    return ResponseBodyTransform(tables(spec), ports.bodies)


class ResponseBodyTransform:
    """Adds to `exchange.answer_transforms`, and asks the upstream for a plain answer. threads: where large bodies are read."""

    __slots__ = ("_tables", "_threads")

    def __init__(self, tables: dict[str, EndpointTable[BodyTemplate | None]], threads: Executor) -> None:
        self._tables = tables
        self._threads = threads

    def on_request(self, exchange: Exchange) -> None:
        table = self._tables.get(exchange.version_name)
        used = None if table is None else table.find_any(exchange.method, exchange.relative)
        if used is not None:
            exchange.drop_header(b"accept-encoding")
            exchange.drop_header(b"range")
            exchange.answer_transforms = (*exchange.answer_transforms, _Transform(used, self._threads))


class _Transform:
    """One template for the answer to one request."""

    __slots__ = ("_threads", "_used")

    def __init__(self, used: BodyTemplate, threads: Executor) -> None:
        self._used = used
        self._threads = threads

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        kinds = [value.partition(b";")[0].strip().lower() for name, value in head.headers if name.lower() == b"content-type"]
        return not kinds or any(kind in (b"", b"application/json", b"text/json") or kind.endswith(b"+json") for kind in kinds)

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes | Awaitable[bytes]:
        if exchange.method == "HEAD" or head.status in (204, 304) or not body:
            return body
        if any(name.lower() == b"content-encoding" and value.strip().lower() != b"identity" for name, value in head.headers):
            raise Refusal(UPSTREAM_BROKEN, detail="The upstream's answer is compressed, which it was not asked for.")
        # They are those of the old body.
        head.headers = [header for header in head.headers if header[0].lower() not in _OF_OLD_BODY]
        return self._filled(exchange, body)

    async def _filled(self, exchange: Exchange, body: bytes) -> bytes:
        try:
            return await filled(body, self._used, context(exchange, self._used), self._threads)
        except TooLarge:
            raise Refusal(UPSTREAM_TOO_LARGE, detail="What the template makes of the upstream's answer is too large.") from None
        except (ValueError, RecursionError):
            raise Refusal(UPSTREAM_BROKEN, detail="The upstream's answer is not the JSON that it says it is.") from None
