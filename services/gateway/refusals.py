"""Every way the gateway says no: code, status, wording, event; and how a refusal is written on the wire.

A refusal is raised anywhere on the way of a request (`raise Refusal(KEY_EXPIRED)`) and rendered once, by the front door.
The messages are Tyk 3.1's, word for word, because clients compare them; what Tyk's words do not say (which limit, what to
do) stands in `detail`. The body is real JSON: nothing is HTML-escaped, so a quote in a path stays a quote.

Answers carry `X-Generator: gatehouse`, as Tyk's carry its name: that header, which upstream answers never get from us,
tells an operator who said no.

`docs/errors.md` is written from the registry of this file: `python -m services.gateway.refusals > docs/errors.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from services.gateway.exchange import Reply

if TYPE_CHECKING:
    from services.gateway.exchange import Exchange

Header = tuple[bytes, bytes]
EventKey = Literal["key", "address", "none"]


class Override(Protocol):
    """One entry of a definition's `error_overrides`: what replaces the status and the message of a code (None = as it is)."""

    @property
    def status(self) -> int | None: ...
    @property
    def message(self) -> str | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class RefusalKind:
    """One row of the table of refusals.

    code: stable, kebab-case. status: HTTP status. message: the `error` of the body (Tyk 3.1's words where Tyk has it).
    event, event_message: what webhooks hear (None = nothing). event_key: whose name the event carries: the key, the client's
    address, or none. detail: what to do, when the message does not say it. closes: the connection ends after the answer.
    """

    code: str
    status: int
    message: str
    event: str | None = None
    event_message: str = ""
    event_key: EventKey = "key"
    detail: str | None = None
    closes: bool = False
    group: str = ""
    body_start: bytes = b""


class Refusal(Exception):
    """Ends a request with a refusal.

    headers: sent besides the usual ones (`Retry-After`, `WWW-Authenticate`, ...). detail: replaces the kind's own detail.
    reason: the `Reason` of the event's metadata; the message when it is not given.
    """

    __slots__ = ("detail", "headers", "kind", "reason")

    def __init__(self, kind: RefusalKind, *, headers: Iterable[Header] = (), detail: str | None = None, reason: str | None = None) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.headers: tuple[Header, ...] = tuple(headers)
        self.detail = kind.detail if detail is None else detail
        self.reason = kind.message if reason is None else reason


REGISTRY: Final[dict[str, RefusalKind]] = {}
_group = ""


