"""XML documents as templates see them, and what they write as XML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.templating.xml_documents import NotXml, read, write

BOMB = b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"<a>x</a>", {"a": "x"}),
        (b"<?xml version='1.0'?><!-- c --><a> x \n</a><!-- c -->", {"a": "x"}),
        (b"<a/>", {"a": ""}),
        (b" ", {"_": ""}),
        (b"<a><b>1</b><b>2</b><b/></a>", {"a": {"b": ["1", "2", ""]}}),
        (b"<a b='1' c='&lt;'/>", {"a": {"-b": "1", "-c": "<"}}),
        (b"<a b='1'>x</a>", {"a": {"-b": "1", "#text": "x"}}),
        (b"<a>x<b/>y<![CDATA[<z>]]></a>", {"a": {"b": "", "#text": "xy<z>"}}),
        (b"<s:a xmlns:s='urn:s' s:t='1'><s:b/></s:a>", {"a": {"-s": "urn:s", "-t": "1", "b": ""}}),
        ("<a>é</a>".encode(), {"a": "é"}),
        ("<a>é</a>".encode("utf-16"), {"a": "é"}),
        (b"<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>", {"a": "€"}),
        (b"<a>&#233;&amp;<![CDATA[<!DOCTYPE]]></a>", {"a": "é&<!DOCTYPE"}),
    ],
)
def test_a_document_is_an_object_of_its_root(document: bytes, found: Any) -> None:
    assert read(document) == found


@pytest.mark.parametrize(
    "document",
    [
        b"x", b"<a>", b"<a></b>", b"<a/><b/>", b"<a>\xff</a>", b"<a>&nbsp;</a>", b"<a b='1' b='2'/>", b"<a>\0</a>",
        b"<a>" * 300 + b"</a>" * 300, b"<?xml version='1.0' encoding='shift_jis'?><a/>", b"<?xml version='1.0' encoding='cp037'?><a/>",
        b"<?xml version='1.0' encoding='none'?><a/>",
    ],
)  # fmt: skip
def test_what_is_not_xml_is_not_read(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(document)


@pytest.mark.parametrize(
    "document",
    [
        BOMB, BOMB.decode().encode("utf-16"), b"\xef\xbb\xbf <?xml version='1.0'?><!-- <a> -->\n" + BOMB, b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://192.0.2.1/">%b;]><a/>',
    ],
)  # fmt: skip
def test_a_document_with_a_dtd_is_not_read(document: bytes) -> None:
    with pytest.raises(ValueError, match="a DTD"):
        read(document)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": "x"}, "<a>x</a>"),
        ({"a": ""}, "<a/>"),
        ({"a": None}, "<a/>"),
        ({"a": {"-b": "1", "#text": "x", "c": [1, 2.0, True]}}, '<a b="1">x<c>1</c><c>2</c><c>true</c></a>'),
        ({"a": {"-b": 1, "-c": "\t\"<"}}, '<a b="1" c="&#9;&quot;&lt;"/>'),
        ({"b": 1, "a": {}}, "<doc><a/><b>1</b></doc>"),
        ({"a": [1, 2]}, "<doc><a>1</a><a>2</a></doc>"),
        ({"a": [{"b": 1}, {}]}, "<a><b>1</b></a><a/>"),
        ({}, "<doc/>"),
        ({"#text": 1, "b": 2}, "<doc>1<b>2</b></doc>"),
        ("x", "<string>x</string>"),
        ([1, True, None, {"a": 1}], "<float64>1</float64><bool>true</bool><a>1</a>"),
        ({"s:a": {"-xmlns:s": "urn:s"}}, '<s:a xmlns:s="urn:s"/>'),
        ({"a": "\r\x00\ud800"}, "<a>&#13;\ufffd\ufffd</a>"),
    ],
)  # fmt: skip
def test_a_value_is_written(value: Any, written: str) -> None:
    assert write(value) == written


@pytest.mark.parametrize(
    "value",
    [{"a><b": 1}, {"": 1}, {"1a": 1}, {"a": {"-b='' c": 1}}, {"a": {"-b": {}}}, {"a": {"#text": [1]}}, {"a b": 1}, {"a:b:c": 1}],
)  # fmt: skip
def test_what_xml_does_not_have_is_not_written(value: Any) -> None:
    with pytest.raises(NotXml):
        write(value)


def test_depth_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(NotXml):
        write(deep)


@given(st.text())
def test_no_text_writes_elements_of_its_own(text: str) -> None:
    root = ElementTree.fromstring(write({"a": {"-b": text, "c": text}}))
    assert [root.tag, list(root.attrib), [one.tag for one in root]] == ["a", ["b"], ["c"]]
    if text.isprintable():
        assert (root.get("b"), root[0].text or "") == (text, text)


_NAMES = st.sampled_from(["a", "b", "c-d", "É"])
_VALUES = st.recursive(
    st.text("xyz<&'\"é", min_size=1),
    lambda inner: st.dictionaries(_NAMES, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    document = {"root": value}
    assert read(write(document).encode()) == document


def test_a_codec_of_a_strangers_choice_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python searches files for a codec, and remembers the name of each that there is not."""
    asked: list[str] = []
    monkeypatch.setattr("encodings._cache", Names(asked))
    with pytest.raises(ValueError, match="encoding"):
        read(b"<?xml version='1.0' encoding='nobody-has-this'?><a/>")
    assert asked == []


class Names(dict[str, Any]):
    """The codecs that Python knows, and which it was asked for."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def get(self, name: str, otherwise: Any = None) -> Any:
        self._asked.append(name)
        return otherwise
