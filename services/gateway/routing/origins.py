"""Origins of web pages, as browsers send them (`https://app.example:8443`), and the patterns that definitions write of them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_HOST: Final = r"[a-z0-9._-]"
# An origin has a scheme, a host and perhaps a port, and nothing else (RFC 6454, 6.2).
_ORIGIN: Final = re.compile(rf"(?:[a-z][a-z0-9+.-]*://)(?:{_HOST}+|\[[0-9a-f:.]+\])(?::[0-9]+)?").fullmatch
_PRINTABLE: Final = re.compile(r"[!-~]+").fullmatch
_WITHIN: Final = re.compile(rf"(?:[a-z][a-z0-9+.-]*://)?{_HOST}*").fullmatch
_DIGITS: Final = re.compile(r"[0-9]+").fullmatch


class OriginPattern(NamedTuple):
    """before, after: what stands before and after its `*`, in lower case. whole: whether there is none, and `before` is all."""

    before: str
    after: str
    whole: bool

    @property
    def is_wide(self) -> bool:
        """Whether it matches every host."""
        return not self.whole and self.before.endswith("://")

    def matches(self, origin: str) -> bool:
        """Tell whether an origin is one of these. origin: in lower case."""
        before, after, whole = self
        if whole:
            return origin == before
        if len(origin) < len(before) + len(after) or not origin.startswith(before) or not origin.endswith(after):
            return False
        between = origin[len(before) : len(origin) - len(after)]
        if before.endswith(":"):
            return _DIGITS(between) is not None
        return ("://" in before and "/" not in between and ":" not in between) or ("://" not in before and _WITHIN(between) is not None)


# All origins.
ANY: Final = OriginPattern("", "", False)


def origin_pattern(text: str) -> OriginPattern:
    """Read an origin, in which one `*` may stand for a part of the host, or for the port.

    Raises ValueError, also for a `*` that would match the hosts of others.
    """
    lower = text.strip().lower()
    if not _PRINTABLE(lower):
        raise ValueError("must be an origin, such as https://app.example, in ASCII (xn--… for other letters)")
    before, star, after = lower.partition("*")
    if not star:
        return OriginPattern(lower, "", True)
    if lower == "*":
        return ANY
    if "*" in after:
        raise ValueError("only one * is allowed in an origin")
    if before.endswith(":") and not before.endswith("://") and not after:
        return OriginPattern(before, after, False)  # any port
    everywhere = before.endswith("://") and (not after or after.startswith(":"))
    if not everywhere and not (after.startswith(".") and len(after) > 1 and after[1] != ":"):
        raise ValueError(
            f"the * of `{text[:100]}` may match hosts of others: put it before a dot and the rest of the host, or in place of a port"
        )
    return OriginPattern(before, after, False)


def why_never(text: str) -> str:
    """Return why no page has this origin, or what else is probably not meant, in a sentence; "" when nothing is wrong."""
    lower = text.strip().lower()
    if lower == "null":
        return "null is the origin of every sandboxed page, whoever wrote it"
    if lower == "*" or _ORIGIN(lower.replace("*", "1")):
        return ""
    if lower.startswith("*."):
        return ""
    if "://" not in lower:
        return f"no page has this origin: it begins with a scheme, such as https://{lower[:100]}"
    return "no page has this origin: it is a scheme, a host and perhaps a port, without a slash or anything else after it"
