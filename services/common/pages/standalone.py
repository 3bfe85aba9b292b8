"""A page in one piece, for a port that has no path of its own to serve a style sheet at: style and icon stand in the page. No Flask."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

_FOLDER = Path(__file__).parent


def page(title: str, content: str, *, brand: str) -> tuple[bytes, str]:
    """(HTML, its Content-Security-Policy). title, brand: texts. content: the HTML of `main`, written by us alone."""
    style = (_FOLDER / "style.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    icon = "data:image/svg+xml;base64," + base64.b64encode((_FOLDER / "icon.svg").read_bytes().strip()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)} – {escape(brand)}</title>
<link rel="icon" type="image/svg+xml" href="{icon}">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><span class="brand"><img src="{icon}" alt="" width="28" height="28">{escape(brand)}</span></header>
<main id="content" tabindex="-1">
<h1>{escape(title)}</h1>
{content}
</main>
</body>
</html>
"""
    return text.encode(), policy
