"""What an SVG may hold: shapes, text, gradients, filters, local references. Nothing that a browser could execute or fetch.

Clients put these texts into their pages as they are, so the check must hold for an XML parser and for an HTML parser that reads the same
text: only known elements, no DOCTYPE, no processing instruction, no comment that the two read differently.

`check` refuses, `neutralised` removes: the first for what comes in, the second for what older rules let in.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

RULES = 1  # raise it when the rules below become stricter: stored SVGs are then neutralised on the way out

MAX_DEPTH = 100
MAX_ELEMENTS = 100_000
EMPTY = '<svg xmlns="http://www.w3.org/2000/svg"/>'

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"

_ALLOWED = """
a animate animateMotion animateTransform circle clipPath defs desc ellipse feBlend feColorMatrix feComponentTransfer feComposite
feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur
feImage feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence filter g image line
linearGradient marker mask metadata mpath path pattern polygon polyline radialGradient rect set stop style svg switch symbol text
textPath title tspan use view
"""
ELEMENTS = frozenset(_ALLOWED.split())
# where an HTML parser leaves SVG and reads HTML: text only
_TEXT_ONLY = frozenset({"title", "desc", "style"})
_ANIMATIONS = frozenset({"animate", "animateMotion", "animateTransform", "set"})
# what drawing programs leave behind; never HTML, and always with a prefix, so that an HTML parser does not know it either
_EDITORS = (
    "http://sodipodi.sourceforge.net/",
    "http://www.inkscape.org/",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://creativecommons.org/ns#",
    "http://web.resource.org/cc/",
    "http://purl.org/dc/",
    "http://ns.adobe.com/",
    "http://www.bohemiancoding.com/",
    "http://www.serif.com/",
)
_EMBEDDED = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*\Z", re.IGNORECASE).match
_LOCAL = re.compile(r"\s*#[^\s\"'<>\\]*\s*\Z").match
_URL = re.compile(r"url\s*\(", re.IGNORECASE)
_LOCAL_URL = re.compile(r"url\(\s*([\"']?)#[^\s\"'()<>\\]*\1\s*\)", re.IGNORECASE)
_FETCHING_CSS = re.compile(r"\\|@import|@namespace|-moz-binding|behavior\s*:|(?:expression|image-set|image|src)\s*\(", re.IGNORECASE)
_SCRIPT_URL = re.compile(r"(?:java|vb|live)script:", re.IGNORECASE)
_SPACE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")


class Unsafe(Exception):
    """The SVG is refused; the text says why."""


def check(text: str) -> None:
    """Raises Unsafe with the first thing that is wrong."""
    _Reader(strict=True).read(text)


def neutralised(text: str) -> str:
    """The text itself when it is safe, else one without what is not; an empty image when it is no SVG at all."""
    try:
        check(text)
        return text
    except Unsafe:
        pass
    reader = _Reader(strict=False)
    try:
        reader.read(text)
        rebuilt = "".join(reader.out)
        check(rebuilt)
    except Unsafe:
        return EMPTY
    return rebuilt


class _Reader:
    """One pass over the text. Strict: the first offence raises. Otherwise offending parts are left out of `out`."""

    def __init__(self, *, strict: bool) -> None:
        self.out: list[str] = []
        self._strict = strict
        self._path: list[str] = []  # open elements by the name they are written with
        self._kinds: list[str] = []  # their local names, "" for those of editors
        self._skipping = 0  # depth inside an element that is left out
        self._elements = 0
        self._css: list[str] = []
        self._declared: list[tuple[str, str]] = []

    def read(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8", " ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = self._comment
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartCdataSectionHandler = self._cdata
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            raise Unsafe(f"not well-formed XML: {expat.ErrorString(error.code)} in line {error.lineno}") from None
        except (UnicodeError, ValueError):
            raise Unsafe("not well-formed XML") from None

    def _offence(self, why: str) -> bool:
        if self._strict:
            raise Unsafe(why)
        return True

    def _doctype(self, *_: Any) -> None:
        raise Unsafe("DOCTYPE and entities are not allowed")

    def _instruction(self, target: str, _: str) -> None:
        self._offence(f"processing instruction {_short(target)}")

    def _comment(self, data: str) -> None:
        if data.startswith((">", "->")):
            self._offence("a comment that an HTML parser ends elsewhere")

    def _cdata(self) -> None:
        if not self._kinds or self._kinds[-1] != "style":
            self._offence("CDATA outside style")

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        self._declared.append((prefix or "", uri or ""))

    def _start(self, name: str, attributes: list[str]) -> None:
        declared, self._declared = self._declared, []
        self._elements += 1
        if len(self._path) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise Unsafe(f"more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")
        uri, local, prefix = _split(name)
        if not self._path and (local != "svg" or uri not in (SVG, "")):
            raise Unsafe("the root is not svg")
        self._path.append(f"{prefix}:{local}" if prefix else local)
        self._kinds.append(local if uri in (SVG, "") else "")
        if self._skipping or self._refused(uri, local, prefix):
            self._skipping += 1
            return
        kept = []
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        for attribute, value in pairs:
            why = _attribute_offence(local, attribute, value)
            if why is None:
                kept.append((attribute, value))
            else:
                self._offence(why)
        if not self._strict:
            if self._kinds[-1] in _ANIMATIONS and len(kept) < len(pairs):  # half an animation may move something else
                self._skipping += 1
                return
            self._write_start(declared, kept)

    def _refused(self, uri: str, local: str, prefix: str) -> bool:
        if uri not in (SVG, ""):
            if uri.startswith(_EDITORS) and prefix:
                return False
            return self._offence(f"element {_short(local)} of another namespace")
        if local not in ELEMENTS:
            return self._offence(f"element {_short(local)}")
        if len(self._kinds) > 1 and self._kinds[-2] in _TEXT_ONLY:
            return self._offence(f"element {_short(local)} in {self._kinds[-2]}")
        return False

    def _text(self, data: str) -> None:
        if self._skipping or not self._kinds:
            return
        if self._kinds[-1] == "style":
            self._css.append(data)
        elif not self._strict:
            self.out.append(escape(data))

    def _end(self, _: str) -> None:
        name, kind = self._path.pop(), self._kinds.pop()
        if self._skipping:
            self._skipping -= 1
            return
        if kind == "style":
            css, self._css = "".join(self._css), []
            why = "markup in style" if "<" in css else _css_offence(css)
            if why is not None:
                self._offence(why)
            elif not self._strict:
                self.out.append(escape(css))
        if not self._strict:
            self.out.append(f"</{name}>")

    def _write_start(self, declared: list[tuple[str, str]], attributes: list[tuple[str, str]]) -> None:
        parts = [self._path[-1]]
        for prefix, uri in declared:
            parts.append((f"xmlns:{prefix}" if prefix else "xmlns") + "=" + quoteattr(uri))
        for attribute, value in attributes:
            _, local, prefix = _split(attribute)
            parts.append((f"{prefix}:{local}" if prefix else local) + "=" + quoteattr(value))
        self.out.append("<" + " ".join(parts) + ">")


def _split(name: str) -> tuple[str, str, str]:
    """Expat's `uri local prefix` as (uri, local, prefix); what is missing is empty."""
    parts = name.split(" ")
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""


