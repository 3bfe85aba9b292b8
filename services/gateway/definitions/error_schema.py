"""The JSON of what a definition changes in errors: their shape, status and message.

Fields:
* `error_template` (own): The JSON object that a refusal is answered with. Its strings may use `{{.Message}}`, `{{.Code}}`,
  `{{.StatusCode}}`, `{{.RequestID}}` and `{{.Detail}}`.
* `error_overrides` (5.13): Replaces errors: by error code (an object), or by status as in Tyk: a status (`401`) or a class of them (`4xx`)
  with a list of rules, the first of which that matches decides. An entry by code comes before all rules by status.
* `error_overrides_disabled` (5.13): Switches `error_overrides` off.
* `error_overrides.*.status` (own, the refusal's own): The status of the answer.
* `error_overrides.*.message` (own, the refusal's own): The message of the answer.
* `error_overrides.*[].match.flag` (5.13): The kind of error: `AMF`, `AKI`, `TKE`, `TKI`, `TCV`, `CRQ`, `CMM`, `BTL`, `CLM`, `BIV`, `IHD`,
  `RLT`, `QEX`, `URT`, `UPE`, `CBO`, or `URS` for the upstream's own 5xx. Differs: Flags that tell more apart than the gateway does, and
  those whose refusals never have the status, are mistakes. Rules with `URS` never replace a refusal.
* `error_overrides.*[].match.message_pattern` (5.13): A regular expression in RE2's syntax, searched in the message of a refusal or in the
  body of an upstream's answer. Differs: The first 64 KB are looked at, and not 4 KB.
* `error_overrides.*[].match.body_field` (5.13): The place in the JSON of an upstream's answer, such as `error.code` or `errors.0.id`.
  Differs: Other forms of gjson are mistakes; a rule with it never replaces a refusal; a body above 64 KB does not match.
* `error_overrides.*[].match.body_value` (5.13): The value there, as text.
* `error_overrides.*[].response.status_code` (5.13, the error's own): The status of the answer.
* `error_overrides.*[].response.code` (5.13): The same, as early releases name it.
* `error_overrides.*[].response.message` (5.13, the refusal's own): The message of the answer, also in `body`.
* `error_overrides.*[].response.body` (5.13): The body of the answer: a text, or a template that may use `{{.StatusCode}}`, `{{.Message}}`,
  `{{.InvalidParams}}`, `{{.Code}}`, `{{.RequestID}}` and `{{.Detail}}`. Differs: Texts that it puts into JSON are escaped. Its type is
  JSON when it begins as JSON, else plain text, unless `headers` say it.
* `error_overrides.*[].response.template` (5.13): Without effect beside `body`. Differs: Without `body` it is a mistake: there are no files
  of templates.
* `error_overrides.*[].response.headers` (5.13): Header fields that are set in the answer; an empty value takes one out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from services.gateway.definitions import values
from services.gateway.definitions.checking import read_headers
from services.gateway.definitions.error_rules import ErrorRule, ErrorRules
from services.gateway.definitions.model import ErrorOverride
from services.gateway.definitions.reader import Reader, join
from services.gateway.refusals import REGISTRY
from services.gateway.rendering import TEMPLATE_VARIABLES, template_variables
from services.gateway.routing.patterns import PatternError, expression
from services.gateway.templating.syntax import TemplateError
from services.gateway.templating.templates import Template

_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|xx)")
_ERROR: Final = re.compile(r"[45](?:[0-9]{2}|xx)")
_UPSTREAM: Final = "URS"
# Tyk's flags and the error codes that they mean.
FLAGS: Final = {
    "AMF": ("key-missing", "oauth-token-missing"),
    "AKI": ("key-unknown", "user-unknown", "oauth-token-unknown", "key-inactive"),
    "TKE": ("key-expired", "token-expired", "certificate-expired"),
    "TKI": ("token-refused", "bearer-malformed", "basic-malformed", "basic-not-encoded", "basic-without-colon"),
    "TCV": (
        "token-used-early", "token-not-valid-yet", "token-not-for-this-api", "token-without-identity", "token-without-policy",
        "token-scope-without-policy",
    ),
    "CRQ": ("certificate-missing", "tls-missing"),
    "CMM": ("certificate-refused", "certificate-unknown", "certificate-of-another"),
    "BTL": ("body-too-large",),
    "CLM": ("length-required",),
    "BIV": ("body-invalid", "body-not-json"),
    "IHD": ("bad-header",),
    "RLT": ("rate-limit-exceeded", "api-rate-limit-exceeded", "organisation-rate-exceeded"),
    "QEX": ("quota-exceeded", "organisation-quota-exceeded"),
    "URT": ("upstream-timeout",),
    "UPE": ("upstream-broken",),
    "CBO": ("circuit-open",),
}  # fmt: skip
# Flags that tell apart what the gateway does not.
_FINER: Final = {
    **dict.fromkeys(("UCF", "DNS", "NRH", "NHU", "TLE", "TLI", "TLM", "TLN", "TLH", "TLP", "TLA", "TLC"), "upstream-unreachable"),
    "UCT": "upstream-timeout",
    **dict.fromkeys(("URR", "EPI", "CAB", "NRS"), "upstream-broken"),
}
# Whose status a definition may choose.
_ANY_STATUS: Final = frozenset({"BIV"})
_PATH: Final = re.compile(r"[\w\- $:/]+(?:\.[\w\- $:/]+)*")
_IN_BODIES: Final = TEMPLATE_VARIABLES | {"InvalidParams"}


def read_error_template(root: Reader) -> dict[str, Any] | None:
    """Read the shape of refusals; None = the gateway's own."""
    template = {key: value for key, value, _ in root.mapping("error_template")}
    unknown = sorted(template_variables(template) - TEMPLATE_VARIABLES)
    if unknown:
        known = ", ".join(sorted(TEMPLATE_VARIABLES))
        root.mistake("error_template", f"error_template uses {', '.join(unknown)}; known are {known}")
    return template or None


