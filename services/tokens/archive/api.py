"""The archive over HTTP: information, tokens, their pictures, paging, adding and removing."""

from __future__ import annotations

import io
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import Any

from flask import Response, jsonify, request
from werkzeug.exceptions import PreconditionFailed

from services.common.documented import Blueprint
from services.tokens import refusals, schemas, web
from services.tokens.access import ADMIN, GENERATOR
from services.tokens.archive.pictures import DEFAULT_WIDTH, WIDTHS
from services.tokens.archive.rules import ids
from services.tokens.archive.rules.svg import RULES
from services.tokens.archive.service import PIECE
from services.tokens.archive.store import Entry
from services.tokens.pages import pages
from services.tokens.web import parts

NAME = "Tokens for Climate Care API"
DESCRIPTION = "Access archived tokens and the interaction queue of the installation."
VERSION = "1.0.3"

IMMUTABLE = "public, max-age=31536000, immutable"
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

SENT = 64 * 1024  # bytes handed to the server at once, or a few more
DRAWING_WAIT_S = 10.0
DRAWING = 32  # requests that wait for a picture to be drawn, each with its SVG

blueprint = Blueprint("archive", __name__, description="Archived tokens.")
_drawing = threading.Semaphore(DRAWING)


@blueprint.get("/")
@blueprint.response(200, schemas.Information)
def information() -> Response:
    """What this is; a browser gets the archive as a page."""
    if pages.wants_page():
        return pages.archive()
    answer = jsonify(name=NAME, description=DESCRIPTION, version=VERSION, git_sha=parts().settings.git_sha)
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return answer


@blueprint.get("/token")
@blueprint.arguments(schemas.TokenQuery(), location="query")
@blueprint.response(200, schemas.Token)
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
@blueprint.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
@blueprint.alt_response(503, schema=schemas.ErrorText, description="`too many old tokens at once`")
def token(query: dict[str, str]) -> Response:
    """One token."""
    found = parts().archive.shown(query.get("id"))
    tag = tag_of(found)
    pieces = () if unchanged(tag) else row(found, parts().archive.svg(found))
    return cached(answered(pieces, found.size, "application/json"), tag)


@blueprint.get("/svg")
@blueprint.arguments(schemas.ImageQuery(), location="query")
@blueprint.response(200, content_type="image/svg+xml", description="The SVG's text.")
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
@blueprint.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
@blueprint.alt_response(503, schema=schemas.ErrorText, description="`too many old tokens at once`")
def svg(query: dict[str, str]) -> Response:
    """A token's SVG, as an image or for download."""
    found = parts().archive.shown(query.get("id"))
    tag = tag_of(found)
    pieces = () if unchanged(tag) else parts().archive.svg(found)
    answer = answered(pieces, found.size, "image/svg+xml; charset=utf-8")
    if answer.is_streamed:
        answer.content_length = found.size
    answer.headers["Content-Security-Policy"] = IMAGE_POLICY
    if "download" in query:
        attach(answer, f"token-{ids.encode(found.id)}.svg")
    return cached(answer, tag)


@blueprint.get("/png")
@blueprint.arguments(schemas.PngQuery(), location="query")
@blueprint.response(200, content_type="image/png", description="The token drawn on white.")
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `width must be one of …`")
@blueprint.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
@blueprint.alt_response(501, schema=schemas.ErrorText, description="`png rendering is not available here`")
@blueprint.alt_response(503, schema=schemas.ErrorText, description="`renderer busy`")
def png(query: dict[str, str]) -> Response:
    """A token's picture, 2048 pixels wide unless asked otherwise."""
    found = parts().archive.entry(query.get("id"))
    name, width = ids.encode(found.id), read_width(query.get("width"))
    tag = f"{tag_of(found)}-{width}"
    if unchanged(tag):  # who has the picture need not wait for it to be drawn
        return cached(Response(content_type="image/png"), tag)
    picture = parts().pictures.kept(name, RULES, width) or drawn(found, width)
    answer = Response(divided(picture), content_type="image/png")
    answer.content_length = len(picture)
    if "download" in query:
        attach(answer, f"token-{name}.png")
    return cached(answer, tag)


@blueprint.get("/tokens")
@blueprint.arguments(schemas.PageQuery(), location="query")
@blueprint.response(200, schemas.Page)
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`need offset, start_id or end_id`, `count out of range`, …")
@blueprint.alt_response(503, schema=schemas.ErrorText, description="`too many old tokens at once`")
def tokens(query: dict[str, str]) -> Response:
    """A window of the archive; walk on with `next` as `start_id`, back with `prev` as `end_id`. A large one comes in pieces."""
    names = ("offset", "start_id", "end_id", "count", "newest_first")
    page, newest_first = parts().archive.page(**{name: query.get(name) for name in names})
    around = {
        "total_rows": page.total,
        "offset": page.offset,
        "next": named(page.following),
        "prev": named(page.previous),
        "newest_first": newest_first,
    }
    answer = answered(page_json(parts().archive.svgs(page.rows), around), sum(entry.size for entry in page.rows), "application/json")
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@blueprint.put("/token")
@blueprint.response(200, schemas.TokenId)
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`required attribute(s) missing`, `invalid json`, `invalid svg: …`")
@blueprint.alt_response(401, schema=schemas.ErrorText, description="`invalid auth`, `token not yet active`, `token expired`")
@blueprint.alt_response(403, schema=schemas.ErrorText, description="`wrong subject`, `subject expired`")
@blueprint.alt_response(413, schema=schemas.ErrorText, description="`body too large`")
@blueprint.doc(**web.ROLE, requestBody={"required": True, "content": {"application/json": {"schema": schemas.NewToken}}})
def add() -> Response:
    """Archive a token. With an `Idempotency-Key` a repeated request gives the same id."""
    web.require(GENERATOR)
    return jsonify(id=parts().archive.add(request.get_data(cache=False), request.headers.get("Idempotency-Key")))


