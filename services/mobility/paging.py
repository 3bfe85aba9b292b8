"""Pages of lists, as the original cuts them. No framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

USUAL: Final = 10
MOST: Final = 1000
_LAST: Final = 2**31  # pages; a store's offset has 64 bits
NOT_COUNTED: Final = "not counted."


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for. number: from 1 on. size: entries."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Entries before it."""
        return (self.number - 1) * self.size


def read(query: Mapping[str, str]) -> Page:
    """Read `page` and `per_page`. What is no number above 0 counts as not given; a size above 1000 is 1000."""
    return Page(min(_number(query.get("page"), 1), _LAST), min(_number(query.get("per_page"), USUAL), MOST))


def _number(text: str | None, usual: int) -> int:
    try:
        number = int(text or "")
    except ValueError:
        return usual
    return number if number > 0 else usual


def head(page: Page, shown: int, *, more: bool, total: int | None) -> dict[str, Any]:
    """Return what an answer says of its page. shown: entries on it. more: there are some after it. total: of all pages, if it was counted.

    Without a count the last page tells the numbers all the same, as in the original. `next_page` is -1 at the end.
    """
    if total is None and not more and (shown or page.number == 1):
        total = page.offset + shown
    pages: Any = NOT_COUNTED if total is None else max(1, -(-total // page.size))
    return {
        "pages": pages,
        "per_page": page.size,
        "record_count": NOT_COUNTED if total is None else total,
        "next_page": page.number + 1 if more else -1,
    }


def next_url(url: str, page: Page) -> str:
    """Return the address of the page after one. url: of the request."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "page"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("page", str(page.number + 1))])))
