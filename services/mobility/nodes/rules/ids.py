"""The public ids of nodes, `cdk_id`: made of the layer's name and the id that the creator gave, as the original makes them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.mobility import refusals

LONGEST: Final = 255  # characters of a cdk_id, and of a given id
OSM: Final = "osm"  # the layer whose nodes have OpenStreetMap's ids as they are: `n46419880`

# First parts of paths that are no node's: such a node could not be read.
RESERVED: Final = frozenset(
    {
        "nodes", "layer", "layers", "routes", "ptstops", "ptlines", "regions", "util", "get_session", "release_session", "map", "health",
        "ready", "metrics", "hello", "openapi.json", "static", "pages",
    }
)  # fmt: skip

# Letters and dashes that Unicode does not decompose, with what the original makes of them.
_FOLDED: Final = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "ng",
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    }
)  # fmt: skip
_QUOTES: Final = str.maketrans("", "", "'\"`")
_OTHERS: Final = re.compile(r"[^a-z0-9_]+")
_OF_OSM: Final = re.compile(r"[nwr][0-9]+")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HASH_LENGTH: Final = 22


def text_of(given: object, name: str, where: Mapping[str, Any]) -> str:
    """Return an id or a name as text; numbers may stand in their place. name: of the field. Raises Refusal 422."""
    if isinstance(given, str):
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return str(given)
    raise refusals.invalid(f"'{name}' must be a string or a number", "id-invalid", where)


def of_text(layer: str, text: str, where: Mapping[str, Any]) -> str:
    """Make the cdk_id of a node that a layer creates. text: its given id. Raises Refusal 422."""
    if len(text) > LONGEST:
        raise refusals.invalid(f"An id has at most {LONGEST} characters.", "id-invalid", where)
    if layer == OSM and _OF_OSM.fullmatch(text):
        return text
    found = _fold(text)
    if not found:
        raise refusals.invalid(f"No cdk_id can be made of the id '{text}': it needs a letter or a digit of ASCII.", "id-invalid", where)
    return _checked(f"{layer}.{found}", where)


def of_members(layer: str, cdk_ids: Sequence[str]) -> str:
    """Make the cdk_id of a route that has neither an id nor a name: a hash of its members, MD5 in base 62."""
    number = int.from_bytes(hashlib.md5("".join(cdk_ids).encode(), usedforsecurity=False).digest())
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f"{layer}.{digits.rjust(_HASH_LENGTH, '0')}"


def read(given: object, where: Mapping[str, Any]) -> str:
    """Check a cdk_id that a client names. Raises Refusal 422."""
    if not isinstance(given, str):
        raise refusals.invalid("A cdk_id must be a string.", "cdk-id-invalid", where)
    if len(given) > LONGEST:
        raise refusals.invalid(f"A cdk_id has at most {LONGEST} characters.", "cdk-id-invalid", where)
    return given


def _fold(text: str) -> str:
    text = text.lower().strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_FOLDED)).encode("ascii", "ignore").decode().lower()
    return _OTHERS.sub(".", text.translate(_QUOTES)).strip(".")


def _checked(cdk_id: str, where: Mapping[str, Any]) -> str:
    if len(cdk_id) > LONGEST:
        raise refusals.invalid(f"A cdk_id has at most {LONGEST} characters; '{cdk_id[:LONGEST]}…' is longer.", "cdk-id-invalid", where)
    if cdk_id in RESERVED:
        raise refusals.invalid(f"No node may be called '{cdk_id}': it is a path of the API.", "cdk-id-reserved", where)
    return cdk_id