def _kind(
    code: str,
    status: int,
    message: str,
    *,
    event: str | None = None,
    event_message: str = "",
    event_key: EventKey = "key",
    detail: str | None = None,
    closes: bool = False,
) -> RefusalKind:
    start = f'{{\n    "error": {_json(message)},\n    "code": {_json(code)},\n'.encode()
    kind = RefusalKind(code, status, message, event, event_message, event_key, detail, closes, _group, start)
    if code in REGISTRY:
        raise ValueError(f"two refusals have the code {code}")
    REGISTRY[code] = kind
    return kind


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_group = "The request itself"
MALFORMED_REQUEST = _kind("malformed-request", 400, "The request is not valid HTTP", closes=True)
BAD_PATH = _kind(
    "bad-path",
    400,
    "The path of the request is malformed",
    detail="The path climbs above the root, or holds a NUL, a control character or a bad percent escape.",
    closes=True,
)
AMBIGUOUS_LENGTH = _kind(
    "ambiguous-length",
    400,
    "The length of the request body is ambiguous",
    detail="Send one Content-Length, or Transfer-Encoding: chunked, never both and neither twice.",
    closes=True,
)
BAD_HOST = _kind(
    "bad-host",
    400,
    "The Host of the request is missing or ambiguous",
    detail="Send exactly one Host header; an absolute request target must name the same host.",
    closes=True,
)
BAD_HEADER = _kind(
    "bad-header",
    400,
    "A header of the request is malformed",
    detail="Header names are tokens; values hold no control characters and are not folded over lines; lines end in CR LF.",
    closes=True,
)
UNSUPPORTED_VERSION = _kind("unsupported-http-version", 505, "HTTP version not supported", detail="Use HTTP/1.1.", closes=True)
METHOD_NOT_SUPPORTED = _kind(
    "method-not-supported", 501, "Method not supported", detail="The gateway does not proxy this method.", closes=True
)
TARGET_TOO_LONG = _kind("target-too-long", 414, "The request target is too long", detail="At most 16 KB of path and query.", closes=True)
HEAD_TOO_LARGE = _kind(
    "head-too-large", 431, "The request headers are too large", detail="At most 64 KB and 200 header fields.", closes=True
)
BODY_TOO_LARGE = _kind("body-too-large", 413, "Request is too large", detail="Send a smaller body.", closes=True)
LENGTH_REQUIRED = _kind("length-required", 411, "Content length is required for this request", detail="Send a Content-Length.", closes=True)
EXPECTATION_FAILED = _kind("expectation-failed", 417, "Expectation failed", detail="The only expectation served is 100-continue.")
REQUEST_TIMEOUT = _kind(
    "request-timeout", 408, "The request did not arrive in time", detail="Send the whole request without long pauses.", closes=True
)
TOO_MANY_FROM_ADDRESS = _kind(
    "too-many-from-address",
    429,
    "Too many requests at the same time from this address",
    detail="Wait for answers before you send more.",
    closes=True,
)
PLAIN_HTTP = _kind(
    "plain-http",
    400,
    "This port speaks HTTPS, and the request came as plain HTTP",
    detail="Send the same request to an address that begins with https://.",
    closes=True,
)
OVERLOADED = _kind("overloaded", 503, "The gateway has too many connections", detail="Try again shortly.", closes=True)
SHUTTING_DOWN = _kind(
    "shutting-down", 503, "The gateway is shutting down", detail="Open a new connection: another worker will answer.", closes=True
)
INTERNAL_ERROR = _kind(
    "internal-error",
    500,
    "There was a problem with the gateway",
    detail="The operator finds the cause in the log under the request id.",
)

_group = "Finding the API"
NOT_FOUND = _kind("not-found", 404, "Not Found", detail="No active API listens on this host and path.")
DEFINITION_BROKEN = _kind(
    "definition-broken",
    503,
    "This API cannot be served",
    detail="Its stored definition is not valid any more; the operator sees why in the API list.",
)

DEFINITIONS_UNAVAILABLE = _kind(
    "definitions-unavailable",
    503,
    "The gateway has no API definitions yet",
    detail="It started while its database was away, and there is no copy to serve; it goes on by itself when the database is back.",
)

_group = "Address, organisation, version and path"
IP_REFUSED = _kind(
    "ip-refused",
    403,
    "access from this IP has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    event_key="address",
)
ORGANISATION_INACTIVE = _kind(
    "organisation-inactive", 403, "This organisation access has been disabled, please contact your API administrator."
)
ORGANISATION_QUOTA = _kind(
    "organisation-quota-exceeded",
    403,
    "This organisation quota has been exceeded, please contact your API administrator",
    event="OrgQuotaExceeded",
    event_message="Organisation quota has been exceeded",
)


def _version_kind(code: str, message: str, detail: str | None = None) -> RefusalKind:
    return _kind(
        code,
        403,
        message,
        event="VersionFailure",
        event_message="Attempted access to disallowed version / path.",
        event_key="none",
        detail=detail,
    )


VERSION_MISSING = _version_kind("version-missing", "Version information not found", "Name the version where the API expects it.")
VERSION_UNKNOWN = _version_kind("version-unknown", "This API version does not seem to exist", "Name a version that the API has.")
VERSION_EXPIRED = _version_kind(
    "version-expired", "Api Version has expired, please check documentation or contact administrator", "Use another version."
)
ENDPOINT_FORBIDDEN = _version_kind(
    "endpoint-forbidden",
    "Requested endpoint is forbidden",
    "A path list refuses this path with this method; the detail says which list, of which version.",
)

