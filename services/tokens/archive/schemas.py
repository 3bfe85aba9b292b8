"""What the archive takes and gives: parameters, bodies, and the JSON of tokens whose SVGs come in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from marshmallow import Schema, fields

from services.tokens.archive.rules import ids
from services.tokens.archive.rules.tokens import Entry
from services.tokens.archive.rules.tokens import Page as Found
from services.tokens.schemas import Query, text


class TokenQuery(Query):
    id = text("The token id, in any case.")


class ImageQuery(TokenQuery):
    download = text("Present, even empty: answer as an attachment.")


class PngQuery(ImageQuery):
    width = text("Pixels: 256, 512, 1024 or 2048 (default).")


class PageQuery(Query):
    offset = text("Position of the first row; negative ones count from the end. Wins over start_id and end_id.")
    start_id = text("Begin with this token. Wins over end_id.")
    end_id = text("End with this token.")
    count = text("Rows, 1 to 250 (default 1).")
    newest_first = text("true (default) or false.")


class ConfirmQuery(Query):
    confirm = text("The word all.")


class Information(Schema):
    name = fields.String(required=True)
    description = fields.String(required=True)
    version = fields.String(required=True)
    git_sha = fields.String(required=True)


class Token(Schema):
    id = fields.String(required=True)
    svg = fields.String(required=True)
    generated = fields.String(required=True, metadata={"description": "ISO 8601, as the generator gave it."})
    keywords = fields.List(fields.String(), required=True)


class NewToken(Schema):
    svg = fields.String(required=True)
    generated = fields.String(required=True, metadata={"format": "date-time"})
    keywords = fields.List(fields.String(), required=True, metadata={"minItems": 3, "maxItems": 3})


class TokenId(Schema):
    id = fields.String(required=True)


class Page(Schema):
    rows = fields.List(fields.Nested(Token), required=True)
    total_rows = fields.Integer(required=True)
    offset = fields.Integer(required=True)
    next = fields.String(required=True, allow_none=True)
    prev = fields.String(required=True, allow_none=True)
    newest_first = fields.Boolean(required=True)


def token_json(entry: Entry, svg: Iterable[bytes]) -> Iterator[bytes]:
    """Write a token as JSON. svg: pieces in UTF-8 that may end within a character."""
    yield b'{"id":"%b","svg":"' % ids.encode(entry.id).encode()
    yield from map(_escaped, svg)
    yield b'",' + _compact({"generated": entry.generated, "keywords": entry.keywords})[1:]


def page_json(page: Found, svgs: Iterable[tuple[Entry, Iterable[bytes]]]) -> Iterator[bytes]:
    """Write a page as JSON. svgs: its tokens, without those that were removed meanwhile."""
    yield b'{"rows":['
    comma = b""
    for entry, svg in svgs:
        yield comma
        yield from token_json(entry, svg)
        comma = b","
    around = {
        "total_rows": page.total,
        "offset": page.offset,
        "next": _named(page.following),
        "prev": _named(page.previous),
        "newest_first": page.newest_first,
    }
    yield b"]," + _compact(around)[1:] + b"\n"


def _escaped(piece: bytes) -> bytes:
    """UTF-8 of an SVG within a JSON text. XML has no other control characters than these."""
    return piece.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")


def _compact(value: Any) -> bytes:
    """JSON as `jsonify` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _named(number: int | None) -> str | None:
    return None if number is None else ids.encode(number)
