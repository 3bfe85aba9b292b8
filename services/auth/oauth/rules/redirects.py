"""Which redirect URIs a client may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

LONGEST = 2000
_LOOPBACK_URI = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PLACE = re.compile(r"[A-Za-z0-9._:\[\]-]*")
_UNSEEN = re.compile(r"[\x00-\x20\x7f\\]")


def problem(uri: str) -> str | None:
    """Say why a redirect URI is refused; None when it is not.

    https; http on this machine only; a private scheme in reverse-domain form (RFC 8252 7.1).
    """
    if len(uri) > LONGEST:
        return f"Longer than {LONGEST} characters."
    if _UNSEEN.search(uri) or not uri.isascii():
        return "Holds a blank, a backslash, a control character or a letter that must be percent-encoded."
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        parts.port  # noqa: B018  reading it is what finds a bad one
    except ValueError:
        return "Not a valid URI."
    if "#" in uri:
        return "Must not have a fragment."
    if "*" in uri:
        return "Must be exact; wildcards are not known."
    if parts.username is not None or parts.password is not None:
        return "Must not hold a user or a password."
    if not _PLACE.fullmatch(parts.netloc):  # the consent page's policy names it: a semicolon would begin another rule
        return "The host holds a character that no host name has."
    if parts.scheme == "https":
        return None if host else "Needs a host."
    if parts.scheme == "http":
        return None if host in _LOOPBACK else "http is for this machine (127.0.0.1, [::1], localhost) only; use https."
    if "." in parts.scheme:
        return None
    return "Must begin with https://, http://127.0.0.1 or a private scheme such as com.example.app:."


def is_registered(uri: str, registered: Sequence[str]) -> bool:
    """Say whether it is one of those, exactly; on a loopback address without the port.

    A program on a person's machine takes a port that is free at that moment (RFC 8252 7.3); whatever listens there runs on that machine.
    """
    return uri in registered or (len(uri) <= LONGEST and _portless(uri) in {_portless(one) for one in registered} - {None})


def _portless(uri: str) -> str | None:
    """Return the URI without its port when its host is a loopback address. Not for `localhost`: that name may lead elsewhere."""
    match = _LOOPBACK_URI.fullmatch(uri)
    return match[1] + match[2] if match else None