_group = "Authentication"
KEY_MISSING = _kind("key-missing", 401, "Authorization field missing", detail="Send a key where the API expects it.")
KEY_UNKNOWN = _kind(
    "key-unknown",
    403,
    "Access to this API has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The key is not known.",
)
KEYS_UNAVAILABLE = _kind("keys-unavailable", 503, "The key cannot be checked now", detail="Try again in a moment.")
BASIC_MISSING = _kind("basic-missing", 401, "Authorization field missing")
BASIC_MALFORMED = _kind("basic-malformed", 400, "Attempted access with malformed header, header not in basic auth format")
BASIC_NOT_ENCODED = _kind("basic-not-encoded", 400, "Attempted access with malformed header, auth data not encoded correctly")
BASIC_NO_COLON = _kind("basic-no-colon", 400, "Attempted access with malformed header, values not in basic auth format")
BASIC_REFUSED = _kind("basic-refused", 401, "User not authorised", event="AuthFailure", event_message="Auth Failure")
HMAC_MALFORMED = _kind("hmac-malformed", 400, "Authorization field missing, malformed or invalid")
HMAC_REFUSED = _kind(
    "hmac-refused",
    400,
    "Authorization field missing, malformed or invalid",
    event="AuthFailure",
    event_message="Auth Failure",
)
HMAC_DATE = _kind("hmac-date-out-of-range", 400, "Date is out of allowed range.")
BEARER_MISSING = _kind("bearer-missing", 400, "Authorization field missing")
BEARER_MALFORMED = _kind("bearer-malformed", 400, "Bearer token malformed")
TOKEN_UNKNOWN = _kind("token-unknown", 403, "Key not authorised", event="AuthFailure", event_message="Auth Failure")

_group = "Key state and rights"
KEY_INACTIVE = _kind(
    "key-inactive",
    403,
    "Key is inactive, please renew",
    event="KeyExpired",
    event_message="Attempted access from inactive key.",
    detail="The key is switched off; the operator can switch it on again.",
)
KEY_EXPIRED = _kind(
    "key-expired",
    401,
    "Key has expired, please renew",
    event="KeyExpired",
    event_message="Attempted access from expired key.",
    detail="The key's end has come; the operator can set another one.",
)
ACCESS_DENIED = _kind(
    "access-denied",
    403,
    "Access to this API has been disallowed",
    detail="The key is known but has no right to this API or to this version of it; the detail says which is missing.",
)
RESOURCE_DENIED = _kind(
    "resource-denied",
    403,
    "Access to this resource has been disallowed",
    detail="The key's rights to this API do not include this path and method.",
)

_group = "Limits"
RATE_LIMITED = _kind(
    "rate-limit-exceeded",
    429,
    "Rate limit exceeded",
    event="RatelimitExceeded",
    event_message="Key Rate Limit Exceeded",
)
API_RATE_LIMITED = _kind(
    "api-rate-limit-exceeded",
    429,
    "API Rate limit exceeded",
    event="RatelimitExceeded",
    event_message="API Rate Limit Exceeded",
)
QUOTA_EXCEEDED = _kind("quota-exceeded", 403, "Quota exceeded", event="QuotaExceeded", event_message="Key Quota Limit Exceeded")

_group = "Batch"
BATCH_MALFORMED = _kind(
    "batch-malformed",
    400,
    "Batch request malformed",
    detail='Send {"requests": [{"method", "headers", "body", "relative_url"}], "suppress_parallel_execution": bool}.',
)
BATCH_ENTRY_MALFORMED = _kind("batch-entry-malformed", 400, "Batch request creation failed , request structure malformed")
BATCHES_BUSY = _kind(
    "batches-busy", 503, "Too many batches at the same time", detail="Try again shortly, or send smaller batches.", closes=True
)
BATCH_TOO_LARGE = _kind("batch-too-large", 413, "Batch request is too large", detail="At most 100 entries and 10 MB.")

