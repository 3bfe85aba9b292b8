"""XML documents as the objects that templates see, and objects as XML, in the form that Tyk gives them (its library is mxj).

`<a b="1"><c>x</c><c>y</c></a>` is `{"a": {"-b": "1", "c": ["x", "y"]}}`: an element is its text, or an object when it has attributes
(`-NAME`) or elements in it; its own text is then `#text`. Elements of one name are a list. Names lose their namespace's prefix, texts the
white space around them; all values are texts. Differs from Tyk: pieces of text between elements are joined, and never put away what
stands beside them.

A document that has a DTD is not read, so there are no entities of its own, neither in it nor elsewhere (SOAP does without them as well).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.parsers import expat

_DEEPEST: Final = 200
_SPACE: Final = "\t\r\b\n "
# Others than expat's own are looked up among Python's codecs, which searches files and remembers each name for ever.
_ENCODING: Final = re.compile(r"utf-8|us-ascii|(?:iso[-_]8859-|latin-?)\d{1,2}|(?:windows-|cp)125\d|koi8-[ru]", re.IGNORECASE).fullmatch
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What may stand before the root, and the DTD. Once expat has begun with one, it reads on to the end, whatever a handler says.
_WITH_DTD: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?(?:(?!\?>).)*+\?>|<!--(?:(?!-->).)*+-->)*+<!DOCTYPE", re.DOTALL).match
# XML 1.0, 2.3, with at most one colon.
_START: Final = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf"
    "\ufdf0-\ufffd\U00010000-\U000effff"
)
_PART: Final = f"[{_START}][{_START}\\-.0-9\xb7\u0300-\u036f\u203f\u2040]*"
_NAME: Final = re.compile(f"{_PART}(?::{_PART})?").fullmatch
# What no XML document holds, not even as a reference (XML 1.0, 2.2).
_UNSENDABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"})
_ESCAPES_IN_ATTRIBUTES: Final = {**_ESCAPES, ord("\n"): "&#10;", ord("\t"): "&#9;"}


def read(body: bytes) -> dict[str, Any]:
    """Return a document as an object of its root, an empty body as one whose root is `_`.

    Encodings: UTF-8, UTF-16 with a mark, and those that the document names of US-ASCII, ISO 8859, Windows-125x and KOI8. Raises ValueError.
    """
    if not body.strip():
        return {"_": ""}
    encoding = None
    if body.startswith(_UTF_16):
        body, encoding = body.decode("utf-16").encode(), "utf-8"
    if b"\0" in body:
        raise ValueError("a NUL")
    if _WITH_DTD(body):
        raise ValueError("a DTD")
    return _Reading(encoding).of(body)


class _Reading:
    """One document on its way. An element is kept as its members and the pieces of its text until it ends."""

    def __init__(self, encoding: str | None) -> None:
        self._open: list[tuple[dict[str, Any], list[str]]] = [({}, [])]
        self._parser = parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse
        if encoding is None:
            parser.XmlDeclHandler = _declared

    def of(self, body: bytes) -> dict[str, Any]:
        try:
            self._parser.Parse(body, True)
        except (expat.ExpatError, LookupError) as error:
            raise ValueError(str(error)) from None
        return self._open[0][0]

    def _start(self, name: str, attributes: Sequence[str]) -> None:
        if len(self._open) > _DEEPEST:
            raise ValueError("nested too deeply")
        members = {f"-{_local(key)}": value for key, value in zip(attributes[::2], attributes[1::2], strict=True)}
        self._open.append((members, []))

    def _text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def _end(self, name: str) -> None:
        members, pieces = self._open.pop()
        text = "".join(pieces).strip(_SPACE)
        if members and text:
            members["#text"] = text
        around, key, value = self._open[-1][0], _local(name), members or text
        if key not in around:
            around[key] = value
        elif isinstance(around[key], list):
            around[key].append(value)
        else:
            around[key] = [around[key], value]


def _refuse(*declaration: Any) -> None:
    raise ValueError("a DTD")


def _declared(version: str, encoding: str | None, standalone: int) -> None:
    if encoding is not None and not _ENCODING(encoding):
        raise ValueError("an encoding that is not read")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class NotXml(ValueError):
    """A value cannot be written as XML. The text says what is in the way."""


class Xml(str):
    """A text that is XML. steps: how many values were gone through to write it."""

    steps = 0


def write(value: Any) -> Xml:
    """Return a value as XML: an object of one member as the element of that name, any other as `<doc>`. Raises NotXml.

    Texts, numbers and truth values that stand alone, or in a list, have the names of their types in Go, as in Tyk.
    """
    writing = _Writing()
    for one in value if isinstance(value, list) else [value]:
        writing.whole(one)
    written = Xml("".join(writing.parts))
    written.steps = writing.steps
    return written


class _Writing:
    """parts: what is written. steps: as of `Xml`."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.steps = 0

    def whole(self, value: Any) -> None:
        if isinstance(value, Mapping):
            members = dict(value)
            only = next(iter(members.values())) if len(members) == 1 else []
            alone = len(members) == 1 and (not isinstance(only, list) or all(isinstance(one, Mapping) for one in only))
            self._element(next(iter(members)) if alone else "doc", only if alone else members, 0)
        elif value is not None:
            kind = "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "float64"
            self._element(kind, value, 0)

    def _element(self, name: str, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise NotXml("nested too deeply")
        self.steps += 1
        if isinstance(value, list):
            for one in value:
                self._element(name, one, depth + 1)
            return
        _check(name)
        if isinstance(value, Mapping):
            self._object(name, value, depth)
            return
        text = escaped(_text(value))
        self.parts.append(f"<{name}>{text}</{name}>" if text else f"<{name}/>")

    def _object(self, name: str, members: Mapping[str, Any], depth: int) -> None:
        self.parts.append(f"<{name}")
        inner = []
        for key, value in sorted(members.items()):
            if key.startswith("-"):
                self.steps += 1
                _check(key[1:])
                self.parts.append(f' {key[1:]}="{_sendable(_text(value)).translate(_ESCAPES_IN_ATTRIBUTES)}"')
            else:
                inner.append((key, value))
        self.parts.append(">" if inner else "/>")
        for key, value in inner:
            if key == "#text":
                self.steps += 1
                self.parts.append(escaped(_text(value)))
            else:
                self._element(key, value, depth + 1)
        if inner:
            self.parts.append(f"</{name}>")


def escaped(text: str) -> str:
    """Return a text as it may stand in an element or an attribute."""
    return _sendable(text).translate(_ESCAPES)


def _sendable(text: str) -> str:
    return _UNSENDABLE.sub("\ufffd", text)


def _check(name: str) -> None:
    """Raise NotXml for what is not a name: in it, a client could write elements of its own."""
    if not _NAME(name):
        raise NotXml("a name that XML does not have")


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list):
        raise NotXml("an object where a text is expected")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
