"""The settings of a service that asks auth."""

from __future__ import annotations

from typing import Any

from services.common.settings import parse_url, setting


def url_setting() -> Any:
    """Declare the setting that says where auth is."""
    return setting(
        "http://127.0.0.1:8101", env="AUTH_URL", help="The auth service, which knows who is calling.", parse=parse_url("http", "https")
    )


def issuer_setting() -> Any:
    """Declare the setting that says what auth calls itself in its tokens."""
    return setting("http://127.0.0.1:8080/auth", env="AUTH_ISSUER", help="`iss` of the auth service's tokens.")


def secret_setting() -> Any:
    """Declare the service's own secret at auth; the field's name must be `auth_secret`."""
    return setting(None, secret=True, help="This service's secret at the auth service (see AUTH_SERVICE_CLIENTS).")