_group = "Upstream"
_PROXY_PROBLEM = "There was a problem proxying the request"
UPSTREAM_UNREACHABLE = _kind("upstream-unreachable", 502, _PROXY_PROBLEM, detail="No connection to the upstream could be made.")
UPSTREAM_TIMEOUT = _kind(
    "upstream-timeout",
    504,
    _PROXY_PROBLEM,
    detail="The upstream was slower than a limit; the detail says which, how long it is and where it is set.",
)
UPSTREAM_BROKEN = _kind("upstream-broken", 502, _PROXY_PROBLEM, detail="The upstream ended the connection or its answer is not valid HTTP.")

_CONTENT_TYPE: Final = b"Content-Type"
_JSON_TYPE: Final[Header] = (_CONTENT_TYPE, b"application/json")
_PROBLEM_TYPE: Final[Header] = (_CONTENT_TYPE, b"application/problem+json")
_GENERATOR: Final[Header] = (b"X-Generator", b"gatehouse")
_PROBLEM_NAME: Final = b"application/problem+json"


def render(refusal: Refusal, exchange: Exchange) -> Reply:
    """The answer to a refused request: status, headers (the exchange's own answer headers and X-Request-Id included), body.

    `Content-Length`, `Date` and `Connection` are the writer's. A HEAD request gets the same head; the writer leaves the
    body out. Never raises on any request.
    """
    api = exchange.api
    if api is None:
        return _answer(refusal, exchange.request_id, exchange.fields.get(b"accept"), exchange.answer_headers, None, None)
    override = api.error_overrides.get(refusal.kind.code) if api.error_overrides else None
    accept = exchange.fields.get(b"accept")
    return _answer(refusal, exchange.request_id, accept, exchange.answer_headers, override, api.error_template)


def render_early(refusal: Refusal, request_id: str, accept: bytes | None = None) -> Reply:
    """The answer when there is no exchange yet: a head that could not be read, a connection over the limit."""
    return _answer(refusal, request_id, accept, (), None, None)


def _answer(
    refusal: Refusal,
    request_id: str,
    accept: bytes | None,
    answer_headers: Iterable[Header],
    override: Override | None,
    template: Mapping[str, Any] | None,
) -> Reply:
    kind = refusal.kind
    status, message = kind.status, kind.message
    if override is not None:
        status = override.status or status
        message = message if override.message is None else override.message
    kind_of_body = _JSON_TYPE
    if accept is not None and _PROBLEM_NAME in accept and wants_problem(accept):
        kind_of_body = _PROBLEM_TYPE
        body = _dump(_problem(kind.code, status, message, refusal.detail, request_id))
    elif template is not None:
        values = {"Message": message, "Code": kind.code, "StatusCode": status, "RequestID": request_id}
        body = _dump(fill(template, {**values, "Detail": refusal.detail or ""}))
    else:
        body = _plain_body(kind, message, refusal.detail, request_id)
    headers = [kind_of_body, (b"X-Request-Id", request_id.encode("latin-1", "replace")), _GENERATOR]
    headers += answer_headers
    headers += refusal.headers
    return Reply(status, headers, body)


def _plain_body(kind: RefusalKind, message: str, detail: str | None, request_id: str) -> bytes:
    """Tyk's body and formatting (four spaces, final newline) with `code`, `request_id` and, where there is one, `detail`."""
    start = kind.body_start
    if message is not kind.message:
        start = f'{{\n    "error": {_json(message)},\n    "code": {_json(kind.code)},\n'.encode()
    if detail:
        start += f'    "detail": {_json(detail)},\n'.encode("utf-8", "replace")
    return start + f'    "request_id": {_json(request_id)}\n}}\n'.encode("utf-8", "replace")


