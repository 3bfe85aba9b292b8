"""The JSON of where an API looks for keys."""

from __future__ import annotations

from typing import Final

from services.gateway.definitions import field_names, values
from services.gateway.definitions.model import Auth
from services.gateway.definitions.not_served import refuse_authentication
from services.gateway.definitions.reader import Reader

_USUAL_HEADER: Final = "Authorization"


def parse_auth(root: Reader, use_keyless: bool) -> Auth:
    """Where keys are looked for. Mistakes go to the reader's report; then what is returned is not to be used."""
    reader = _section(root)
    refuse_authentication(root, reader, use_keyless)
    # Tyk has it beside `auth`; whoever writes it into `auth` means the same
    strip_auth_data = [section.flag("strip_auth_data") for section in (root, reader, root.opaque("auth"))]
    header = reader.text("auth_header_name") or _USUAL_HEADER
    if not values.TOKEN.fullmatch(header):
        reader.mistake("auth_header_name", f"`{header}` is not a header name")
    without_header = reader.flag("disable_header")
    auth = Auth(
        auth_header_name="" if without_header else header,
        use_param=reader.flag("use_param"),
        param_name=reader.text("param_name") or (header if without_header and reader.flag("use_param") else ""),
        use_cookie=reader.flag("use_cookie"),
        cookie_name=reader.text("cookie_name") or (header if without_header and reader.flag("use_cookie") else ""),
        strip_auth_data=any(strip_auth_data),
    )
    if without_header and not (use_keyless or auth.use_param or auth.use_cookie):
        reader.mistake("disable_header", "disable_header leaves no place for a key: switch on use_param or use_cookie, or take it out")
    return auth


def _section(root: Reader) -> Reader:
    """`auth_configs.authToken`, which later versions of Tyk prefer, else `auth`."""
    own = root.object("auth", field_names.AUTH)
    later = root.opaque("auth_configs").object("authtoken", field_names.AUTH)
    if not any(later.value(name) for name in ("auth_header_name", "disable_header", "use_param", "use_cookie")):
        later.disregard()
        return own
    own.disregard()
    return later
