"""Checks of single values of a definition: addresses, paths, headers, dates. Each raises ValueError, which says what is expected."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from services.common.addresses import host_name
from services.gateway.definitions.model import TargetUrl
from services.gateway.exchange import LoopOptions
from services.gateway.refusals import Refusal
from services.gateway.routing.paths import canonical_path, escaped_query, slash_readings
from services.gateway.wire.heads import names

TOKEN: Final = re.compile(names.TOKEN)
NO_METHOD: Final = "must be an HTTP method in upper case"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")
_CERTIFICATE: Final = re.compile(rf"((?:{_IDENTIFIER.pattern})?)([0-9A-Fa-f]{{64}})")
_LOOP: Final = re.compile(r"tyk://([A-Za-z0-9._~:-]{1,128})(/[^?#]*)?(?:\?([^#]*))?", re.ASCII)
_LOOP_OPTIONS: Final = frozenset({"method", "check_limits", "loop_limit"})
_UNLOOPED: Final = frozenset({"CONNECT", "TRACE"})
MOST_LOOPS: Final = 20
_PORT: Final = re.compile(r":[0-9]{1,5}$")
# A segment of a listen path that stands for any one segment.
_NAMED: Final = re.compile(r"\{[A-Za-z0-9_.-]+\}")
_EXPIRES: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}")
_RESERVED: Final = frozenset({"/hello/"})
# Schemes of URLs in Tyk's definitions other than http and https.
_SCHEMES: Final = {
    "tcp": "not available yet: TCP services (tcp://)",
    "tls": "not available yet: TCP services (tls://)",
    "h2c": "not available yet: HTTP/2 to the upstream (h2c://); write http:// if it speaks HTTP/1.1, too",
    "grpc": "not available yet: gRPC to the upstream (grpc://)",
    "grpcs": "not available yet: gRPC to the upstream (grpcs://)",
    "secrets": "not available here: addresses from secrets:// are read in target_url and target_list only",
    "file": "not available here: addresses from file:// are read in target_url and target_list only",
    "env": "env:// has to be followed by the name of an environment variable",
    **{
        name: f"not available yet: addresses from {name}://; write the address, or env://, secrets:// or file://"
        for name in ("vault", "consul")
    },
}
# How a WebSocket begins: with a request to upgrade, which is passed on.
_OF_WEBSOCKETS: Final = {"ws": "http", "wss": "https"}
# Written by the gateway's own framing: a reply that brought its own would tell the client a wrong length.
_FRAMING: Final = names.as_text(names.FRAMING) | {"keep-alive"}
# Written by the gateway's own hand in each message, whatever a definition says.
_OWN: Final = _FRAMING | {"expect", "proxy-connection"}
_OWN_IN_ANSWERS: Final = _FRAMING | {"via", "x-request-id"}
_SECRET: Final = re.compile(r"\$secret_(?:conf|consul|env|file|vault)\.")
# What frames, routes or authenticates a message, or what the gateway itself says about it.
_NEVER_PASSED: Final = _FRAMING | {
    "authorization", "content-encoding", "content-range", "content-type", "cookie", "expect", "forwarded", "host", "proxy-authorization",
    "set-cookie", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto", "x-request-id",
}  # fmt: skip


def is_method(text: str) -> bool:
    """Tell whether it is an HTTP method: a token without lower-case letters."""
    return TOKEN.fullmatch(text) is not None and text == text.upper()


def identifier(text: str) -> str:
    """Check an id. Raises ValueError."""
    if not _IDENTIFIER.fullmatch(text):
        raise ValueError("must begin with a letter or digit and hold only letters, digits and . _ ~ : - (at most 128)")
    return text


def certificate_id(text: str) -> str:
    """Check the id of a certificate, and return it in lower case where it is hexadecimal. Raises ValueError."""
    if "-----BEGIN" in text:
        raise ValueError("must be the id of a certificate, not the certificate: store it first (POST /tyk/certs)")
    match = _CERTIFICATE.fullmatch(text)
    if match is None:
        raise ValueError("must be the id of a certificate: an organisation and 64 hexadecimal digits, as POST /tyk/certs answers it")
    return match[1] + match[2].lower()


def domain(text: str) -> str:
    """Return the host of a definition's `domain`, without its port: requests are told apart by host. Raises ValueError."""
    return host_name(_PORT.sub("", text))


