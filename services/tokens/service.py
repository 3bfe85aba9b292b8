"""The archive of tokens: what a request means, before anything is stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from typing import Any, TypeGuard

from services.common.clock import Clock
from services.tokens import ids, refusals, svg
from services.tokens.models import Token
from services.tokens.store import KeyReused, NewToken, Page, TokenStore

COUNT_LIMIT = 250
OFFSET_LIMIT = 2**31
SVG_LIMIT = 1_000_000  # bytes in UTF-8
KEYWORD_LIMIT = 200  # characters

_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z").match
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}\Z").match


class Archive:
    """Tokens: add, find, page through, remove."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, body: bytes, idempotency_key: str | None) -> str:
        """Archive what a generator made; the token's id. Raises Refusal."""
        if idempotency_key is not None and not _KEY(idempotency_key):
            raise refusals.invalid_idempotency_key()
        given = _object(body)
        image, generated, keywords = given.get("svg"), given.get("generated"), given.get("keywords")
        if not (_is_text(image) and _is_moment(generated) and _are_keywords(keywords)):
            raise refusals.attributes_missing()
        if len(image.encode()) > SVG_LIMIT:
            raise refusals.body_too_large()
        try:
            svg.check(image)
        except svg.Unsafe as error:
            raise refusals.invalid_svg(str(error)) from None
        digest = hashlib.sha256(json.dumps([image, generated, keywords]).encode()).hexdigest()
        try:
            number = self._store.add(NewToken(image, generated, keywords, svg.RULES, idempotency_key, digest), self._clock.now())
        except KeyReused:
            raise refusals.idempotency_key_reused() from None
        return ids.encode(number)

    def get(self, token_id: str | None) -> Token:
        """The token of that id. Raises Refusal 400 or 404."""
        number = self.number(token_id)
        token = self._store.get(number)
        if token is None:
            raise refusals.token_not_found()
        return token

    def number(self, token_id: str | None) -> int:
        """The number behind an id. Raises Refusal when it is missing or can be no token's."""
        if not token_id:
            raise refusals.id_missing()
        number = ids.decode(token_id)
        if number is None:
            raise refusals.token_not_found()
        return number

    def delete(self, token_id: str | None) -> int:
        """Remove one token; its number. Raises Refusal."""
        number = self.number(token_id)
        if not self._store.delete(number):
            raise refusals.token_not_found()
        return number

    def delete_all(self, confirm: str | None) -> None:
        if confirm != "all":
            raise refusals.confirm_missing()
        self._store.delete_all()

    def page(
        self, *, offset: str | None, start_id: str | None, end_id: str | None, count: str | None, newest_first: str | None
    ) -> tuple[Page, bool]:
        """The asked window and its order. `offset` wins over `start_id`, that over `end_id`. Raises Refusal."""
        if not (offset or start_id or end_id):
            raise refusals.need_start()
        rows = _whole(count) if count else 1
        if rows is None or not 1 <= rows <= COUNT_LIMIT:
            raise refusals.count_out_of_range()
        order = _order(newest_first)
        if offset:
            start = _whole(offset)
            if start is None or abs(start) > OFFSET_LIMIT:
                raise refusals.offset_out_of_range()
            page = self._store.page_at(start, rows, newest_first=order)
            return (Page(page.rows, page.total, start, page.previous, page.following) if start < 0 else page), order
        number = ids.decode(start_id or end_id or "")
        if number is None:  # no token's id, so nothing begins or ends with it
            return Page([], self._store.total(), 0, None, None), order
        return (self._store.page_from if start_id else self._store.page_to)(number, rows, newest_first=order), order


def shown(token: Token) -> dict[str, Any]:
    """A token as clients see it; an SVG that older rules let in is made safe on the way."""
    return {"id": ids.encode(token.id), "svg": safe_svg(token), "generated": token.generated, "keywords": token.keywords}


def safe_svg(token: Token) -> str:
    return token.svg if token.rules == svg.RULES else svg.neutralised(token.svg)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise refusals.invalid_json() from None
    if not isinstance(given, dict):
        raise refusals.attributes_missing()
    return given


def _is_text(value: Any) -> TypeGuard[str]:
    """A text that both stores can keep (no NUL, no lone surrogate)."""
    if not isinstance(value, str) or not value or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_moment(value: Any) -> TypeGuard[str]:
    if not _is_text(value) or len(value) > 64:
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _are_keywords(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) == 3 and all(_is_text(word) and len(word) <= KEYWORD_LIMIT for word in value)


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE(text) else None


def _order(text: str | None) -> bool:
    if not text:
        return True
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise refusals.invalid_newest_first()
    return words[text.lower()]
