"""Writes the body that the upstream gets by a template, from the one that the client sent.

A template is in the part of Go's language that docs/transforms.md lists. It sees the document of the body as the dot, the key's `meta_data`
as `._tyk_meta` with `enable_session`, and what is known of the request as `._tyk_context` with `enable_context_vars`. A form or XML of
which JSON is made gets the `Content-Type` of JSON. A body that cannot be read is refused, because what the template leaves out must not get
through; so is XML with a DTD. A path with `%2F` or `%5C`, which some servers read as a slash, has the template of the first of its readings
that has one.

Fields:
* `enable_context_vars` (1.9): Lets templates see `._tyk_context`.
* `versions.*.extended_paths.transform` (1.5): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.transform[].path` (1.5, required): A pattern, as in path_lists.
* `versions.*.extended_paths.transform[].method` (1.5): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.transform[].disabled` (5.3): Leaves the entry out.
* `versions.*.extended_paths.transform[].template_data.input_type` (1.5): What the body is: `json` (default), `xml`, or `form`, which Tyk
  does not have. Differs: What of a body cannot be read is refused; Tyk sends it on as it is.
* `versions.*.extended_paths.transform[].template_data.template_mode` (1.5): `blob` (default) or `file`.
* `versions.*.extended_paths.transform[].template_data.template_source` (1.5, required): The template as base64, or its file below
  `GATEWAY_MIDDLEWARE_PATH`. Differs: A file that is not there is a mistake. Texts that it puts into JSON or XML are escaped; in Tyk a quote
  in them ends the text.
* `versions.*.extended_paths.transform[].template_data.enable_session` (1.5): Lets the template see `._tyk_meta`.
Refusals: body-not-json, body-too-large.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from concurrent.futures import Executor
from typing import Final

from services.gateway.body_templates import BodyTemplate, Tables, context, filled, tables
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.template_schema import Templates, read_templates, sent_variables
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import BODY_NOT_JSON, BODY_TOO_LARGE, Refusal
from services.gateway.templating.templates import TooLarge
from services.gateway.templating.xml_documents import NotXml

_KINDS: Final = {"json": "JSON document", "form": "form", "xml": "XML document without a DTD"}


class Spec(Templates):
    """The templates of requests."""

    __slots__ = ()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the templates; None when no version has any."""
    found = read_templates(reader, "transform", ("json", "xml", "form"))
    return None if found is None else Spec(found.versions, found.with_context)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of variables that are not filled in."""
    return sent_variables(fields(reader))


def build(spec: Spec, ports: Ports) -> BodyTransform:
    """Build a table of endpoints for each version. Raises Mistakes, of files that cannot be used."""
    return BodyTransform(tables(spec, ports.folder), ports.bodies)


class BodyTransform:
    """Sets `exchange.body`. files: that were read. threads: where large bodies are read."""

    __slots__ = ("_tables", "_threads", "files")

    def __init__(self, tables: Tables, threads: Executor) -> None:
        self._tables = tables
        self._threads = threads
        self.files = tables.files

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        used = self._tables.find(exchange)
        return None if used is None else self._change(exchange, used)

    async def _change(self, exchange: Exchange, used: BodyTemplate) -> None:
        body = await exchange.read_body()
        try:
            exchange.body = await filled(body, used, context(exchange, used), self._threads)
            if used.input != "json" and used.template.writes_json:
                exchange.set_header(b"Content-Type", b"application/json")
        except TooLarge:
            raise Refusal(BODY_TOO_LARGE, detail="What the template makes of the body is too large.") from None
        except NotXml as error:
            raise Refusal(BODY_NOT_JSON, detail=f"The body cannot be written as XML: {error}.") from None
        except (ValueError, RecursionError):
            raise Refusal(BODY_NOT_JSON, detail=f"The body is not a valid {_KINDS[used.input]}.") from None
