"""Who makes a change, and why: what the history of a definition keeps."""

from __future__ import annotations

from typing import NamedTuple


class Author(NamedTuple):
    """Who makes a change. note: why; "" when the caller did not say."""

    who: str
    note: str = ""