def read_error_overrides(root: Reader) -> tuple[dict[str, ErrorOverride], ErrorRules | None]:
    """Read what replaces errors: by error code, and by status (None = nothing)."""
    overrides: dict[str, ErrorOverride] = {}
    rules: dict[str, tuple[ErrorRule, ...]] = {}
    given = root.mapping("error_overrides")
    if root.flag("error_overrides_disabled"):
        return overrides, None
    for code, value, pointer in given:
        if _STATUS.fullmatch(code):
            rules[code] = tuple(_rules(root, code, value, pointer))
            continue
        if code not in REGISTRY:
            root.report.add(pointer, f"`{code}` is not an error code (docs/errors.md lists them), nor a status such as 401 or 4xx")
        reader = root.member(value, pointer)
        status = reader.integer("status", 0, 400, 599) if "status" in reader else None
        overrides[code] = ErrorOverride(status, reader.text("message") if "message" in reader else None)
    return overrides, ErrorRules(rules) if any(rules.values()) else None


def _rules(root: Reader, status: str, value: Any, pointer: str) -> Iterable[ErrorRule]:
    if not isinstance(value, list):
        root.report.add(pointer, f"must be a list of rules: a status is given ({status}), and not an error code")
        return
    if value and not _ERROR.fullmatch(status):
        root.report.add(pointer, f"{status} is not the status of an error; 400 to 599, 4xx and 5xx can be replaced")
    for index, element in enumerate(value):
        yield _rule(root.member(element, join(pointer, index)), status)


def _rule(rule: Reader, status: str) -> ErrorRule:
    match = rule.object("match")
    flag = match.text("flag")
    if flag:
        _check_flag(match, flag, status)
    field, expected = match.text("body_field"), match.text("body_value")
    if field and not _PATH.fullmatch(field):
        match.mistake("body_field", "not available: this form of gjson; write names and places of lists with dots between: errors.0.code")
    if bool(field) != ("body_value" in match and (bool(field) or expected != "")):
        match.mistake("body_value", "body_field and body_value belong together: a place, and the value that is expected there")
    if flag and flag != _UPSTREAM and field:
        match.mistake("body_field", f"body_field is of an upstream's answer, and {flag} is a refusal of the gateway: it would never match")
    if "response" not in rule:
        rule.mistake("response", "response is missing; it says what the answer is")
    response = rule.object("response")
    return ErrorRule(
        codes=frozenset(FLAGS.get(flag, ())) if flag else None,
        pattern=_pattern(match),
        of_refusals=flag != _UPSTREAM and not field,
        of_answers=flag in ("", _UPSTREAM),
        body_field=tuple(field.split(".")) if field else (),
        body_value=expected,
        status=_status(response),
        message=response.text("message") if "message" in response else None,
        body=_body(response),
        headers=tuple((name.encode("ascii"), value.encode("utf-8")) for name, value in read_headers(response, "headers", _header)),
    )


def _check_flag(match: Reader, flag: str, status: str) -> None:
    if flag == _UPSTREAM:
        if status[0] != "5":
            match.mistake("flag", f"URS is of 5xx answers of the upstream only; with {status} it would never match")
    elif flag in _FINER:
        code = _FINER[flag]
        said = f"the gateway does not tell {flag} from other errors of the upstream; leave flag out, or write `{code}` in place of {status}"
        match.mistake("flag", said)
    elif flag not in FLAGS:
        match.mistake("flag", f"no refusal of the gateway has the flag `{flag[:20]}`; known are {', '.join((*FLAGS, _UPSTREAM))}")
    elif flag not in _ANY_STATUS and "message_pattern" not in match:
        statuses = {str(REGISTRY[code].status) for code in FLAGS[flag] if code in REGISTRY}
        if statuses and not any(one == status or status == f"{one[0]}xx" for one in statuses):
            match.mistake("flag", f"{flag} has the status {' or '.join(sorted(statuses))} here; with {status} it would never match")


def _pattern(match: Reader) -> Any:
    text = match.text("message_pattern")
    try:
        return expression(text) if text else None
    except PatternError as error:
        match.mistake("message_pattern", f"message_pattern is not a regular expression in RE2's syntax: {error}")
        return None


def _status(response: Reader) -> int | None:
    found = [response.integer(name, 0, 200, 599) for name in ("status_code", "code") if response.value(name)]
    return found[0] if found and found[0] else None


def _body(response: Reader) -> Template | None:
    source, file = response.text("body"), response.text("template")
    if file and not source:
        response.mistake("template", "not available: bodies in files; write the text of the template into `body`")
    if not source:
        return None
    unknown = sorted(template_variables(source) - _IN_BODIES)
    if unknown:
        response.mistake("body", f"body uses {', '.join(unknown)}; known are {', '.join(sorted(_IN_BODIES))}")
    try:
        return Template(source)
    except TemplateError as error:
        response.mistake("body", f"body is not a template that can be used: {error}")
        return None


def _header(name: str, value: str) -> tuple[str, str]:
    name, value = values.reply_header(name, value)
    if name.lower() == "x-request-id":
        raise ValueError("X-Request-Id is the gateway's own: it finds the request in the log")
    return name, value
