"""The archive over HTTP: information, tokens, their pictures, paging, adding and removing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request
from flask_smorest import Blueprint

from services.tokens import ids, refusals, schemas
from services.tokens.browser import wants_page
from services.tokens.clients import RoleTokens
from services.tokens.pictures import DEFAULT_WIDTH, WIDTHS, Pictures
from services.tokens.service import Archive, safe_svg, shown

NAME = "Tokens for Climate Care API"
DESCRIPTION = "Access archived tokens and the interaction queue of the installation."
VERSION = "1.0.3"

ADMIN: frozenset[str] = frozenset()  # `admin` passes everywhere
GENERATOR = frozenset({"generator"})

IMMUTABLE = "public, max-age=31536000, immutable"
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
# documented by hand: these answers are no JSON, or written without a schema for speed
_ROLE: dict[str, Any] = {"security": [{"role": []}]}


def blueprint(archive: Archive, pictures: Pictures, roles: RoleTokens, page: Callable[[], Response], git_sha: str) -> Blueprint:
    """The routes of the archive. page: answers at `/` who prefers HTML."""
    blp = Blueprint("archive", "archive", description="Archived tokens.")

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
    def token(query: dict[str, str]) -> Response:
        """One token."""
        found = archive.get(query.get("id"))
        return cached(jsonify(shown(found)), f"{ids.encode(found.id)}-{found.rules}")

    @blp.get("/svg")
    @blp.arguments(schemas.ImageQuery(), location="query")
    @blp.response(200, content_type="image/svg+xml", description="The SVG's text.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    def svg(query: dict[str, str]) -> Response:
        """A token's SVG, as an image or for download."""
        found = archive.get(query.get("id"))
        name = ids.encode(found.id)
        answer = Response(safe_svg(found), content_type="image/svg+xml; charset=utf-8")
        answer.headers["Content-Security-Policy"] = IMAGE_POLICY
        if "download" in query:
            attach(answer, f"token-{name}.svg")
        return cached(answer, f"{name}-{found.rules}")

    @blp.get("/png")
    @blp.arguments(schemas.PngQuery(), location="query")
    @blp.response(200, content_type="image/png", description="The token drawn on white.")
    @blp.alt_response(400, schema=schemas.ErrorText, description="`id missing`, `width must be one of …`")
    @blp.alt_response(404, schema=schemas.ErrorText, description="`token not found`")
    @blp.alt_response(501, schema=schemas.ErrorText, description="`png rendering is not available here`")
    @blp.alt_response(503, schema=schemas.ErrorText, description="`renderer busy`")
    def png(query: dict[str, str]) -> Response:
        """A token's picture, 2048 pixels wide unless asked otherwise."""
        found = archive.get(query.get("id"))
        name, width = ids.encode(found.id), read_width(query.get("width"))
        tag = f"{name}-{found.rules}-{width}"
        if request.if_none_match.contains(tag):  # who has the picture need not wait for it to be drawn
            return cached(Response(content_type="image/png"), tag)
        answer = Response(pictures.png(name, found.rules, safe_svg(found), width), content_type="image/png")
        if "download" in query:
            attach(answer, f"token-{name}.png")
        return cached(answer, tag)

    @blp.get("/tokens")
    @blp.arguments(schemas.PageQuery(), location="query")
    @blp.response(200, schemas.Page)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`need offset, start_id or end_id`, `count out of range`, …")
    def tokens(query: dict[str, str]) -> Response:
        """A window of the archive; walk on with `next` as `start_id`, back with `prev` as `end_id`."""
        names = ("offset", "start_id", "end_id", "count", "newest_first")
        page, newest_first = archive.page(**{name: query.get(name) for name in names})
        answer = jsonify(
            rows=[shown(row) for row in page.rows],
            total_rows=page.total,
            offset=page.offset,
            next=named(page.following),
            prev=named(page.previous),
            newest_first=newest_first,
        )
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    @blp.put("/token")
    @blp.response(200, schemas.TokenId)
    @blp.alt_response(400, schema=schemas.ErrorText, description="`required attribute(s) missing`, `invalid json`, `invalid svg: …`")
    @blp.alt_response(401, schema=schemas.ErrorText, description="`invalid auth`, `token not yet active`, `token expired`")
    @blp.alt_response(403, schema=schemas.ErrorText, description="`wrong subject`, `subject expired`")
    @blp.alt_response(413, schema=schemas.ErrorText, description="`body too large`")
    @blp.doc(**_ROLE, requestBody={"required": True, "content": {"application/json": {"schema": schemas.NewToken}}})
    def add() -> Response:
        """Archive a token. With an `Idempotency-Key` a repeated request gives the same id."""
        roles.require(request.headers, GENERATOR)
        return jsonify(id=archive.add(request.get_data(), request.headers.get("Idempotency-Key")))

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