def _problem(code: str, status: int, message: str, detail: str | None, request_id: str) -> dict[str, Any]:
    """The members of RFC 9457, and ours."""
    problem: dict[str, Any] = {"type": f"urn:gatehouse:error:{code}", "title": message, "status": status}
    if detail:
        problem["detail"] = detail
    return problem | {"code": code, "request_id": request_id}


def _dump(value: Any) -> bytes:
    return (json.dumps(value, indent=4, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def wants_problem(accept: bytes) -> bool:
    """Whether an Accept header names `application/problem+json` with a quality above zero (RFC 9110, 12.5.1)."""
    for choice in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in choice.split(b";"))
        if name == _PROBLEM_NAME:
            quality = next((p[2:] for p in parameters if p.startswith(b"q=")), b"1")
            return quality.strip(b"0.") != b""
    return False


def counted(number: float, unit: str) -> str:
    """`1 second`, `2 seconds`, `0.5 seconds`; `1 mistake`, `2 mistakes`."""
    return f"{number:.12g} {unit}" if number == 1 else f"{number:.12g} {unit}s"


_VARIABLE = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
TEMPLATE_VARIABLES: Final = frozenset({"Message", "Code", "StatusCode", "RequestID", "Detail"})


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a JSON value with `{{.Name}}` replaced in its strings; unknown names become empty.

    A string that is one variable and nothing else takes the variable's own type, so `"{{.StatusCode}}"` is a number.
    """
    if isinstance(template, str):
        whole = _VARIABLE.fullmatch(template)
        if whole:
            return values.get(whole.group(1), "")
        return _VARIABLE.sub(lambda found: str(values.get(found.group(1), "")), template)
    if isinstance(template, Mapping):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, values) for value in template]
    return template


def template_variables(template: Any) -> set[str]:
    """The names of all `{{.Name}}` in the strings of a JSON value."""
    if isinstance(template, str):
        return set(_VARIABLE.findall(template))
    parts: Iterable[Any] = ()
    if isinstance(template, Mapping):
        parts = template.values()
    elif isinstance(template, list | tuple):
        parts = template
    return set().union(*(template_variables(part) for part in parts))


_DOCUMENT_HEAD = """\
# Errors of the gateway

Written from the tables in `services/gateway/refusals.py` and `services/gateway/operator_api/refusals.py`
(`python -m services.gateway.errors_document > docs/errors.md`); a test keeps them in step.

A refused request gets a JSON object: `error` is the message, `code` is stable and meant for programs, `request_id` finds the
request in the log and is also in the header `X-Request-Id`; `detail`, where there is one, says what to do. Every refusal of the
gateway carries `X-Generator: gatehouse`, so that it can be told from an upstream's own answer.

```json
{
    "error": "Rate limit exceeded",
    "code": "rate-limit-exceeded",
    "detail": "The key's limit is 5 requests in 60 seconds; try again in 12 seconds.",
    "request_id": "0f8b6c1e5a7d4e0f"
}
```

With `Accept: application/problem+json` the body is a problem document (RFC 9457) with the members `type`, `title`, `status`,
`detail`, `code` and `request_id`.

A definition may give its refusals another shape with `error_template`, a JSON object whose strings may use `{{.Message}}`,
`{{.Code}}`, `{{.StatusCode}}`, `{{.RequestID}}` and `{{.Detail}}`, and other words or statuses with `error_overrides`:
`{"quota-exceeded": {"status": 429, "message": "Come back tomorrow"}}`.

"event" is what webhooks and log handlers of a definition hear. "closes": the connection ends after the answer.
"""


def document() -> str:
    """The text of docs/errors.md about the data plane."""
    lines = [_DOCUMENT_HEAD]
    group = None
    for kind in REGISTRY.values():
        if kind.group != group:
            group = kind.group
            lines += [f"\n## {group}\n", "| code | status | message | event | what to do |", "| --- | --- | --- | --- | --- |"]
        detail = (kind.detail or "") + (" (closes)" if kind.closes else "")
        cells = (f"`{kind.code}`", str(kind.status), f"`{kind.message}`", kind.event or "", detail.strip())
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
