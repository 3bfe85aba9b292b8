"""What clients may have: grants, scopes, ways to name themselves."""

from __future__ import annotations

GRANTS = ("authorization_code", "refresh_token", "client_credentials")
SERVICES = ("sessions", "tokens", "devices", "mobility")  # the services that act for a person; each asks for the scope of its own name
SCOPES = ("openid", "profile", "email", *SERVICES)
SECRET_METHODS = ["client_secret_basic", "client_secret_post"]
METHODS = [*SECRET_METHODS, "none"]
