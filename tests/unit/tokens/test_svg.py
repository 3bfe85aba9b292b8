"""What an SVG may hold."""

from __future__ import annotations

import time

import pytest

from services.tokens import svg

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def image(inside: str, attributes: str = "") -> str:
    return f"{HEAD} {attributes}>{inside}</svg>"


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
    image('<use href="//e/x#y"/>'),
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
    image('<set attributeName="href" to="javascript:alert(1)"/>'), image('<animate attributeName="xlink:href" values="http://e"/>'),
    image('<set attributeName="onclick" to="alert(1)"/>'), image('<a ping="http://example.org"/>'), image('<image srcset="http://e 1x"/>'),
    image("<g>" * 200 + "</g>" * 200), image("<g/>" * 100_001),
]  # fmt: skip


@pytest.mark.parametrize("text", SAFE)
def test_safe(text: str) -> None:
    svg.check(text)
    assert svg.neutralised(text) == text


@pytest.mark.parametrize("text", UNSAFE, ids=lambda text: ascii(text)[-60:-8])
def test_unsafe(text: str) -> None:
    with pytest.raises(svg.Unsafe):
        svg.check(text)


@pytest.mark.parametrize("text", UNSAFE, ids=lambda text: ascii(text)[-60:-8])
def test_neutralised_is_safe(text: str) -> None:
    found = svg.neutralised(text)
    svg.check(found)
    assert found.startswith("<svg")


def test_neutralised_keeps_what_is_harmless() -> None:
    inside = '<rect x="1" onclick="a()"/><script>b()</script><g><foreignObject><p>c</p></foreignObject><circle r="2"/></g>'
    text = image(inside + "<text>a &lt; b</text>")
    found = svg.neutralised(text)
    assert '<rect x="1"></rect>' in found and '<circle r="2"></circle>' in found and "a &lt; b" in found
    assert not any(word in found for word in ("onclick", "script", "foreignObject", "<p>", "b()"))


def test_a_large_image_is_checked_in_time() -> None:
    """As many elements as there may be: what looked back at all earlier ones at each would take ten minutes and more."""
    text = image('<path d="M0 0L1 1" style="fill:url(#a);stroke:#000"/>' * (svg.MAX_ELEMENTS - 1))
    started = time.process_time()
    svg.check(text)
    assert time.process_time() - started < 60


@pytest.mark.parametrize("hostile", ["/*" * 250_000, "url(" * 200_000, "url(#" + "a" * 900_000, "u" * 900_000, " " * 900_000])
def test_no_text_takes_long(hostile: str) -> None:
    """A rule that goes back over what it has read would take many minutes for texts of this length."""
    started = time.process_time()
    svg.neutralised(image(f'<rect style="{hostile}"/><style>{hostile}</style>'))
    assert time.process_time() - started < 60