def _attribute_offence(element: str, name: str, value: str) -> str | None:
    uri, local, _ = _split(name)
    lower = local.lower()
    if lower.startswith("on"):
        return f"event attribute {_short(local)}"
    if uri == XML and lower == "base":
        return "attribute xml:base"
    if lower in ("href", "src"):
        if _LOCAL(value) or (element in ("image", "feImage") and _EMBEDDED(value)):
            return None
        return f"reference {_short(value)} to something outside"
    if lower in ("srcset", "ping", "action", "formaction", "manifest", "background"):
        return f"attribute {_short(local)}"
    if element in _ANIMATIONS and lower == "attributename" and _animates_reference(value):
        return f"animation of {_short(value)}"
    if uri.startswith(_EDITORS):
        return None  # data of drawing programs: no browser looks at it
    if _SCRIPT_URL.search(_SPACE.sub("", value)):
        return f"reference in attribute {_short(local)}"
    return _css_offence(value)


def _animates_reference(value: str) -> bool:
    target = value.strip().lower().rpartition(":")[2]
    return target.startswith("on") or target in ("href", "src", "base")


def _css_offence(css: str) -> str | None:
    """What in a style sheet, style attribute or presentation attribute could be fetched or executed."""
    without = css
    if "/*" in without:
        without = re.sub(r"/\*.*?(?:\*/|\Z)", "", without, flags=re.DOTALL)
    found = _FETCHING_CSS.search(css) or _FETCHING_CSS.search(without)
    if found:
        return f"style with {_short(found[0])}"
    for text in (css, without):
        if len(_URL.findall(text)) != len(_LOCAL_URL.findall(text)):
            return "style with a url outside"
    return None


def _short(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")
