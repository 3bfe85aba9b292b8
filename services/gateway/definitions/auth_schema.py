"""The JSON of where an API looks for keys."""

from __future__ import annotations

from services.gateway.definitions import values
from services.gateway.definitions.model import Auth
from services.gateway.definitions.not_served import refuse_authentication
from services.gateway.definitions.reader import Reader


def parse_auth(root: Reader, use_keyless: bool) -> Auth:
    """Where keys are looked for. Mistakes go to the reader's report; then what is returned is not to be used."""
    reader = _section(root)
    refuse_authentication(root, reader, use_keyless)
    # Tyk has it beside `auth`; whoever writes it into `auth` means the same
    strip_auth_data = [section.flag("strip_auth_data") for section in (root, reader, root.opaque("auth"))]
    auth = Auth(
        auth_header_name=reader.text("auth_header_name"),
        use_param=reader.flag("use_param"),
        param_name=reader.text("param_name"),
        use_cookie=reader.flag("use_cookie"),
        cookie_name=reader.text("cookie_name"),
        strip_auth_data=any(strip_auth_data),
    )
    if auth.auth_header_name and not values.TOKEN.fullmatch(auth.auth_header_name):
        reader.mistake("auth_header_name", f"`{auth.auth_header_name}` is no header name")
    if not use_keyless and not (auth.auth_header_name or auth.use_param or auth.use_cookie):
        reader.mistake("auth_header_name", "auth_header_name is empty, so no key could ever be found")
    for name, used, own in (("param_name", auth.use_param, auth.param_name), ("cookie_name", auth.use_cookie, auth.cookie_name)):
        if used and not (own or auth.auth_header_name):
            reader.mistake(name, f"{name} is empty, and there is no auth_header_name to use instead")
    return auth


def _section(root: Reader) -> Reader:
    """`auth_configs.authToken`, which later versions of Tyk prefer, else `auth`."""
    own = root.object("auth")
    later = root.opaque("auth_configs").object("authtoken")
    if not any(later.value(name) for name in ("auth_header_name", "use_param", "use_cookie")):
        later.disregard()
        return own
    own.disregard()
    return later