def listen_path(text: str) -> str:
    """Return a listen path in its one form, with leading and trailing slash. `{name}` is any one segment. Raises ValueError."""
    if not text:
        raise ValueError("listen_path must not be empty; write / to own every path of the host")
    if not text.startswith("/"):
        raise ValueError("listen_path must begin with a slash")
    if "//" in text:
        raise ValueError("listen_path holds an empty segment (//)")
    segments = text.split("/")
    for segment in segments:
        if ("{" in segment or "}" in segment) and not _NAMED.fullmatch(segment):
            raise ValueError(f"`{segment[:100]}` cannot stand in a listen_path: `{{name}}` is a whole segment and holds a name only")
    plain = "/".join("-" if _NAMED.fullmatch(segment) else segment for segment in segments)
    form = _canonical("listen_path", plain)
    if form != plain:
        raise ValueError(f"listen_path must be written in its canonical form, `{form}`")
    form = text
    if slash_readings(form):
        raise ValueError("listen_path must not hold %2F or %5C, which some servers take for a slash")
    form = form if form.endswith("/") else form + "/"
    if form in _RESERVED:
        raise ValueError("listen_path /hello is the gateway's own (its health)")
    return form


def _canonical(name: str, path: str) -> str:
    """Return the canonical form of a path. Raises ValueError, which names the field."""
    try:
        return canonical_path(path.encode())
    except Refusal as refusal:
        raise ValueError(f"{name} is not a path: {refusal.detail}") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half of a surrogate pair") from None


def target_url(text: str) -> TargetUrl:
    """Parse an http or https URL. Raises ValueError without repeating the URL, which may hold a password."""
    if not text:
        raise ValueError("target_url must not be empty")
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("target_url holds a space or a control character")
    if text[:6].lower() == "tyk://":
        return loop_url(f"tyk://{text[6:]}")[0]
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("target_url is not a URL: the host or the port is malformed") from None
    scheme = _OF_WEBSOCKETS.get(parts.scheme, parts.scheme) if "://" in text else parts.scheme
    if scheme not in ("http", "https"):
        raise ValueError(_SCHEMES.get(parts.scheme if "://" in text else "", "target_url must begin with http:// or https://"))
    if "@" in parts.netloc:
        raise ValueError("target_url holds a user name or password; credentials do not belong in a definition")
    if parts.fragment or text.endswith("#"):
        raise ValueError("target_url holds a fragment (#), which is never sent")
    if not parts.hostname:
        raise ValueError("target_url has no host")
    if port == 0:
        raise ValueError("target_url has port 0; 1 to 65535 is expected")
    host = _ipv6(parts.hostname) if parts.netloc.startswith("[") else host_name(parts.hostname)
    path = _canonical("target_url", parts.path or "/").rstrip("/")
    try:
        query = escaped_query(parts.query.encode())
    except UnicodeEncodeError:
        raise ValueError("target_url holds half of a surrogate pair") from None
    return TargetUrl(scheme, host, port or (443 if scheme == "https" else 80), path, query)


def loop_url(text: str, *, of_rewrite: bool = False) -> tuple[TargetUrl, str]:
    """Parse `tyk://API/path?options`; return it, and of a rewriting what may hold variables: the path and the rest of the query.

    Raises ValueError.
    """
    match = _LOOP.fullmatch(text)
    if match is None:
        raise ValueError("tyk:// has to be followed by the id or the name of an API (letters, digits and . _ ~ : -), or by self")
    name, path, query = match[1], match[2] or "", match[3] or ""
    given, rest = {}, []
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key in _LOOP_OPTIONS and "$" in value:
            raise ValueError(f"the option `{key}` of tyk:// must stand here literally: otherwise clients could choose it")
        if key in _LOOP_OPTIONS:
            given[key] = value
        elif pair:
            rest.append(pair)
    method, limits, most = given.get("method", ""), given.get("check_limits", str(not of_rewrite).lower()), given.get("loop_limit", "0")
    if method and (not is_method(method) or method in _UNLOOPED):
        raise ValueError("the option `method` of tyk:// must be an HTTP method in upper case, other than CONNECT and TRACE")
    if limits not in ("true", "false"):
        raise ValueError("the option `check_limits` of tyk:// must be true or false")
    if not re.fullmatch("[0-9]{1,2}", most) or int(most) > MOST_LOOPS:
        raise ValueError(f"the option `loop_limit` of tyk:// must be a number up to {MOST_LOOPS}")
    options = LoopOptions(method, limits == "true", int(most))
    left = "&".join(rest)
    if of_rewrite:
        return TargetUrl("tyk", name, 0, "", "", options), f"{path}?{left}" if left else path
    if name == "self":
        raise ValueError("tyk://self would send every request round in circles; it can stand in rewrite_to only")
    return TargetUrl("tyk", name, 0, _canonical("target_url", path or "/").rstrip("/"), escaped_query(left.encode()), options), ""


