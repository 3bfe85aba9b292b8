"""Pages that run scripts of their own, wherever the service is mounted: who gets one, where it stands, what it may do."""

from __future__ import annotations

import re

from flask import Response, request

from services.common.pages.negotiation import prefers_html

_ELSEWHERE = ("cross-site", "same-site")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?\Z").match


def wants_page() -> bool:
    """Say whether the client prefers HTML to JSON; a client that takes anything gets JSON."""
    return prefers_html(request.headers.get("Accept", ""))


def root() -> str:
    """Read the path where the service is mounted, without a final slash; empty when nothing stands before its paths."""
    prefix = request.headers.get("X-Forwarded-Prefix", "").rstrip("/")
    return prefix if _PREFIX(prefix) else ""


def cross_site(*hosts: str) -> bool:
    """Say whether the browser tells that a page of another origin sent this. Programs, and old browsers, tell nothing.

    Browsers send Sec-Fetch-Site only with TLS or to their own machine, Origin always. The scheme of Origin may differ from what arrives
    here: TLS may end before the gateway. hosts: with ports, that the service is reached at.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _ELSEWHERE
    origin = request.headers.get("Origin")
    return origin is not None and origin.partition("://")[2] not in hosts


def policy(images: str) -> str:
    """Return the Content-Security-Policy of a page that runs, fetches and sends only what is its own. images: sources of images."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def guarded(answer: Response, policy: str) -> Response:
    """Let a page, or a file of it, do only what the policy says, and tell no other site where it was."""
    answer.headers["Content-Security-Policy"] = policy
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def answer(text: str, policy: str) -> Response:
    """Answer with a rendered page."""
    found = Response(text, content_type="text/html; charset=utf-8")
    found.headers["Cache-Control"] = "no-cache"
    found.headers["Vary"] = "Accept, X-Forwarded-Prefix"
    return guarded(found, policy)
