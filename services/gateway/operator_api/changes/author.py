"""Who makes a change, and why: what the history of a definition keeps."""

from __future__ import annotations

from typing import NamedTuple


class Author(NamedTuple):
    """note: why; "" = not said."""

    who: str
    note: str = ""
