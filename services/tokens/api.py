"""The archive over HTTP: information, tokens, their pictures, paging, adding and removing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Any

from flask import Response, jsonify, request
from flask_smorest import Blueprint

from services.tokens import ids, refusals, schemas
from services.tokens.browser import wants_page
from services.tokens.clients import RoleTokens
from services.tokens.pictures import DEFAULT_WIDTH, WIDTHS, Pictures
from services.tokens.room import Room
from services.tokens.service import Archive, shown
from services.tokens.store import Entry
from services.tokens.svg import RULES

NAME = "Tokens for Climate Care API"
DESCRIPTION = "Access archived tokens and the interaction queue of the installation."
VERSION = "1.0.3"

ADMIN: frozenset[str] = frozenset()  # `admin` passes everywhere
GENERATOR = frozenset({"generator"})

IMMUTABLE = "public, max-age=31536000, immutable"
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
# documented by hand: these answers are no JSON, or written without a schema for speed
_ROLE: dict[str, Any] = {"security": [{"role": []}]}


PIECE = 64 * 1024  # bytes
STREAM_WAIT_S = 60.0  # for room, when the answer has begun and cannot be a refusal any more


def blueprint(archive: Archive, pictures: Pictures, roles: RoleTokens, page: Callable[[], Response], git_sha: str, room: Room) -> Blueprint:
    """The routes of the archive. page: answers at `/` who prefers HTML. room: for the large answers."""
    blp = Blueprint("archive", "archive", description="Archived tokens.")

    def drawn(token: Entry, width: int) -> mmap | bytes:
        """The picture of a token that has none yet."""
        name = ids.encode(token.id)
        with room.taken(token.size):
            png = pictures.png(name, RULES, archive.get(token.id).svg, width)
        return pictures.kept(name, RULES, width) or png

    @blp.get("/")
    @blp.response(200, schemas.Information)
    def information() -> Response:
        """What this is; a browser gets the archive as a page."""
        answer = page() if wants_page() else jsonify(name=NAME, description=DESCRIPTION, version=VERSION, git_sha=git_sha)
        answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
        return answer

    @blp.get("/token")
    @blp.arguments(schemas.TokenQuery(), location="query")
    @blp.response(200, schemas.Token)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many large tokens at once`")
    def token(query: dict[str, str]) -> Response:
        """One token."""
        found = archive.entry(query.get("id"))
        tag = tag_of(found)
        if unchanged(tag):
            return cached(Response(content_type="application/json"), tag)
        return cached(built(room, found.size, lambda: jsonify(shown(archive.get(found.id)))), tag)

    @blp.get("/svg")
    @blp.arguments(schemas.ImageQuery(), location="query")
    @blp.response(200, content_type="image/svg+xml", description="The SVG's text.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many large tokens at once`")
    def svg(query: dict[str, str]) -> Response:
        """A token's SVG, as an image or for download."""
        found = archive.entry(query.get("id"))
        tag, kind = tag_of(found), "image/svg+xml; charset=utf-8"
        if unchanged(tag):
            answer = Response(content_type=kind)
        else:
            answer = built(room, found.size, lambda: Response(archive.get(found.id).svg, content_type=kind))
        answer.headers["Content-Security-Policy"] = IMAGE_POLICY
        if "download" in query:
            attach(answer, f"token-{ids.encode(found.id)}.svg")
        return cached(answer, tag)

    @blp.get("/png")
    @blp.arguments(schemas.PngQuery(), location="query")
    @blp.response(200, content_type="image/png", description="The token drawn on white.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `width must be one of …`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    @blp.alt_response(501, schema=schemas.ErrorText, description="`png rendering is not available here`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`renderer busy`")
    def png(query: dict[str, str]) -> Response:
        """A token's picture, 2048 pixels wide unless asked otherwise."""
        found = archive.entry(query.get("id"))
        name, width = ids.encode(found.id), read_width(query.get("width"))
        tag = f"{tag_of(found)}-{width}"
        if unchanged(tag):  # who has the picture need not wait for it to be drawn
            return cached(Response(content_type="image/png"), tag)
        picture = pictures.kept(name, RULES, width) or drawn(found, width)
        answer = Response(pieces(picture), content_type="image/png")
        answer.content_length = len(picture)
        if "download" in query:
            attach(answer, f"token-{name}.png")
        return cached(answer, tag)

    @blp.get("/tokens")
    @blp.arguments(schemas.PageQuery(), location="query")
    @blp.response(200, schemas.Page)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`need offset, start_id or end_id`, `count out of range`, …")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many large tokens at once`")
    def tokens(query: dict[str, str]) -> Response:
        """A window of the archive; walk on with `next` as `start_id`, back with `prev` as `end_id`. A large one comes in pieces."""
        names = ("offset", "start_id", "end_id", "count", "newest_first")
        page, newest_first = archive.page(**{name: query.get(name) for name in names})
        around = {
            "total_rows": page.total,
            "offset": page.offset,
            "next": named(page.following),
            "prev": named(page.previous),
            "newest_first": newest_first,
        }
        parts = list(archive.parts(page.rows))
        if len(parts) == 1:
            answer = built(room, size_of(parts[0]), lambda: jsonify(rows=[shown(one) for one in archive.tokens(parts[0])], **around))
        else:
            room.take(size_of(parts[0])).leave()  # refused while an answer can still say so
            answer = Response(in_pieces(archive, room, parts, around), content_type="application/json")
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    @blp.put("/token")
    @blp.response(200, schemas.TokenId)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`required attribute(s) missing`, `invalid json`, `invalid svg: …`")
    @blp.alt_response(401, schema=schemas.ErrorText, description="`invalid auth`, `token not yet active`, `token expired`")
    @blp.alt_response(403, schema=schemas.ErrorText, description="`wrong subject`, `subject expired`")
    @blp.alt_response(413, schema=schemas.ErrorText, description="`body too large`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`too many large tokens at once`")
    @blp.doc(**_ROLE, requestBody={"required": True, "content": {"application/json": {"schema": schemas.NewToken}}})
    def add() -> Response:
        """Archive a token. With an `Idempotency-Key` a repeated request gives the same id."""
        roles.require(request.headers, GENERATOR)
        body = request.get_data(cache=False)
        return built(room, len(body), lambda: jsonify(id=archive.add(body, request.headers.get("Idempotency-Key"))))

    @blp.delete("/token")
    @blp.arguments(schemas.TokenQuery(), location="query")
    @blp.response(200)
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    @blp.doc(**_ROLE)
    def delete(query: dict[str, str]) -> Response:
        """Remove one token (admin)."""
        roles.require(request.headers, ADMIN)
        pictures.forget(ids.encode(archive.delete(query.get("id"))))
        return jsonify({})

    @blp.delete("/tokens")
    @blp.arguments(schemas.ConfirmQuery(), location="query")
    @blp.response(200)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`confirm=all required`")
    @blp.doc(**_ROLE)
    def delete_all(query: dict[str, str]) -> Response:
        """Remove every token (admin); only with `confirm=all`."""
        roles.require(request.headers, ADMIN)
        archive.delete_all(query.get("confirm"))
        pictures.forget()
        return jsonify({})

    return blp


