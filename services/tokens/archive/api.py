"""The archive over HTTP: information, tokens, their pictures, paging, adding and removing."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, jsonify, request

from services.common.documented import Blueprint
from services.common.pages import mounted
from services.tokens import web
from services.tokens.access import ADMIN, GENERATOR
from services.tokens.archive import schemas
from services.tokens.archive.rules import ids
from services.tokens.archive.rules.parameters import read_width
from services.tokens.archive.rules.svg import RULES
from services.tokens.archive.rules.tokens import Entry
from services.tokens.archive.service import PIECE
from services.tokens.pages import pages
from services.tokens.schemas import ErrorText
from services.tokens.web import parts

IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

blueprint = Blueprint("archive", __name__, description="Archived tokens.")


@blueprint.get("/")
@blueprint.response(200, schemas.Information)
def information() -> Response:
    """What this is; a browser gets the archive as a page."""
    if mounted.wants_page():
        return pages.archive()
    answer = jsonify(name=web.NAME, description=web.DESCRIPTION, version=web.VERSION, git_sha=parts().settings.git_sha)
    answer.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return answer


@blueprint.get("/token")
@blueprint.arguments(schemas.TokenQuery(), location="query")
@blueprint.response(200, schemas.Token)
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`")
@blueprint.alt_response(404, schema=ErrorText, description="`token not found`")
@blueprint.alt_response(503, schema=ErrorText, description="`too many old tokens at once`")
def token(query: dict[str, str]) -> Response:
    """One token."""
    found = parts().archive.shown(query.get("id"))
    tag = _tag(found)
    pieces = () if web.unchanged(tag) else schemas.token_json(found, parts().archive.svg(found))
    return web.immutable(_answer(pieces, found.size, "application/json"), tag)


@blueprint.get("/svg")
@blueprint.arguments(schemas.ImageQuery(), location="query")
@blueprint.response(200, content_type="image/svg+xml", description="The SVG's text.")
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`")
@blueprint.alt_response(404, schema=ErrorText, description="`token not found`")
@blueprint.alt_response(503, schema=ErrorText, description="`too many old tokens at once`")
def svg(query: dict[str, str]) -> Response:
    """A token's SVG, as an image or for download."""
    found = parts().archive.shown(query.get("id"))
    tag = _tag(found)
    pieces = () if web.unchanged(tag) else parts().archive.svg(found)
    answer = _answer(pieces, found.size, "image/svg+xml; charset=utf-8")
    if answer.is_streamed:
        answer.content_length = found.size
    answer.headers["Content-Security-Policy"] = IMAGE_POLICY
    if "download" in query:
        web.attach(answer, f"token-{ids.encode(found.id)}.svg")
    return web.immutable(answer, tag)


@blueprint.get("/png")
@blueprint.arguments(schemas.PngQuery(), location="query")
@blueprint.response(200, content_type="image/png", description="The token drawn on white.")
@blueprint.alt_response(400, schema=ErrorText, description="`id missing`, `width must be one of …`")
@blueprint.alt_response(404, schema=ErrorText, description="`token not found`")
@blueprint.alt_response(501, schema=ErrorText, description="`png rendering is not available here`")
@blueprint.alt_response(503, schema=ErrorText, description="`renderer busy`")
def png(query: dict[str, str]) -> Response:
    """A token's picture, 2048 pixels wide unless asked otherwise."""
    found = parts().archive.entry(query.get("id"))
    width = read_width(query.get("width"))
    tag = f"{_tag(found)}-{width}"
    if web.unchanged(tag):  # who has the picture need not wait for it to be drawn
        return web.immutable(Response(content_type="image/png"), tag)
    answer = web.answer_from_memory(parts().archive.picture(found, width), "image/png")
    if "download" in query:
        web.attach(answer, f"token-{ids.encode(found.id)}.png")
    return web.immutable(answer, tag)


@blueprint.get("/tokens")
@blueprint.arguments(schemas.PageQuery(), location="query")
@blueprint.response(200, schemas.Page)
@blueprint.alt_response(400, schema=ErrorText, description="`need offset, start_id or end_id`, `count out of range`, …")
@blueprint.alt_response(503, schema=ErrorText, description="`too many old tokens at once`")
def tokens(query: dict[str, str]) -> Response:
    """A window of the archive; walk on with `next` as `start_id`, back with `prev` as `end_id`. A large one comes in pieces."""
    page = parts().archive.page(**query)
    size = sum(entry.size for entry in page.rows)
    answer = _answer(schemas.page_json(page, parts().archive.svgs(page.rows)), size, "application/json")
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@blueprint.put("/token")
@blueprint.response(200, schemas.TokenId)
@blueprint.alt_response(400, schema=ErrorText, description="`required attribute(s) missing`, `invalid json`, `invalid svg: …`")
@blueprint.alt_response(401, schema=ErrorText, description="`invalid auth`, `token not yet active`, `token expired`")
@blueprint.alt_response(403, schema=ErrorText, description="`wrong subject`, `subject expired`")
@blueprint.alt_response(413, schema=ErrorText, description="`body too large`")
@blueprint.doc(**web.ROLE, requestBody={"required": True, "content": {"application/json": {"schema": schemas.NewToken}}})
def add() -> Response:
    """Archive a token. With an `Idempotency-Key` a repeated request gives the same id."""
    web.require(GENERATOR)
    return jsonify(id=parts().archive.add(request.get_data(cache=False), request.headers.get("Idempotency-Key")))


@blueprint.delete("/token")
@blueprint.arguments(schemas.TokenQuery(), location="query")
@blueprint.response(200)
@blueprint.alt_response(404, schema=ErrorText, description="`token not found`")
@blueprint.doc(**web.ROLE)
def delete(query: dict[str, str]) -> Response:
    """Remove one token (admin)."""
    web.require(ADMIN)
    parts().archive.remove(query.get("id"))
    return jsonify({})


@blueprint.delete("/tokens")
@blueprint.arguments(schemas.ConfirmQuery(), location="query")
@blueprint.response(200)
@blueprint.alt_response(400, schema=ErrorText, description="`confirm=all required`")
@blueprint.doc(**web.ROLE)
def delete_all(query: dict[str, str]) -> Response:
    """Remove every token (admin); only with `confirm=all`."""
    web.require(ADMIN)
    parts().archive.remove_all(query.get("confirm"))
    return jsonify({})


def _tag(entry: Entry) -> str:
    """The ETag of what is shown of a token: other rules may show it otherwise."""
    return f"{ids.encode(entry.id)}-{RULES}"


def _answer(pieces: Iterable[bytes], size: int, content_type: str) -> Response:
    """An answer with about `size` bytes of SVGs: a small one whole, a large one in parts."""
    return (web.answer_whole if size <= PIECE else web.answer_in_parts)(pieces, content_type)