def listed_url(text: str) -> TargetUrl:
    """Parse a URL of a `target_list`, which may be without a scheme: then it is http, as in Tyk. Raises ValueError."""
    stripped = text.strip()
    if stripped[:6].lower() == "tyk://":
        raise ValueError("not available: tyk:// in target_list; it can stand in target_url, without enable_load_balancing")
    return target_url(stripped if "://" in stripped or not stripped else f"http://{stripped}")


def _ipv6(text: str) -> str:
    """Return an IPv6 address that was in brackets, in its shortest form. Raises ValueError, also for a zone, which has a meaning on one
    machine only.
    """
    try:
        if "%" not in text:
            return str(IPv6Address(text))
    except ValueError:
        pass
    raise ValueError(f"`[{text}]` is not an IPv6 address (without a zone)")


def is_url(text: str) -> bool:
    """Tell whether it is an http or https URL."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0) and text.isascii()
        )
    except ValueError:
        return False


def header(name: str, value: str) -> tuple[str, str]:
    """Check a header field to send. Raises ValueError."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"`{name}` is not a header name")
    if _CONTROL.search(value):
        raise ValueError(f"the value of {name} holds a line break or another control character")
    return name, value.strip(" \t")


def reply_header(name: str, value: str) -> tuple[str, str]:
    """Check a header field of a reply, which must not frame it. Raises ValueError."""
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} belongs to the connection; the gateway sets it itself")
    return header(name, value)


def sent_header(name: str, value: str) -> tuple[str, str]:
    """Check a header field that goes on to the upstream. Raises ValueError."""
    dropped_header(name, routes=False)
    if name.lower() == "host":
        if "$tyk_" in value:
            raise ValueError("Host says which site of the upstream is asked; a client must not choose it by a variable")
        host_name(_PORT.sub("", value))
    return header(name, served_variables(value))


def dropped_header(name: str, *, routes: bool = True) -> str:
    """Check the name of a header field that does not go on to the upstream. routes: whether `Host` is a mistake. Raises ValueError."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"`{name}` is not a header name")
    if name.lower() in _OWN or (routes and name.lower() == "host"):
        raise ValueError(f"{name} belongs to the connection to the upstream; the gateway sets it itself")
    return name


def answer_header(name: str, value: str) -> tuple[str, str]:
    """Check a header field that is set in an answer of the upstream. Raises ValueError."""
    return header(dropped_answer_header(name), served_variables(value))


def dropped_answer_header(name: str) -> str:
    """Check the name of a header field that is taken out of an answer of the upstream. Raises ValueError."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"`{name}` is not a header name")
    if name.lower() in _OWN_IN_ANSWERS:
        raise ValueError(f"{name} belongs to the connection to the client; the gateway sets it itself")
    return name


def served_variables(text: str) -> str:
    """Check that a text has none of Tyk's variables that are not served. Raises ValueError."""
    if _SECRET.search(text):
        raise ValueError("not available yet: variables for secrets ($secret_...); they would be sent as they stand here")
    return text


def passed_header(name: str) -> bytes:
    """Return, in lower case, the name of a header that goes on although headers like it do not. Raises ValueError."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"`{name}` is not a header name")
    if "_" not in name and name.lower() != "proxy":
        raise ValueError(f"{name} goes on to the upstream anyway; only names with `_`, and Proxy, need to be listed")
    return _passed(name)


def passed_trailer(name: str) -> bytes:
    """Return, in lower case, the name of a trailer field that may go on. Raises ValueError."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"`{name}` is not a header name")
    return _passed(name)


def _passed(name: str) -> bytes:
    lower = name.lower()
    if lower.replace("_", "-") in _NEVER_PASSED:
        raise ValueError(f"{name} frames, routes or authenticates a message, or could be taken for a header that does")
    return lower.encode("ascii")


def expires(text: str) -> float | None:
    """Return the end of a version in epoch seconds, read as UTC; None for "" and "-1" (never). Raises ValueError."""
    if text in ("", "-1"):
        return None
    try:
        if not _EXPIRES.fullmatch(text):
            raise ValueError
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f'expires must be `YYYY-MM-DD HH:MM` (UTC), "" or "-1", not `{text}`') from None
    return moment.timestamp()
