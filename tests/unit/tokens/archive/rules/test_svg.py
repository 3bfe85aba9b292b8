"""What an SVG may hold, and how it is written down."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from defusedxml import ElementTree
from hypothesis import HealthCheck, given, settings

from services.tokens.archive.rules import svg, svg_vocabulary
from tests.support.svg_attacks import ATTACKS, ELEMENTS, ORDINARY, trees

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def image(inside: str, attributes: str = "") -> str:
    return f"{HEAD} {attributes}>{inside}</svg>"


# let in and written as it was sent
UNCHANGED = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><rect width="4" height="3" fill="#ff6868"/></svg>',
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="#a" xml:space="preserve"/></svg>',
    '<svg xmlns="http://www.w3.org/2000/svg">\n <style>.a { fill: red }</style><title>a &lt; b &amp; c &gt; d "e"</title>\n <g/>\n</svg>',
    '<svg xmlns="http://www.w3.org/2000/svg"><text aria-label="&quot;a&#10;b&#9;c\'" style="fill: url(\'#g\')">a\n\tb</text></svg>',
]

# let in and written otherwise: sent, written between the tags of the root
CHANGED = [
    ("<g></g><title/><style/><desc></desc>", "<g/><title></title><style></style><desc></desc>"),
    ("<g id='a'  class=\"b\" ><!-- words --></g >", '<g id="a" class="b"/>'),
    ("<text>a<!-- words -->b]]&gt;&#65;\u00e4&#228;&#13;\r\n</text>", "<text>ab]]&gt;Aää\n\n</text>"),
    ("<style><![CDATA[.a > .b{}]]> .c{}</style>", "<style>.a &gt; .b{} .c{}</style>"),
    ('<i:grid xmlns:i="http://www.inkscape.org/namespaces/inkscape" i:label="x"><i:x/>text</i:grid><g/>', "<g/>"),
    ('<g xmlns:i="http://www.inkscape.org/namespaces/inkscape" i:label="x" id="y"/>', '<g id="y"/>'),
    ("<metadata><x>text</x></metadata><g/>", "<g/>"),
    ('<g data-x="1" unknown="2" viewbox="3" rx="4" tabindex="5" xml:id="6" xlink:title="7" fill="red"/>', '<g fill="red"/>'),
    ('<g xmlns:x="http://www.w3.org/1999/xlink" x:href="#a"/>', "<g/>"),
    ('<rect xmlns="http://www.w3.org/2000/svg" width="1"/>', '<rect width="1"/>'),
]

SAFE = [
    "<svg/>",
    '<?xml version="1.0" encoding="UTF-8"?>\n<!-- Generator: a program -->\n' + image("<g/>"),
    image('<defs><linearGradient id="g"><stop offset="0"/></linearGradient></defs><rect fill="url(#g)" style="filter: url(\'#f\')"/>'),
    image('<use xlink:href="#x"/><use href=" #x "/><a href="#top"><text>a &lt; b &amp; c</text></a>'),
    image('<image href="data:image/png;base64,iVBORw0KGgo="/>'),
    image("<style>.a { fill: red } /* a comment */</style><style><![CDATA[ .a > .b { fill: url(#g) } ]]></style>"),
    image('<animate attributeName="x" from="0" to="10" dur="1s"/><title>Häuser &amp; Bäume</title>'),
    image('<i:grid xmlns:i="http://www.inkscape.org/namespaces/inkscape" i:label="metadata: x"/>'),
    image('<metadata><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" r:resource="http://example.org"/></metadata>'),
    image('<text aria-label="data: 5" font-family="Online, sans-serif">on</text>'),
]

UNSAFE = [
    "", "text", "<html/>", "<svg>", "<svg/><svg/>", image("<b>"), "<svg>&nbsp;</svg>", "\ufeff", '<svg xmlns="http://www.w3.org/1999/xhtml"/>',
    '<!DOCTYPE svg><svg/>', '<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', '<?xml-stylesheet href="http://example.org"?><svg/>',
    image("<?php echo 1 ?>"),
    image("<script>alert(1)</script>"), image("<SCRIPT/>"), image('<script href="http://example.org"/>'),
    image('<s:script xmlns:s="http://www.w3.org/2000/svg"/>'),
    image('<h:script xmlns:h="http://www.w3.org/1999/xhtml"/>'), image('<h:iframe xmlns:h="http://www.w3.org/1999/xhtml" src="#a"/>'),
    image('<img xmlns="http://www.inkscape.org/namespaces/inkscape" src="#a"/>'), image("<foreignObject/>"),
    image("<iframe/>"), image("<img/>"),
    image("<handler/>"), image("<math/>"), image('<o:x xmlns:o="urn:other"/>'),
    image("", 'onload="alert(1)"'), image('<rect ONCLICK="x"/>'), image('<rect xlink:onclick="x"/>'),
    image('<a href="javascript:alert(1)"/>'), image('<a xlink:href=" java&#10;script:alert(1)"/>'), image('<a href="http://example.org"/>'),
    image('<use href="http://example.org/a.svg#b"/>'), image('<use href="data:image/svg+xml;base64,AAAA#x"/>'),
    image('<use href="//e/x#y"/>'), image('<use href="&#160;#a"/>'), image('<image href="\u2028#a"/>'),
    image('<rect fill="url(\u3000#a)"/>'), image("<style>a { fill: url('\u0085#a') }</style>"),
    image('<image href="http://example.org/a.png"/>'), image('<image href="data:image/svg+xml;base64,AAAA"/>'),
    image('<image href="a.png"/>'),
    image('<feImage href="http://example.org/a.png"/>'), image('<rect fill="url(http://example.org/#a)"/>'), image('<rect xml:base="http://e/"/>'),
    image('<rect style="fill: URL(//example.org)"/>'), image('<rect style="fill: u\\72l(//example.org)"/>'),
    image('<rect style="fill: u/**/rl(//example.org)"/>'), image('<rect style="fill:url( &quot;#a&quot; ) , url(x)"/>'),
    image("<style>@import 'http://example.org';</style>"), image("<style>@im/**/port 'http://example.org';</style>"),
    image("<style>a { background: image-set('http://e' 1x) }</style>"), image("<style>@font-face { src: url(http://e) }</style>"),
    image("<style><![CDATA[</style><img src=x onerror=alert(1)>]]></style>"), image("<style><rect/></style>"),
    image("<title><![CDATA[><img src=x onerror=alert(1)>]]></title>"), image("<title><rect/></title>"), image("<desc><g/></desc>"),
    image("<!--><img src=x onerror=alert(1)>-->"), image("<!---><img src=x onerror=alert(1)>-->"),
    '<s:svg xmlns:s="http://www.w3.org/2000/svg"/>', image('<s:g xmlns:s="http://www.w3.org/2000/svg"/>'),
    image('<g xmlns=""/>'), '<svg><g xmlns="http://www.w3.org/2000/svg"/></svg>',
    image("<!-- a > b -->"), "<!-- < -->" + image(""), image("") + "<!-- > -->", image("<style><!-- <a> --></style>"),
    image("<style>&lt;/style&gt;</style>"), image("<style>&amp;lt;</style>"), image("<style>/* &amp;#60; */</style>"),
    image('<animate attributeName="style" to="x"/>'), image('<set attributeName="id" to="x"/>'),
    image('<animate attributeName="unknown"/>'),
    image('<set attributeName="href" to="javascript:alert(1)"/>'), image('<animate attributeName="xlink:href" values="http://e"/>'),
    image('<set attributeName="onclick" to="alert(1)"/>'), image('<a ping="http://example.org"/>'), image('<image srcset="http://e 1x"/>'),
    image("<g>" * 200 + "</g>" * 200), image("<g/>" * 100_001),
]  # fmt: skip


@pytest.mark.parametrize("text", UNCHANGED)
def test_written_as_it_was_sent(text: str) -> None:
    assert svg.accepted(text) == text


@pytest.mark.parametrize(("sent", "written"), CHANGED)
def test_written_anew(sent: str, written: str) -> None:
    root = '<svg xmlns="http://www.w3.org/2000/svg">'
    assert svg.accepted(image(sent)) == svg.cleaned(image(sent)) == f"{root}{written}</svg>"


def test_a_root_without_namespace_gets_it() -> None:
    assert svg.accepted("<svg><g/></svg>") == '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'


def assert_clean(text: str) -> None:
    """As a parser of somebody else reads it; and nothing that the two kinds of parsers read differently."""
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert not re.search(r"<[!?]|<[^\s>]*:|</[^\s>]*:|\r", text)
    names = {name for tag in re.findall("<[^>]*>", text) for name in re.findall(r'\s([^\s="]+)="[^"]*"', tag)}
    assert {name.rpartition(":")[0] for name in names} <= {"", "xlink", "xml", "xmlns"}
    assert set(re.findall(r"&[^;]*;?", text)) <= {"&amp;", "&lt;", "&gt;", "&quot;", "&#9;", "&#10;"}
    for element in ElementTree.fromstring(text, forbid_dtd=True).iter():
        namespace, name = element.tag[1:].split("}")
        assert namespace == svg_vocabulary.SVG and name in ELEMENTS
        for attribute, value in element.attrib.items():
            assert not attribute.lower().startswith("on")
            assert "href" not in attribute or value.strip(" \t\n").startswith(("#", "data:image/"))
            assert attribute.startswith(("aria-", "{http://www.w3.org/")) or attribute in svg_vocabulary.ALLOWED[name]
        assert name not in ("style", "title", "desc") or len(element) == 0


@pytest.mark.parametrize("text", SAFE)
def test_safe(text: str) -> None:
    found = svg.accepted(text)
    assert_clean(found)
    assert svg.accepted(found) == svg.cleaned(found) == svg.cleaned(text) == found


@pytest.mark.parametrize("text", UNSAFE, ids=lambda text: ascii(text)[-60:-8])
def test_unsafe(text: str) -> None:
    with pytest.raises(svg.Unsafe):
        svg.accepted(text)


@pytest.mark.parametrize("text", [*UNSAFE, *ATTACKS, *ORDINARY], ids=lambda text: ascii(text)[-60:-8])
def test_cleaned_is_safe(text: str) -> None:
    try:
        found = svg.cleaned(text)
    except svg.Unsafe as error:
        found, why = "", str(error)
    if not found:  # no SVG at all
        assert re.search("well-formed|DOCTYPE|root|levels", why)
        return
    assert_clean(found)
    assert svg.accepted(found) == svg.cleaned(found) == found


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(text=trees())
def test_any_tree(text: str) -> None:
    """Nothing that is let in, and nothing that is cleaned, depends on the writer; a second time changes nothing."""
    try:
        found = svg.cleaned(text)
    except svg.Unsafe:
        return
    assert_clean(found)
    assert svg.accepted(found) == svg.cleaned(found) == found
    try:
        assert svg.accepted(text) == found
    except svg.Unsafe:
        pass


def test_names_in_mixed_case_are_those_that_html_restores() -> None:
    """Another name would be in lower case after an HTML parser has read it."""
    restored = """
        attributeName attributeType baseFrequency baseProfile calcMode clipPathUnits diffuseConstant edgeMode filterUnits
        gradientTransform gradientUnits kernelMatrix kernelUnitLength keyPoints keySplines keyTimes lengthAdjust limitingConeAngle
        markerHeight markerUnits markerWidth maskContentUnits maskUnits numOctaves pathLength patternContentUnits patternTransform
        patternUnits pointsAtX pointsAtY pointsAtZ preserveAlpha preserveAspectRatio primitiveUnits refX refY repeatCount
        repeatDur requiredExtensions requiredFeatures specularConstant specularExponent spreadMethod startOffset stdDeviation
        stitchTiles surfaceScale systemLanguage tableValues targetX targetY textLength viewBox viewTarget xChannelSelector
        yChannelSelector zoomAndPan
    """
    names = {name for allowed in svg_vocabulary.ALLOWED.values() for name in allowed}
    assert {name for name in names if name != name.lower()} <= set(restored.split())
    assert set(svg_vocabulary.ALLOWED) == ELEMENTS


def test_cleaned_keeps_what_is_harmless() -> None:
    inside = '<rect x="1" onclick="a()"/><script>b()</script><g><foreignObject><p>c</p></foreignObject><circle r="2"/></g>'
    text = image(inside + "<text>a &lt; b</text>")
    found = svg.cleaned(text)
    assert '<rect x="1"/>' in found and '<circle r="2"/>' in found and "a &lt; b" in found
    assert not any(word in found for word in ("onclick", "script", "foreignObject", "<p>", "b()"))


@pytest.mark.slow
def test_a_large_image_is_checked_in_time() -> None:
    """As many elements as there may be: what looked back at all earlier ones at each would take ten minutes and more."""
    paths = '<path d="M0 0L1 1" style="fill:url(#a);stroke:#000"/>' * (svg.MAX_ELEMENTS - 1)
    text = f'<svg xmlns="http://www.w3.org/2000/svg">{paths}</svg>'
    started = time.process_time()
    assert svg.accepted(text) == text
    assert time.process_time() - started < 60


@pytest.mark.slow
@pytest.mark.parametrize("hostile", ["/*" * 250_000, "url(" * 200_000, "url(#" + "a" * 900_000, "u" * 900_000, " " * 900_000])
def test_no_text_takes_long(hostile: str) -> None:
    """A rule that goes back over what it has read would take many minutes for texts of this length."""
    started = time.process_time()
    text = image(f'<rect style="{hostile}"/><style>{hostile}</style>')
    for read in (svg.accepted, svg.cleaned):
        with contextlib.suppress(svg.Unsafe):
            read(text)
    assert time.process_time() - started < 60
