"""Every way the data plane says no, in one table: code, status, wording, event.

A refusal is raised anywhere on the way of a request (`raise Refusal(KEY_EXPIRED)`); `rendering.py` writes the answer, and
`errors_document.py` writes the table down as docs/errors.md. The messages are Tyk 3.1's, word for word, because clients
compare them; what Tyk's words do not say (which limit, what to do) stands in `detail`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from services.gateway.wire.heads.grammar import Header

EventKey = Literal["key", "address", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class RefusalKind:
    """One row of the table of refusals.

    code: stable, kebab-case. status: HTTP status. message: the `error` of the body (Tyk 3.1's words where Tyk has it).
    event, event_message: what webhooks hear (None = nothing). event_key: whose name the event carries: the key, the client's
    address, or none. detail: what to do, when the message does not say it. closes: the connection ends after the answer.
    group: the heading of docs/errors.md that it stands below.
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


class Refusal(Exception):
    """Ends a request with a refusal.

    headers: sent besides the usual ones (`Retry-After`, `WWW-Authenticate`, ...). detail: replaces the kind's own detail.
    reason: the `Reason` of the event's metadata; the message when it is not given. message: replaces the kind's own, where Tyk's words
    name what was refused. status: replaces the kind's own, where a definition chooses it.
    """

    __slots__ = ("detail", "headers", "kind", "message", "reason", "status")

    def __init__(
        self,
        kind: RefusalKind,
        *,
        headers: Iterable[Header] = (),
        detail: str | None = None,
        reason: str | None = None,
        message: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.status = kind.status if status is None else status
        self.message = kind.message if message is None else message
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
    kind = RefusalKind(code, status, message, event, event_message, event_key, detail, closes, _group)
    if code in REGISTRY:
        raise ValueError(f"two refusals have the code {code}")
    REGISTRY[code] = kind
    return kind


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
    detail="Send either Content-Length or Transfer-Encoding: chunked, and only once.",
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
INTERNAL_ERROR = _kind(
    "internal-error",
    500,
    "There was a problem with the gateway",
    detail="The operator finds the cause in the log by the request id.",
)

_group = "Finding the API"
NOT_FOUND = _kind("not-found", 404, "Not Found", detail="No active API listens on this host and path.")
DEFINITION_BROKEN = _kind(
    "definition-broken",
    503,
    "This API cannot be served",
    detail="Its stored definition is no longer valid; the API list tells the operator why.",
)
DEFINITIONS_UNAVAILABLE = _kind(
    "definitions-unavailable",
    503,
    "The gateway has no API definitions yet",
    detail="It started without its database and has no copy to serve; it recovers as soon as the database is back.",
)

_group = "The organisation"
ORG_INACTIVE = _kind(
    "organisation-inactive",
    403,
    "This organisation access has been disabled, please contact your API administrator.",
    detail="The owner of this API is switched off; the operator can switch it on again.",
)


def _org_kind(code: str, message: str, event: str, event_message: str) -> RefusalKind:
    return _kind(code, 403, message, event=event, event_message=event_message, event_key="none")


ORG_RATE_LIMITED = _org_kind(
    "organisation-rate-exceeded",
    "This organisation rate limit has been exceeded, please contact your API administrator",
    "OrgRateLimitExceeded",
    "Organisation rate limit has been exceeded",
)
ORG_QUOTA_EXCEEDED = _org_kind(
    "organisation-quota-exceeded",
    "This organisation quota has been exceeded, please contact your API administrator",
    "OrgQuotaExceeded",
    "Organisation quota has been exceeded",
)

_group = "Client certificates"
TLS_MISSING = _kind(
    "tls-missing",
    403,
    "TLS not enabled",
    detail="This API asks for a client certificate, and the request did not come over TLS of the gateway's own.",
    closes=True,
)
# They close, so that the next request begins another handshake, in which the client is asked: it may not have been before.
CERTIFICATE_MISSING = _kind(
    "certificate-missing", 403, "Client TLS certificate is required", detail="Show a certificate in the TLS handshake.", closes=True
)
CERTIFICATE_REFUSED = _kind(
    "certificate-refused",
    403,
    "Certificate with SHA256 … not allowed",
    detail="The certificate is not among those that this API allows; the message names it.",
)
CERTIFICATE_EXPIRED = _kind(
    "certificate-expired", 403, "Certificate has expired", detail="Show a certificate that is valid now; the detail says which is not."
)
CERTIFICATE_FOR_KEY_MISSING = _kind(
    "certificate-for-key-missing",
    401,
    "Client certificate required",
    detail="The key of this API is found by the client's certificate: show one in the TLS handshake.",
    closes=True,
)
CERTIFICATE_UNKNOWN = _kind(
    "certificate-unknown",
    401,
    "Access to this API has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="No key belongs to the certificate.",
)
CERTIFICATE_OF_ANOTHER = _kind(
    "certificate-of-another",
    401,
    "Access to this API has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The key counts only together with one of its own certificates.",
    closes=True,
)
CERTIFICATES_UNAVAILABLE = _kind(
    "certificates-unavailable",
    503,
    "The certificate cannot be checked now",
    detail="The gateway started without its database; it recovers as soon as the database is back.",
    closes=True,
)

_group = "Address, version and path"
IP_REFUSED = _kind(
    "ip-refused",
    403,
    "access from this IP has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    event_key="address",
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
USER_UNKNOWN = _kind(
    "user-unknown",
    401,
    "User not authorised",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The user name or the password is wrong.",
)
BASIC_MALFORMED = _kind(
    "basic-malformed",
    400,
    "Attempted access with malformed header, header not in basic auth format",
    detail="Send `Basic`, a space, and the base64 of the user name, a colon and the password.",
)
BASIC_NOT_ENCODED = _kind(
    "basic-not-encoded",
    400,
    "Attempted access with malformed header, auth data not encoded correctly",
    detail="What follows `Basic` is not base64.",
)
BASIC_WITHOUT_COLON = _kind(
    "basic-without-colon",
    400,
    "Attempted access with malformed header, values not in basic auth format",
    detail="A colon is missing between the user name and the password.",
)
PASSWORDS_BUSY = _kind(
    "passwords-busy", 503, "The password cannot be checked now", detail="Too many passwords wait for their check; try again in a moment."
)
_SIGNATURE = "Authorization field missing, malformed or invalid"
SIGNATURE_MALFORMED = _kind(
    "signature-malformed",
    400,
    _SIGNATURE,
    detail='Send Authorization: Signature keyId="…",algorithm="hmac-sha256",headers="(request-target) date",signature="…", and a Date.',
)
SIGNATURE_INVALID = _kind(
    "signature-invalid",
    400,
    _SIGNATURE,
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The key is not known, has no HMAC secret, or the signature is not that of this request.",
)
SIGNATURE_OUT_OF_TIME = _kind(
    "signature-out-of-time", 400, "Date is out of allowed range.", detail="The clock of the client is too far from the gateway's."
)
OAUTH_TOKEN_MISSING = _kind(
    "oauth-token-missing", 400, "Authorization field missing", detail="Send an access token where the API expects it."
)
BEARER_MALFORMED = _kind(
    "bearer-malformed", 400, "Bearer token malformed", detail="Send `Authorization: Bearer`, a space, and the access token."
)
OAUTH_TOKEN_UNKNOWN = _kind(
    "oauth-token-unknown",
    403,
    "Key not authorised",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The access token is not known, or it is not one of a client of this API; get another one.",
)
TOKEN_REFUSED = _kind(
    "token-refused",
    403,
    "Key not authorized",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="What was sent is not a JSON Web Token that a key of this API's issuer signed; get a new one there.",
)
TOKEN_EXPIRED = _kind("token-expired", 401, "Key not authorized: token has expired", detail="Get a new token from its issuer.")
TOKEN_USED_EARLY = _kind(
    "token-used-early",
    401,
    "Key not authorized: token used before issued",
    detail="The clocks of the issuer and the gateway differ; the API's jwt_issued_at_validation_skew says by how much they may.",
)
TOKEN_NOT_VALID_YET = _kind(
    "token-not-valid-yet",
    401,
    "Key not authorized: token is not valid yet",
    detail="Wait until the token's nbf, or get a new token from its issuer.",
)
TOKEN_NOT_FOR_THIS = _kind(
    "token-not-for-this-api",
    403,
    "Key not authorized",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The token is signed rightly, and its issuer (iss) or its audience (aud) is not one that this API takes.",
)
TOKEN_WITHOUT_IDENTITY = _kind(
    "token-without-identity",
    403,
    "no suitable claims for user ID were found",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The token does not say who calls; the detail says which claim should.",
)
TOKEN_WITHOUT_POLICY = _kind(
    "token-without-policy",
    403,
    "key not authorized: no matching policy found",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="No policy of this API's organisation belongs to the token; the log tells the operator which ones were looked for.",
)
TOKEN_SCOPE_WITHOUT_POLICY = _kind(
    "token-scope-without-policy",
    403,
    "key not authorized: no matching policy found in scope claim",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="None of the token's scopes gives a right to this API; get a token with another scope.",
)
TOKENS_BUSY = _kind(
    "tokens-busy", 503, "The token cannot be checked now", detail="Too many new tokens wait for their check; try again in a moment."
)
KEY_SET_UNAVAILABLE = _kind(
    "key-set-unavailable",
    503,
    "The token cannot be checked now",
    detail="The keys of the token's issuer cannot be fetched; try again in a moment.",
)
KEYS_UNAVAILABLE = _kind("keys-unavailable", 503, "The key cannot be checked now", detail="Try again in a moment.")

_group = "The OAuth2 endpoints"
OAUTH_METHOD = _kind("oauth-method", 405, "Method not supported", detail="The header Allow names the methods of this endpoint.")
OAUTH_MALFORMED = _kind(
    "oauth-malformed", 400, "Request malformed", detail="Send a form (application/x-www-form-urlencoded, UTF-8) of at most 100 fields."
)
OAUTH_OPERATOR_KEY_WRONG = _kind(
    "oauth-operator-key-wrong",
    403,
    "Attempted administrative access with invalid or missing key!",
    detail="The server of the login page sends the operator key in `x-tyk-authorization`.",
)
KEY_RULES_MISSING = _kind(
    "key-rules-missing",
    400,
    "Authorise request is missing key_rules in params",
    detail="Send `key_rules`, a session object as JSON, or give the client a policy.",
)
KEY_RULES_INVALID = _kind("key-rules-invalid", 400, "Request malformed", detail="The detail names the mistakes of `key_rules`.")
OAUTH_BUSY = _kind("oauth-busy", 503, "The token server is busy", detail="Too many requests wait for it; try again in a moment.")
OAUTH_UNAVAILABLE = _kind("oauth-unavailable", 503, "The token server is not available now", detail="Try again in a moment.")

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
    detail="The key has passed its expiry; the operator can set a later one.",
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

BODY_NOT_JSON = _kind("body-not-json", 400, "JSON parsing error", detail="The body is not valid JSON.")
BODY_INVALID = _kind("body-invalid", 422, "payload validation failed", detail="The body does not fit the schema of this endpoint.")
BODIES_BUSY = _kind(
    "bodies-busy",
    503,
    "Too many bodies at the same time",
    detail="Bodies that are validated or changed take all the room; try again shortly.",
)

_group = "Scripts"
SCRIPT_FAILED = _kind(
    "script-failed",
    500,
    "Internal Server Error",
    detail="A script of this API failed; the gateway's log says why. The request went no further.",
)
SCRIPT_TIMEOUT = _kind(
    "script-timeout",
    500,
    "Internal Server Error",
    detail="A script of this API took longer than it may. The request went no further.",
)
SCRIPT_REFUSED = _kind("script-refused", 403, "Access to this API has been disallowed", detail="A script of this API refused the request.")
SCRIPTS_BUSY = _kind(
    "scripts-busy", 503, "Too many scripts at the same time", detail="Scripts of this API take all the room; try again shortly."
)

SCRIPT_NOT_AUTHORISED = _kind(
    "script-not-authorised",
    403,
    "Access to this API has been disallowed",
    event="AuthFailure",
    event_message="Auth Failure",
    detail="The script of this API that checks who calls did not let the request in.",
)

_group = "Upstream"
_PROXY_PROBLEM = "There was a problem proxying the request"
LOOP_UNKNOWN = _kind(
    "loop-unknown", 502, "Can't detect loop target", detail="The API that the definition names by tyk:// is not here, or of another owner."
)
LOOP_LIMIT = _kind(
    "loop-limit",
    500,
    "Loop level too deep. Found more than 5 loops in single request",
    detail="The definitions send the request from API to API; `loop_limit` in tyk:// allows more.",
)
UPSTREAM_UNREACHABLE = _kind("upstream-unreachable", 502, _PROXY_PROBLEM, detail="No connection to the upstream could be made.")
UPSTREAM_TOO_LARGE = _kind(
    "upstream-too-large", 502, _PROXY_PROBLEM, detail="The upstream's answer is larger than what the gateway may read to change it."
)
UPSTREAM_TIMEOUT = _kind(
    "upstream-timeout",
    504,
    _PROXY_PROBLEM,
    detail="The upstream was slower than a limit; the detail says which, how long it is and where it is set.",
)
UPSTREAM_BROKEN = _kind("upstream-broken", 502, _PROXY_PROBLEM, detail="The upstream ended the connection or its answer is not valid HTTP.")

UPSTREAM_KEY_WRONG = _kind(
    "upstream-key-wrong", 502, _PROXY_PROBLEM, detail="The upstream has shown another public key than those in pinned_public_keys."
)
CIRCUIT_OPEN = _kind(
    "circuit-open", 503, "Service temporarily unavailable.", detail="The upstream failed too often for this endpoint; try again later."
)


def counted(number: float, unit: str) -> str:
    """Return a number with its unit: `1 second`, `2 seconds`, `0.5 seconds`; `1 mistake`, `2 mistakes`."""
    return f"{number:.12g} {unit}" if number == 1 else f"{number:.12g} {unit}s"
