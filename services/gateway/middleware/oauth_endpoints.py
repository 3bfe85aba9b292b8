"""Hands requests to the OAuth2 endpoints of an API over to `oauth/`: where clients get tokens, below the API's own listen path.

They are `oauth/authorize/`, `oauth/token/`, `oauth/revoke/`, `oauth/revoke_all/` and `tyk/oauth/authorize-client/`, with or without the
slash at the end; where the URL names a version, below the version. They need no key. Path lists do not count for them.

Fields:
* `oauth_meta.allowed_access_types` (1.3): The grants by which clients get tokens: `authorization_code`, `refresh_token`,
  `client_credentials`. Differs: `password` has no effect; PKCE works for every code.
* `oauth_meta.allowed_authorize_types` (1.3): What clients may ask a user for: `code`, `token`.
* `oauth_meta.auth_login_redirect` (1.3): The page where users log in; clients send them there through `oauth/authorize/`.
* `notifications.oauth_on_keychange_url` (1.3): Is told of every new token by a POST. Differs: Calls are repeated for a day, as those of
  webhooks.
* `notifications.shared_secret` (1.3): Goes with these calls, in the header `X-Tyk-Shared-Secret`.
Refusals: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions import values
from services.gateway.definitions.checking import checked
from services.gateway.definitions.reader import Mistake
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, HandedOver
from services.gateway.ports import Ports

PATHS: Final = frozenset({
    "/oauth/authorize", "/oauth/token", "/oauth/revoke", "/oauth/revoke_all", "/tyk/oauth/authorize-client",
})  # fmt: skip
ACCESS_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials")
AUTHORIZE_TYPES: Final = ("code", "token")
# Tyk has them, too.
_KNOWN_ACCESS_TYPES: Final = (*ACCESS_TYPES, "password", "implicit")


@dataclass(frozen=True, slots=True)
class Spec:
    """access_types, authorize_types: those that are allowed. login: the page where users log in, "" = none. notify: the URL, "" = none."""

    access_types: frozenset[str]
    authorize_types: frozenset[str]
    login: str
    notify: str
    shared_secret: str


def fields(reader: DefinitionReader) -> Spec | None:
    """Read what clients may ask for; None when the API asks for no access tokens."""
    meta, notifications = reader.opaque("oauth_meta"), reader.opaque("notifications")
    access = meta.texts("allowed_access_types")
    authorize = meta.texts("allowed_authorize_types")
    login = meta.text("auth_login_redirect")
    notify, secret = notifications.text("oauth_on_keychange_url"), notifications.text("shared_secret")
    if "oauth_key" not in reader.definition.ways:
        return None
    for found, known in ((access, _KNOWN_ACCESS_TYPES), (authorize, AUTHORIZE_TYPES)):
        for text, pointer in found:
            if text not in known:
                reader.report.add(pointer, f"`{text[:50]}` must be one of {', '.join(known)}")
    for section, name, url in ((meta, "auth_login_redirect", login), (notifications, "oauth_on_keychange_url", notify)):
        if url:
            checked(section, name, url, _url, None)
    if secret:
        checked(notifications, "shared_secret", secret, _header, None)
    return Spec(frozenset(text for text, _ in access), frozenset(text for text, _ in authorize), login, notify, secret)


def _url(text: str) -> None:
    try:
        values.target_url(text)
    except ValueError as error:
        raise ValueError(str(error).replace("target_url", "the URL")) from None


def _header(text: str) -> None:
    values.header("X-Tyk-Shared-Secret", text)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of an API whose clients get no tokens, or not in the way that is meant."""
    spec = fields(reader)
    if spec is None:
        return
    if not spec.access_types & set(ACCESS_TYPES) and "token" not in spec.authorize_types:
        yield Mistake("/oauth_meta/allowed_access_types", "no grant is allowed, so no client can get a token")
    if "password" in spec.access_types:
        yield Mistake(
            "/oauth_meta/allowed_access_types", "the grant `password` has no effect: an application must not see passwords of users"
        )
    if spec.authorize_types and not spec.login:
        yield Mistake("/oauth_meta/auth_login_redirect", "auth_login_redirect is empty, so oauth/authorize/ can send nobody to a login")


def build(spec: Spec, ports: Ports) -> OAuthEndpoints:
    """Build the stage. What the endpoints do is not the data plane's."""
    return OAuthEndpoints()


class OAuthEndpoints:
    """Answers nothing itself."""

    __slots__ = ()

    def on_request(self, exchange: Exchange) -> HandedOver | None:
        endpoint = endpoint_of(exchange.relative)
        return None if endpoint is None else HandedOver(endpoint)


def endpoint_of(relative: str) -> str | None:
    """Return the endpoint that a path below the listen path (and the version) is, without the slash at its end."""
    path = relative.removesuffix("/")
    return path if path in PATHS else None


def may_be(path: str) -> bool:
    """Tell whether a reading of a path ends as that of an endpoint: the listen path and perhaps a version are before it."""
    return path.removesuffix("/").endswith(tuple(PATHS))
