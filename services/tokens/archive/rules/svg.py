"""What an SVG may hold, and the one form in which the archive keeps it.

Clients put these texts into their pages as HTML, and browsers open them as XML. So the archive never keeps a text as it was sent. It reads
the text as XML, looks up each element and attribute in a list (`svg_vocabulary.py`), and writes what it accepts in a form that an XML
parser and an HTML parser read to the same tree: SVG elements without prefix, no comment, no CDATA section, no processing instruction, no
DOCTYPE, no entity but `&amp; &lt; &gt; &quot;` and numbers for line ends and tabs.

It refuses what could execute or fetch something (`svg_offences.py`) or hides markup from one of the two parsers. It leaves out what no
browser draws: comments, data of drawing programs, attributes that SVG does not know.

Expat reads, and stops at any DOCTYPE. It hands over one piece after the other, so the tree of the whole is never in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

from services.tokens.archive.rules import svg_offences
from services.tokens.archive.rules.svg_offences import short
from services.tokens.archive.rules.svg_vocabulary import ALLOWED, ANIMATIONS, EDITORS, SVG, TEXT_ONLY, XLINK, XML

RULES = 2  # raise it when these rules become stricter: stored SVGs are then cleaned when they are next read

MAX_DEPTH = 100
MAX_ELEMENTS = 100_000

EMPTY = f'<svg xmlns="{SVG}"/>'

_ARIA = re.compile(r"aria-[a-z]+\Z").match

# a carriage return becomes a line feed: a browser that writes its tree as HTML and reads that again does the same
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "\n"})
_IN_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#10;"})


class Unsafe(Exception):
    """The SVG is refused; the text says why."""


def accepted(text: str) -> str:
    """Write the SVG in the form that the archive keeps. Raises Unsafe with the first thing that is wrong.

    Accepts its own result, and returns it unchanged.
    """
    return _Reader(strict=True).read(text)


def cleaned(text: str) -> str:
    """Write the SVG without what is wrong, for what older rules accepted. Raises Unsafe when the text is not an SVG to its end."""
    try:
        return accepted(text)
    except Unsafe:
        return accepted(_Reader(strict=False).read(text))


class _Reader:
    """Reads a text once and writes it. strict: raise at the first offence; otherwise leave offending parts out."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._out: list[str] = []
        self._path: list[str] = []  # names of open elements
        self._pending = False  # the newest start tag still needs its end: ">" or "/>"
        self._skipping = 0  # depth inside an element that is left out
        self._elements = 0
        self._css: list[str] = []
        self._namespace = ""  # of the root, and so of every element
        self._links = False  # whether an attribute of XLink was written

    def read(self, text: str) -> str:
        """Write the SVG. Raises Unsafe."""
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
        self._offence(f"processing instruction {short(target)}")

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
        if not whole and local in ANIMATIONS:  # half an animation may move something else
            self._skipping += 1
            return
        self._close_tag()
        self._out.append(f"<{local}")
        self._out.extend(kept)
        self._pending = True

    def _left_out(self, uri: str, local: str, prefix: str) -> bool:
        """Whether an element is left out with all that it holds."""
        if uri != self._namespace:
            if uri.startswith(EDITORS) and prefix:
                return True
            return self._offence(f"element {short(local)} of another namespace")
        if local == "metadata":
            return True
        if prefix:
            self._offence(f"element {short(f'{prefix}:{local}')} with a prefix instead of xmlns={short(SVG)}")
        if local not in ALLOWED:
            return self._offence(f"element {short(local)}")
        if self._path and self._path[-1] in TEXT_ONLY:
            return self._offence(f"element {short(local)} in {self._path[-1]}")
        return False

    def _kept(self, element: str, pairs: Iterable[tuple[str, str]]) -> tuple[list[str], bool]:
        """An element's attributes as they are written, and whether none was an offence."""
        kept, whole, allowed = [], True, ALLOWED[element]
        for name, value in pairs:
            uri, local, _ = _split(name)
            why = svg_offences.of_attribute(element, uri, local, value)
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
            why = svg_offences.of_style_sheet(css)
            if why is None:
                self._close_tag()
                self._out.append(css.translate(_IN_TEXT))
            else:
                self._offence(why)
        if name in TEXT_ONLY:
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
