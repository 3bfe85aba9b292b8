"""What in an SVG could execute or fetch something. Each function says what is wrong, for the sender to read, or None."""

from __future__ import annotations

import re

from services.tokens.archive.rules.svg_vocabulary import ANIMATED, ANIMATIONS, EDITORS, XML

# refused instead of left out, so that the sender learns of it
_FETCHING = frozenset({"srcset", "ping", "action", "formaction", "manifest", "background"})
# ASCII: browsers pass over no other spaces before a `#`, so a no-break space there makes it a reference to another document
_EMBEDDED = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE | re.ASCII).match
_LOCAL = re.compile(r"\s*#[^\s\"'<>\\]*\s*\Z", re.ASCII).match
_URL = re.compile(r"url\s*\(", re.IGNORECASE)
_LOCAL_URL = re.compile(r"url\(\s*([\"']?)#[^\s\"'()<>\\]*\1\s*\)", re.IGNORECASE | re.ASCII)
_FETCHING_CSS = re.compile(r"\\|@import|@namespace|-moz-binding|behavior\s*:|(?:expression|image-set|image|src)\s*\(", re.IGNORECASE)
_SCRIPT_URL = re.compile(r"(?:java|vb|live)script:", re.IGNORECASE)
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
# also what becomes markup when it is decoded once more than it should be
_MARKUP = re.compile(r"<|&[A-Za-z#]").search


def of_attribute(element: str, uri: str, local: str, value: str) -> str | None:
    """Say what is wrong with an attribute, or None. uri: of its namespace; local: its name there."""
    lower = local.lower()
    if lower.startswith("on"):
        return f"event attribute {short(local)}"
    if uri == XML and lower == "base":
        return "attribute xml:base"
    if lower in ("href", "src"):
        if _LOCAL(value) or (element in ("image", "feImage") and _EMBEDDED(value)):
            return None
        return f"reference {short(value)} to something outside"
    if lower in _FETCHING:
        return f"attribute {short(local)}"
    if element in ANIMATIONS and lower == "attributename" and value.strip() not in ANIMATED:
        return f"animation of {short(value)}"
    if uri.startswith(EDITORS):
        return None  # left out
    if _SCRIPT_URL.search(_SPACE.sub("", value)):
        return f"reference in attribute {short(local)}"
    return of_css(value)


def of_style_sheet(css: str) -> str | None:
    """Say what is wrong with the text of a `style` element, or None."""
    return "markup in style" if _MARKUP(css) else of_css(css)


def of_css(css: str) -> str | None:
    """Say what in a style sheet, style attribute or presentation attribute could be fetched or executed, or None."""
    without = css
    if "/*" in without:
        without = re.sub(r"/\*.*?(?:\*/|\Z)", "", without, flags=re.DOTALL)
    found = _FETCHING_CSS.search(css) or _FETCHING_CSS.search(without)
    if found:
        return f"style with {short(found[0])}"
    for text in (css, without):
        if len(_URL.findall(text)) != len(_LOCAL_URL.findall(text)):
            return "style with a url outside"
    return None


def short(text: str) -> str:
    """Quote at most 40 characters of a text, in ASCII."""
    return ascii(text if len(text) <= 40 else text[:40] + "…")
