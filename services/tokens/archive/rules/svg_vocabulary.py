"""The names of SVG: elements, their attributes, namespaces. What is not here is not written."""

from __future__ import annotations

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"


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
TEXT_ONLY = _words("title desc style")
ANIMATIONS = _words("animate animateMotion animateTransform set")
ANIMATED = frozenset().union(*(names for element, names in ALLOWED.items() if element not in ANIMATIONS)) - _words(
    "href xlink:href id style lang role type media xml:lang xml:space"
)
# what drawing programs leave behind; always with a prefix
EDITORS = (
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
