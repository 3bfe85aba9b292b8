"""Writes the body that the client gets by a template, from the one that the upstream answered.

Templates are those of body_transform. An answer that says it is JSON (or XML, as the entry asks) and cannot be read, is compressed, or is
larger than `GATEWAY_BODY_READ_LIMIT` is replaced by an error, because what the template leaves out must not get out. An answer of another
type (a page of an error) goes on as it is. XML of which JSON is made gets the `Content-Type` of JSON, unless a stage has set another one.
A path with `%2F` or `%5C` has the template of the first of its readings that has one.

Fields:
* `versions.*.extended_paths.transform_response` (1.9): Entries for single paths, with `use_extended_paths`. Differs: They need no
  `response_processors`.
* `versions.*.extended_paths.transform_response[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.transform_response[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.transform_response[].disabled` (5.3): Leaves the entry out.
* `versions.*.extended_paths.transform_response[].template_data.input_type` (1.9): `json` (default) or `xml`. Differs:
  Answers of another type stay as they are; in Tyk they become what the template makes of nothing.
* `versions.*.extended_paths.transform_response[].template_data.template_mode` (1.9): `blob` (default) or `file`.
* `versions.*.extended_paths.transform_response[].template_data.template_source` (1.9, required): The template as base64, or its file below
  `GATEWAY_MIDDLEWARE_PATH`. Differs: A file that is not there is a mistake. Texts that it puts into JSON or XML are escaped.
* `versions.*.extended_paths.transform_response[].template_data.enable_session` (1.9): Lets the template see `._tyk_meta`.
Refusals: upstream-broken, upstream-too-large.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from concurrent.futures import Executor

from services.gateway.body_templates import BodyTemplate, Tables, context, filled, tables
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.template_schema import Templates, read_templates, sent_variables
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.refusals import UPSTREAM_BROKEN, UPSTREAM_TOO_LARGE, Refusal
from services.gateway.templating.templates import TooLarge
from services.gateway.templating.xml_documents import NotXml
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.names import OF_BODY


class Spec(Templates):
    """The templates of answers."""

    __slots__ = ()


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the templates; None when no version has any."""
    found = read_templates(reader, "transform_response", ("json", "xml"))
    return None if found is None else Spec(found.versions, found.with_context)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of variables that are not filled in."""
    return sent_variables(fields(reader))


def build(spec: Spec, ports: Ports) -> ResponseBodyTransform:
    """Build a table of endpoints for each version. Raises Mistakes, of files that cannot be used."""
    return ResponseBodyTransform(tables(spec, ports.folder), ports.bodies)


class ResponseBodyTransform:
    """Adds to `exchange.answer_transforms`, and asks the upstream for a plain answer.

    files: that were read. threads: where large bodies are read.
    """

    __slots__ = ("_tables", "_threads", "files")

    def __init__(self, tables: Tables, threads: Executor) -> None:
        self._tables = tables
        self._threads = threads
        self.files = tables.files

    def on_request(self, exchange: Exchange) -> None:
        used = self._tables.find(exchange)
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
        kinds = [value for name, value in head.headers if name.lower() == b"content-type"]
        return not kinds or any(self._is_read(kind) or not kind.strip() for kind in kinds)

    def _is_read(self, kind: bytes) -> bool:
        """Tell whether a Content-Type is that of what the template reads."""
        plain = kind.partition(b";")[0].strip().lower()
        name = self._used.input.encode()
        return plain in (b"application/" + name, b"text/" + name) or plain.endswith(b"+" + name)

    def _without_old(self, headers: list[Header]) -> list[Header]:
        """Return the fields that hold for the new body, too."""
        kept = [header for header in headers if header[0].lower() not in OF_BODY]
        if self._used.input == "json" or not self._used.template.writes_json:
            return kept
        kept = [(name, value) for name, value in kept if name.lower() != b"content-type" or not self._is_read(value)]
        if not any(name.lower() == b"content-type" for name, _ in kept):
            kept.append((b"Content-Type", b"application/json"))
        return kept

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes | Awaitable[bytes]:
        if exchange.method == "HEAD" or head.status in (204, 304) or not body:
            return body
        if any(name.lower() == b"content-encoding" and value.strip().lower() != b"identity" for name, value in head.headers):
            raise Refusal(UPSTREAM_BROKEN, detail="The upstream's answer is compressed, which it was not asked for.")
        head.headers = self._without_old(head.headers)
        return self._filled(exchange, body)

    async def _filled(self, exchange: Exchange, body: bytes) -> bytes:
        try:
            return await filled(body, self._used, context(exchange, self._used), self._threads)
        except TooLarge:
            raise Refusal(UPSTREAM_TOO_LARGE, detail="What the template makes of the upstream's answer is too large.") from None
        except NotXml as error:
            raise Refusal(UPSTREAM_BROKEN, detail=f"The upstream's answer cannot be written as XML: {error}.") from None
        except (ValueError, RecursionError):
            raise Refusal(
                UPSTREAM_BROKEN, detail=f"The upstream's answer is not the {self._used.input.upper()} that it says it is."
            ) from None
