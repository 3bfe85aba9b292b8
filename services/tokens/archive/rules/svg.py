"""What an SVG may hold, and the one way in which it is written down.

Clients put these texts into their pages as HTML, browsers open them as XML. So a text is never kept as it was sent: it is read as XML, each
element and attribute is looked up in a list, and what was accepted is written anew in a form that an XML parser and an HTML parser read to
the same tree: SVG elements without prefix, no comment, no CDATA section, no processing instruction, no DOCTYPE, no entity but
`&amp; &lt; &gt; &quot;` and numbers for line ends and tabs.

What could execute or fetch something, or hides markup from one of the two parsers, is refused. What no browser draws (comments, data of
drawing programs, attributes that SVG does not know) is left out.

Expat reads, and stops at any DOCTYPE. It hands over one piece after the other, so that no tree of the whole is in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

RULES = 2  # raise it when the rules below become stricter: stored SVGs are then cleaned when they are next read

MAX_DEPTH = 100
MAX_ELEMENTS = 100_000

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"

EMPTY = f'<svg xmlns="{SVG}"/>'


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRESENTATION = _words("""
alignment-baseline baseline-shift clip clip-path clip-rule color color-interpolation color-interpolation-filters color-profile
color-rendering cursor direction display dominant-baseline enable-background fill fill-opacity fill-rule filter flood-color flood-opacity
font font-family font-size font-size-adjust font-stretch font-style font-variant font-weight glyph-orientation-horizontal
glyph-orientation-vertical image-rendering isolation kerning letter-spacing lighting-color marker marker-end marker-mid marker-start mask
mask-type mix-blend-mode opacity overflow paint-order pointer-events shape-rendering solid-color solid-opacity stop-color stop-opacity
stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width text-align
text-anchor text-decoration text-overflow text-rendering transform transform-box transform-origin unicode-bidi vector-effect visibility
white-space word-spacing writing-mode
""")
_EVERYWHERE = PRESENTATION | _words("id class style lang role xml:lang xml:space requiredExtensions requiredFeatures systemLanguage")
_ARIA = re.compile(r"aria-[a-z]+\Z").match

_BOX = "x y width height "
_VIEW = "viewBox preserveAspectRatio "
_HREF = "href xlink:href "
_TIMES = _HREF + "attributeName attributeType begin dur end min max restart repeatCount repeatDur "
_STEPS = _TIMES + "calcMode values keyTimes keySplines from to by additive accumulate "
_PRIMITIVE = _BOX + "result "
_GRADIENT = _HREF + "gradientUnits gradientTransform spreadMethod "
_LETTERS = "x y dx dy rotate textLength lengthAdjust "
_TRANSFER = "type tableValues slope intercept amplitude exponent offset "

# element → the attributes that it may have besides those of every element. Names in mixed case are those that an HTML parser restores
_OWN = {
    "a": _HREF,
    "animate": _STEPS,
    "animateMotion": _STEPS + "path keyPoints rotate origin",
    "animateTransform": _STEPS + "type",
    "circle": "cx cy r pathLength",
    "clipPath": "clipPathUnits",
    "defs": "",
    "desc": "",
    "ellipse": "cx cy rx ry pathLength",
    "feBlend": _PRIMITIVE + "in in2 mode",
    "feColorMatrix": _PRIMITIVE + "in type values",
    "feComponentTransfer": _PRIMITIVE + "in",
    "feComposite": _PRIMITIVE + "in in2 operator k1 k2 k3 k4",
    "feConvolveMatrix": _PRIMITIVE + "in order kernelMatrix divisor bias targetX targetY edgeMode kernelUnitLength preserveAlpha",
    "feDiffuseLighting": _PRIMITIVE + "in surfaceScale diffuseConstant kernelUnitLength",
    "feDisplacementMap": _PRIMITIVE + "in in2 scale xChannelSelector yChannelSelector",
    "feDistantLight": "azimuth elevation",
    "feDropShadow": _PRIMITIVE + "in stdDeviation dx dy",
    "feFlood": _PRIMITIVE,
    "feFuncA": _TRANSFER,
    "feFuncB": _TRANSFER,
    "feFuncG": _TRANSFER,
    "feFuncR": _TRANSFER,
    "feGaussianBlur": _PRIMITIVE + "in stdDeviation edgeMode",
    "feImage": _PRIMITIVE + _HREF + "preserveAspectRatio",
    "feMerge": _PRIMITIVE,
    "feMergeNode": "in",
    "feMorphology": _PRIMITIVE + "in operator radius",
    "feOffset": _PRIMITIVE + "in dx dy",
    "fePointLight": "x y z",
    "feSpecularLighting": _PRIMITIVE + "in surfaceScale specularConstant specularExponent kernelUnitLength",
    "feSpotLight": "x y z pointsAtX pointsAtY pointsAtZ specularExponent limitingConeAngle",
    "feTile": _PRIMITIVE + "in",
    "feTurbulence": _PRIMITIVE + "baseFrequency numOctaves seed stitchTiles type",
    "filter": _BOX + _HREF + "filterUnits primitiveUnits",
    "g": "",
    "image": _BOX + _HREF + "preserveAspectRatio",
    "line": "x1 y1 x2 y2 pathLength",
    "linearGradient": _GRADIENT + "x1 y1 x2 y2",
    "marker": _VIEW + "refX refY markerWidth markerHeight markerUnits orient",
    "mask": _BOX + "maskUnits maskContentUnits",
    "mpath": _HREF,
    "path": "d pathLength",
    "pattern": _BOX + _VIEW + _HREF + "patternUnits patternContentUnits patternTransform",
    "polygon": "points pathLength",
    "polyline": "points pathLength",
    "radialGradient": _GRADIENT + "cx cy r fx fy fr",
    "rect": _BOX + "rx ry pathLength",
    "set": _TIMES + "to",
    "stop": "offset",
    "style": "type media",
    "svg": _BOX + _VIEW + "version baseProfile zoomAndPan",
    "switch": "",
    "symbol": _BOX + _VIEW + "refX refY",
    "text": _LETTERS,
    "textPath": _HREF + "startOffset method spacing side path textLength lengthAdjust",
    "title": "",
    "tspan": _LETTERS,
    "use": _BOX + _HREF,
    "view": _VIEW + "zoomAndPan viewTarget",
}
ALLOWED = {element: _EVERYWHERE | _words(names) for element, names in _OWN.items()}
# an HTML parser leaves SVG inside the first two and may read the third as raw text: they hold text only, and are never self-closed
_TEXT_ONLY = _words("title desc style")
_ANIMATIONS = _words("animate animateMotion animateTransform set")
_ANIMATED = frozenset().union(*(names for element, names in ALLOWED.items() if element not in _ANIMATIONS)) - _words(
    "href xlink:href id style lang role type media xml:lang xml:space"
)
# refused instead of left out, so that the sender learns of it
_FETCHING = _words("srcset ping action formaction manifest background")
# what drawing programs leave behind; always with a prefix
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

# a carriage return becomes a line feed: a browser that writes its tree as HTML and reads that again does the same
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "\n"})
_IN_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#10;"})


class Unsafe(Exception):
    """The SVG is refused; the text says why."""


def accepted(text: str) -> str:
    """The SVG written anew. Raises Unsafe with the first thing that is wrong.

    What this returns, it returns unchanged when it is given it.
    """
    return _Reader(strict=True).read(text)


def cleaned(text: str) -> str:
    """The SVG written anew without what is wrong, for what older rules let in. Raises Unsafe when it is no SVG to its end."""
    try:
        return accepted(text)
    except Unsafe:
        return accepted(_Reader(strict=False).read(text))


class _Reader:
    """One pass over the text. Strict: the first offence raises. Otherwise offending parts are left out."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._out: list[str] = []
        self._path: list[str] = []  # names of open elements
        self._pending = False  # the newest start tag lacks its end: ">" or "/>"
        self._skipping = 0  # depth inside an element that is left out
        self._elements = 0
        self._css: list[str] = []
        self._namespace = ""  # of the root, and so of every element
        self._links = False  # whether an attribute of XLink was written

    def read(self, text: str) -> str:
        """The SVG written anew. Raises Unsafe."""
        parser = expat.ParserCreate("utf-8", " ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = self._comment
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
        links = f' xmlns:xlink="{XLINK}"' if self._links else ""
        self._out[0] = f'<svg xmlns="{SVG}"{links}'
        return "".join(self._out)

    def _offence(self, why: str) -> bool:
        if self._strict:
            raise Unsafe(why)
        return True

    def _doctype(self, *_: Any) -> None:
        raise Unsafe("DOCTYPE and entities are not allowed")

    def _instruction(self, target: str, _: str) -> None:
        self._offence(f"processing instruction {_short(target)}")

    def _comment(self, data: str) -> None:
        if "<" in data or ">" in data:
            self._offence("a comment with < or >")

    def _cdata(self) -> None:
        if not self._skipping and (not self._path or self._path[-1] != "style"):
            self._offence("CDATA outside style")

    def _start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        if len(self._path) >= MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise Unsafe(f"more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")
        uri, local, prefix = _split(name)
        if not self._path:
            if local != "svg" or uri not in (SVG, ""):
                raise Unsafe("the root is not svg")
            self._namespace = uri
        if self._skipping or self._left_out(uri, local, prefix):
            self._skipping += 1
            self._path.append(local)
            return
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        kept, whole = self._kept(local, pairs)
        self._path.append(local)
        if not whole and local in _ANIMATIONS:  # half an animation may move something else
            self._skipping += 1
            return
        self._close_tag()
        self._out.append(f"<{local}")
        self._out.extend(kept)
        self._pending = True

    def _left_out(self, uri: str, local: str, prefix: str) -> bool:
        """Whether an element is passed over with all that it holds."""
        if uri != self._namespace:
            if uri.startswith(_EDITORS) and prefix:
                return True
            return self._offence(f"element {_short(local)} of another namespace")
        if local == "metadata":
            return True
        if prefix:
            self._offence(f"element {_short(f'{prefix}:{local}')} with a prefix instead of xmlns={_short(SVG)}")
        if local not in ALLOWED:
            return self._offence(f"element {_short(local)}")
        if self._path and self._path[-1] in _TEXT_ONLY:
            return self._offence(f"element {_short(local)} in {self._path[-1]}")
        return False

    def _kept(self, element: str, pairs: Iterable[tuple[str, str]]) -> tuple[list[str], bool]:
        """An element's attributes as they are written, and whether none was an offence."""
        kept, whole, allowed = [], True, ALLOWED[element]
        for name, value in pairs:
            uri, local, _ = _split(name)
            why = _attribute_offence(element, uri, local, value)
            if why is not None:
                self._offence(why)
                whole = False
                continue
            written = _written(uri, local)
            if written in allowed or (not uri and _ARIA(local)):
                kept.append(f' {written}="{value.translate(_IN_VALUE)}"')
                self._links = self._links or uri == XLINK
        return kept, whole

    def _text(self, data: str) -> None:
        if self._skipping or not self._path:
            return
        if self._path[-1] == "style":
            self._css.append(data)
            return
        self._close_tag()
        self._out.append(data.translate(_IN_TEXT))

    def _end(self, _: str) -> None:
        name = self._path.pop()
        if self._skipping:
            self._skipping -= 1
            return
        if name == "style":
            css, self._css = "".join(self._css), []
            why = "markup in style" if _MARKUP(css) else _css_offence(css)
            if why is None:
                self._close_tag()
                self._out.append(css.translate(_IN_TEXT))
            else:
                self._offence(why)
        if name in _TEXT_ONLY:
            self._close_tag()
        self._out.append("/>" if self._pending else f"</{name}>")
        self._pending = False

    def _close_tag(self) -> None:
        if self._pending:
            self._out.append(">")
            self._pending = False


def _split(name: str) -> tuple[str, str, str]:
    """Expat's `uri local prefix` as (uri, local, prefix); what is missing is empty."""
    parts = name.split(" ")
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""


def _written(uri: str, local: str) -> str:
    """An attribute's name as it is written; empty in a namespace that is not written at all."""
    if uri == XLINK:
        return f"xlink:{local}"
    if uri == XML:
        return f"xml:{local}"
    return "" if uri else local


def _attribute_offence(element: str, uri: str, local: str, value: str) -> str | None:
    lower = local.lower()
    if lower.startswith("on"):
        return f"event attribute {_short(local)}"
    if uri == XML and lower == "base":
        return "attribute xml:base"
    if lower in ("href", "src"):
        if _LOCAL(value) or (element in ("image", "feImage") and _EMBEDDED(value)):
            return None
        return f"reference {_short(value)} to something outside"
    if lower in _FETCHING:
        return f"attribute {_short(local)}"
    if element in _ANIMATIONS and lower == "attributename" and value.strip() not in _ANIMATED:
        return f"animation of {_short(value)}"
    if uri.startswith(_EDITORS):
        return None  # left out
    if _SCRIPT_URL.search(_SPACE.sub("", value)):
        return f"reference in attribute {_short(local)}"
    return _css_offence(value)


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
