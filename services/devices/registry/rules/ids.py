"""Ids as clients see them: 24 hexadecimal digits, as TagoIO's."""

from __future__ import annotations

import re
import secrets

LENGTH = 24
is_id = re.compile(r"[0-9a-f]{24}").fullmatch


def new_id() -> str:
    """Draw an id: 96 random bits."""
    return secrets.token_hex(LENGTH // 2)
