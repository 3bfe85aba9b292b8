"""Finds the keys of an OpenID provider by its issuer (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

_PLACE: Final = "/.well-known/openid-configuration"


def discovered(fetch: Callable[[str], bytes]) -> Callable[[str], bytes]:
    """Return what fetches the set of keys of an issuer. fetch: fetches what a URL answers.

    The provider must name itself as the definition does, to the letter. Its keys may be anywhere, but not on a way that is less safe than
    that to its configuration. Raises ValueError, and what `fetch` raises.
    """

    def of_issuer(issuer: str) -> bytes:
        try:
            configuration = json.loads(fetch(issuer.rstrip("/") + _PLACE))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise ValueError("the configuration of the provider is not JSON") from None
        if not isinstance(configuration, dict):
            raise ValueError("the configuration of the provider is not an object")
        if configuration.get("issuer") != issuer:
            raise ValueError("the configuration is of another issuer; the definition must name it to the letter")
        keys = configuration.get("jwks_uri")
        if not isinstance(keys, str) or not _may_hold_keys(keys, issuer):
            raise ValueError("the configuration has no jwks_uri that can be used: https, or the host of an http issuer")
        return fetch(keys)

    return of_issuer


def _may_hold_keys(url: str, issuer: str) -> bool:
    if not (url.isascii() and url.isprintable()) or " " in url:
        return False
    try:
        parts, own = urlsplit(url), urlsplit(issuer)
        if not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == own.scheme == "http" and parts.hostname == own.hostname)
