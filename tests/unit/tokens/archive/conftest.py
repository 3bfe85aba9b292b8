"""Tokens for the tests of the archive."""

from __future__ import annotations

import sqlalchemy as sa

from services.common.database import Database
from services.tokens.archive.rules import svg
from services.tokens.models import Token
from tests.unit.tokens.conftest import API, SVG


def ten(api: API) -> list[str]:
    """Ids of ten tokens, the newest first."""
    made = []
    for _ in range(10):
        api.clock.move(0.5)
        made.append(api.token())
    return made[::-1]


BAD = SVG.replace("<rect", "<script>alert(1)</script><rect onload='x()'")


def age(database: Database, text: str, rules: int = svg.RULES - 1) -> None:
    """Let all tokens be as if they had been archived under other rules."""
    with database.transaction() as session:
        session.execute(sa.update(Token).values(svg=text, rules=rules))


def views(api: API, token: str) -> list[str]:
    """The SVG in every answer that shows it."""
    rows = api.get("/tokens", offset=0, count=5).json["rows"]
    return [api.get("/token", id=token).json["svg"], api.get("/svg", id=token).text, *[row["svg"] for row in rows]]


def sized(size: int) -> str:
    """An SVG of nearly so many bytes, with characters that JSON escapes and such that take several bytes."""
    text = SVG.replace("</svg>", "<text></text></svg>")
    return text.replace("<text>", "<text>" + 'ä"\\\n\t\U0001f600seventeen letters' * ((size - len(text)) // 27))
