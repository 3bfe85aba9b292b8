"""How calls are signed: as Standard Webhooks say (https://www.standardwebhooks.com/), with the secret of their webhook."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

SecretOf = Callable[[str], str]


class CannotSign(Exception):
    """The secret that a call is to be signed with cannot be had. The text says why."""


def signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Return the `v1,…` of Standard Webhooks: HMAC-SHA-256 over id, timestamp and body.

    A secret `whsec_…` is base64, any other is taken as it is.
    Raises ValueError when it is not base64.
    """
    encoded = secret.removeprefix("whsec_")
    key = secret.encode() if encoded == secret else base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