@blueprint.delete("/token")
@blueprint.arguments(schemas.TokenQuery(), location="query")
@blueprint.response(200)
@blueprint.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
@blueprint.doc(**web.ROLE)
def delete(query: dict[str, str]) -> Response:
    """Remove one token (admin)."""
    web.require(ADMIN)
    parts().pictures.forget(ids.encode(parts().archive.delete(query.get("id"))))
    return jsonify({})


@blueprint.delete("/tokens")
@blueprint.arguments(schemas.ConfirmQuery(), location="query")
@blueprint.response(200)
@blueprint.alt_response(400, schema=schemas.ErrorText, description="`confirm=all required`")
@blueprint.doc(**web.ROLE)
def delete_all(query: dict[str, str]) -> Response:
    """Remove every token (admin); only with `confirm=all`."""
    web.require(ADMIN)
    parts().archive.delete_all(query.get("confirm"))
    parts().pictures.forget()
    return jsonify({})


def drawn(token: Entry, width: int) -> mmap | bytes:
    """The picture of a token that had none a moment ago. Raises Refusal."""
    key = (ids.encode(token.id), RULES, width)
    if not _drawing.acquire(timeout=DRAWING_WAIT_S):
        raise refusals.renderer_busy()
    try:
        kept = parts().pictures.kept(*key)
        if kept is None:
            png = parts().pictures.png(*key[:2], b"".join(parts().archive.svg(token)).decode(), width)
            kept = parts().pictures.kept(*key)
        return kept or png
    finally:
        _drawing.release()


def tag_of(entry: Entry) -> str:
    """Names what is shown of a token: other rules may show it otherwise."""
    return f"{ids.encode(entry.id)}-{RULES}"


def unchanged(tag: str) -> bool:
    """Whether the client has it already, so that nothing needs to be read. Raises PreconditionFailed when it wants another one alone."""
    if request.if_match and not request.if_match.contains(tag):
        raise PreconditionFailed
    return request.if_none_match.contains_weak(tag)


def answered(parts: Iterable[bytes], size: int, content_type: str) -> Response:
    """An answer with about `size` bytes of SVGs: a small one whole, a large one in parts that are made while it is sent.

    The first part is made before the answer begins, so that what is wrong then can still be said.
    """
    if size <= PIECE:
        return Response(b"".join(parts), content_type=content_type)
    made = gathered(parts)
    return Response(itertools.chain([next(made)], made), content_type=content_type)


def gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts that are worth a system call. While one is sent, nothing else of them is kept."""
    held = io.BytesIO()
    for part in parts:
        held.write(part)
        del part
        if held.tell() >= SENT:
            whole = held.getvalue()
            held = io.BytesIO()
            yield whole
            del whole
    yield held.getvalue()


def divided(content: mmap | bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), SENT):
        yield content[begin : begin + SENT]


def page_json(rows: Iterable[tuple[Entry, Iterable[bytes]]], around: dict[str, Any]) -> Iterator[bytes]:
    """The JSON of a page."""
    yield b'{"rows":['
    comma = b""
    for entry, pieces in rows:
        yield comma
        yield from row(entry, pieces)
        comma = b","
    yield b"]," + compact(around)[1:] + b"\n"


def row(entry: Entry, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The JSON of a token, whose SVG comes in pieces that may end within a character."""
    yield b'{"id":"%b","svg":"' % ids.encode(entry.id).encode()
    yield from map(escaped, pieces)
    yield b'",' + compact({"generated": entry.generated, "keywords": entry.keywords})[1:]


def escaped(piece: bytes) -> bytes:
    """UTF-8 of an SVG within a JSON text. XML has no other control characters than these."""
    return piece.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")


def compact(value: Any) -> bytes:
    """JSON as `jsonify` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def named(number: int | None) -> str | None:
    return None if number is None else ids.encode(number)


def read_width(text: str | None) -> int:
    """Raises Refusal 400."""
    if not text:
        return DEFAULT_WIDTH
    if text not in map(str, WIDTHS):
        raise refusals.width_out_of_range(WIDTHS)
    return int(text)


def cached(answer: Response, tag: str) -> Response:
    """Let anybody keep the answer: a token never changes. Answers 304 when the client has it.

    Decided here alone and not by werkzeug: it would count the bytes of an answer in pieces, and so have all of them in memory.
    """
    answer.headers["Cache-Control"] = IMMUTABLE
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.set_etag(tag)
    if unchanged(tag):
        answer.status_code = 304
    return answer


def attach(answer: Response, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