def tag_of(entry: Entry) -> str:
    """Names what is shown of a token: other rules may show it otherwise."""
    return f"{ids.encode(entry.id)}-{RULES}"


def unchanged(tag: str) -> bool:
    """Whether the client has it already, so that nothing needs to be read."""
    return request.if_none_match.contains(tag)


def size_of(entries: list[Entry]) -> int:
    return sum(entry.size for entry in entries)


def built(room: Room, size: int, build: Callable[[], Response]) -> Response:
    """The answer that `build` makes of `size` bytes of text. What is large has room until it is sent. Raises Refusal 503."""
    taken = room.take(size)
    try:
        answer = build()
        taken.shrink(answer.calculate_content_length() or 0)
    except BaseException:
        taken.leave()
        raise
    answer.call_on_close(taken.leave)
    return answer


def pieces(content: mmap | bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), PIECE):
        yield content[begin : begin + PIECE]


def in_pieces(archive: Archive, room: Room, parts: list[list[Entry]], around: dict[str, Any]) -> Iterator[bytes]:
    """The JSON of a page, part by part: none is read before the one before it is sent, and no connection to the store is held meanwhile."""
    yield b'{"rows":['
    comma = b""
    for part in parts:
        with room.taken(size_of(part), STREAM_WAIT_S) as taken:
            rows = compact([shown(token) for token in archive.tokens(part)])[1:-1]
            taken.shrink(len(rows))
            if rows:
                yield comma
                yield rows
                comma = b","
            del rows
    yield b"]," + compact(around)[1:] + b"\n"


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
    """Let anybody keep the answer: a token never changes. Answers 304 when the client has it."""
    answer.headers["Cache-Control"] = IMMUTABLE
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.set_etag(tag)
    answer.make_conditional(request)
    return answer


def attach(answer: Response, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    answer.headers["Content-Type"] = "application/octet-stream"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
