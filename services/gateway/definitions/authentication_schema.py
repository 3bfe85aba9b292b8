"""The JSON of a definition's ways of authentication: which ones a request must pass, and where each finds its credential.

Without `use_keyless`, an API asks for a key unless another way is switched on. When several are, a request must pass all of them, and each
of their keys must be active and have the rights; the limits of one of them count.

Fields:
* `use_standard_auth` (2.3): Asks for a key also where another way of authentication is switched on.
* `use_oauth2` (1.3): Asks for an OAuth2 access token.
* `use_basic_auth` (1.3): Asks for a user name and a password (RFC 7617).
* `enable_signature_checking` (1.3): Asks for an HMAC signature.
* `enable_jwt` (1.9): Asks for a JSON Web Token (RFC 7519), whose key is that of whom it names. Differs: A token is checked once and then
  remembered; a policy that changes counts at once.
* `use_openid` (2.1): Asks for an ID token of an OpenID provider, whose key is that of whom it names. Differs: As for `enable_jwt`.
* `custom_plugin_auth_enabled` (3.2): Asks the script `custom_middleware.auth_check`, whose key is that of the session that it returns.
  Differs: It is a mistake without the script, and the script without it.
* `enable_coprocess_auth` (2.3): The same as `custom_plugin_auth_enabled`.
* `base_identity_provided_by` (2.3): Whose limits count when several ways are switched on: `oauth_key`, `basic_auth_user`, `hmac_key`,
  `jwt_claim`, `oidc_user`, `custom_auth` or `auth_token`. Empty = the last one of these, in this order. Differs: A way that is not
  switched on is a mistake.
* `strip_auth_data` (2.4): Keeps what proves who a client is from the upstream.
* `auth.strip_auth_data` (own): The same as `strip_auth_data` of the definition itself.
* `auth.auth_header_name` (1.3): The header that holds the key; empty = `Authorization`. Differs: In 1.4 an empty name refuses every
  request.
* `auth.disable_header` (4.1): No header holds the key. Differs: It is a mistake when no other place is left.
* `auth.use_param` (1.6): A query parameter may hold the key.
* `auth.param_name` (2.2): The name of the parameter; empty = the name of the header. Differs: It has no effect without `use_param`, as in
  Tyk from 4.3 on; before, a name alone switches `use_param` on.
* `auth.use_cookie` (1.8): A cookie may hold the key.
* `auth.cookie_name` (2.2): The name of the cookie; empty = the name of the header. Differs: It has no effect without `use_cookie`, as in
  Tyk from 4.3 on; before, a name alone switches `use_cookie` on.
* `auth.use_certificate` (2.4): Finds the key by the certificate that the client shows in its TLS handshake. The key was created with this
  `certificate`. Differs: A certificate is asked for in any case, as in today's Tyk; up to 5.9 a key in a header is enough. It is a
  mistake where no key is asked for.
* `auth_configs.authtoken.*` (3.0): The fields of `auth`. It replaces `auth` when it names a header or switches something on.
* `auth_configs.oauth.*` (3.0): The fields of `auth`, for access tokens; without it, the header `Authorization` holds them.
* `auth_configs.basic.*` (3.0): The fields of `auth`, for user names and passwords; without it, the header `Authorization` holds them.
* `auth_configs.hmac.*` (3.0): The fields of `auth`, for signatures; without it, the header `Authorization` holds them.
* `auth_configs.oidc.*` (3.0): The fields of `auth`, for ID tokens; without it, the header `Authorization` holds them.
* `auth_configs.jwt.*` (3.0): The fields of `auth`, for JSON Web Tokens; without it, `auth` itself says where they are.
* `auth_configs.coprocess.*` (3.0): The same for what a script checks. The script looks where it likes: they say what
  `strip_auth_data` keeps from the upstream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from services.gateway.definitions import field_names, values
from services.gateway.definitions.model import Mode, Places, Way
from services.gateway.definitions.not_served import refuse_authentication
from services.gateway.definitions.reader import Mistake, Reader

# In the order of the chain: the limits of the last one count, unless the definition says whose.
_SWITCHES: Final[Mapping[Mode, str]] = {
    "oauth_key": "use_oauth2",
    "basic_auth_user": "use_basic_auth",
    "hmac_key": "enable_signature_checking",
    "jwt_claim": "enable_jwt",
    "oidc_user": "use_openid",
    "custom_auth": "custom_plugin_auth_enabled",
}
# The same, as earlier releases of Tyk name it.
_EARLIER: Final = "enable_coprocess_auth"
# As `auth_configs` names them. Only keys, tokens and what a script checks are also looked for where `auth` says, as in Tyk 3.1.
_SECTIONS: Final[Mapping[Mode, str]] = {
    "oauth_key": "oauth",
    "basic_auth_user": "basic",
    "hmac_key": "hmac",
    "jwt_claim": "jwt",
    "oidc_user": "oidc",
    "custom_auth": "coprocess",
    "auth_token": "authtoken",
}
_ALSO_IN_AUTH: Final = frozenset({"jwt_claim", "custom_auth"})
_USUAL_HEADER: Final = "Authorization"
_PLACES: Final = ("auth_header_name", "disable_header", "use_param", "use_cookie", "use_certificate")
_UNASKED: Final = "use_certificate finds a key, and this asks for none: use use_mutual_tls_auth, or ask for keys (use_standard_auth)"


def read_ways(root: Reader, use_keyless: bool) -> tuple[Mapping[Mode, Way], Places]:
    """Read the ways that a definition asks for, none with `use_keyless`; and where a key would be, whether one is asked for or not."""
    earlier = root.flag(_EARLIER)
    asked: list[Mode] = [mode for mode, switch in _SWITCHES.items() if root.flag(switch) or (earlier and mode == "custom_auth")]
    if root.flag("use_standard_auth") or not asked:
        asked.append("auth_token")
    base = root.text("base_identity_provided_by")
    configs = root.opaque("auth_configs")
    own = root.object("auth", field_names.AUTH)
    section = _section_of(own, configs, "authtoken")
    if section is not own:
        own.disregard()
    refuse_authentication(root, section, use_keyless)
    # Tyk has it beside `auth`; some write it in `auth`.
    strip = [one.flag("strip_auth_data") for one in (root, section, own)]
    unasked = use_keyless or "auth_token" not in asked
    of_keys = _places(section, unasked, any(strip))
    if unasked and of_keys.use_certificate:
        section.mistake("use_certificate", _UNASKED)
    if use_keyless:
        return {}, of_keys
    places = dict.fromkeys(asked, of_keys)
    for mode in asked:
        if mode == "auth_token":
            continue
        name = _SECTIONS[mode]
        section = _section_of(own, configs, name) if mode in _ALSO_IN_AUTH else configs.object(name, field_names.AUTH)
        places[mode] = _places(section, False, any(strip))
        if places[mode].use_certificate and section is not own:
            section.mistake("use_certificate", _UNASKED)
    if len(asked) == 1:
        base = ""
    elif base and base not in asked:
        root.mistake("base_identity_provided_by", f"must be one of the ways that are switched on, {', '.join(asked)}, not `{base[:50]}`")
    return {mode: Way(places[mode], mode == (base or asked[-1])) for mode in asked}, of_keys


def _section_of(own: Reader, configs: Reader, name: str) -> Reader:
    """Return the section of `auth_configs`, which later releases of Tyk prefer, or else `auth`."""
    later = configs.object(name, field_names.AUTH)
    if not any(later.value(one) for one in _PLACES):
        later.disregard()
        return own
    return later


def _places(section: Reader, unasked: bool, strip: bool) -> Places:
    """Read where a credential is. unasked: nobody looks for it. strip: whether the definition strips all of them."""
    header = section.text("auth_header_name") or _USUAL_HEADER
    if not values.TOKEN.fullmatch(header):
        section.mistake("auth_header_name", f"`{header}` is not a header name")
    without_header = section.flag("disable_header")
    use_param, use_cookie, use_certificate = (section.flag(f"use_{what}") for what in ("param", "cookie", "certificate"))
    if without_header and not (unasked or use_param or use_cookie or use_certificate):
        section.mistake("disable_header", "disable_header leaves no place for a key: switch on use_param or use_cookie, or take it out")
    return Places(
        header="" if without_header else header,
        use_param=use_param,
        param_name=section.text("param_name") or (header if without_header and use_param else ""),
        use_cookie=use_cookie,
        cookie_name=section.text("cookie_name") or (header if without_header and use_cookie else ""),
        strip=section.flag("strip_auth_data") or strip,
        use_certificate=use_certificate,
    )


def warnings(ways: Mapping[Mode, Way], places: Places, use_keyless: bool) -> Iterator[Mistake]:
    """Warn of fields that have no effect without a switch, or without keys; and of ways that get into each other's way. places: of keys."""
    if places.strip and use_keyless:
        yield Mistake("/auth/strip_auth_data", "strip_auth_data has no effect, since no key is asked for")
    for name, own, used in (("param_name", places.param_name, places.use_param), ("cookie_name", places.cookie_name, places.use_cookie)):
        if own and not used:
            yield Mistake(f"/auth/{name}", f"{name} has no effect without use_{name.partition('_')[0]}")
    for one, other in combinations([mode for mode in ways if mode != "custom_auth"], 2):  # a script looks where it likes
        named = _named(ways[one].places)
        if len(named) == 1 and named == _named(ways[other].places):
            names = " and ".join(_SWITCHES.get(mode, "use_standard_auth") for mode in (one, other))
            yield Mistake("/auth_configs", f"{names} look in the same place, {named.pop()}, which holds only one of them: no client passes")


def _named(places: Places) -> set[str]:
    """Return the places where a client may put what one way asks for, in words; none for a certificate, which is in no request."""
    if places.use_certificate:
        return set()
    named = {
        f"the header `{places.header.lower()}`": bool(places.header),
        f"the query parameter `{places.param_name or places.header}`": places.use_param,
        f"the cookie `{places.cookie_name or places.header}`": places.use_cookie,
    }
    return {place for place, used in named.items() if used}
