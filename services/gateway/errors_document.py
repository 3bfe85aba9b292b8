"""Generates docs/errors.md from the tables of refusals: `python -m services.gateway.errors_document > docs/errors.md`."""

from __future__ import annotations

from typing import Final

from services.gateway.operator_api.refusals import APPLICATION, KINDS
from services.gateway.refusals import REGISTRY

_HEAD: Final = """\
# Errors of the gateway

Generated from the tables in `services/gateway/refusals.py` and `services/gateway/operator_api/refusals.py`
(`python -m services.gateway.errors_document > docs/errors.md`); a test fails when this page is stale.

A refused request gets a JSON object: `error` is the message, `code` is stable and meant for programs, `request_id` leads to the
request in the log and is also in the header `X-Request-Id`; `detail`, if there is one, says what to do. Every refusal of the
gateway carries `X-Generator: gatehouse`, which tells it apart from an upstream's own answer.

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
`{"quota-exceeded": {"status": 429, "message": "Come back tomorrow"}}`. Tyk's form, by status, is served as well; it also replaces bodies,
headers and errors of the upstream ([definitions.md](definitions.md#errors)). A request that cannot be read is answered in the shape of the
API that its path seems to belong to.

"event": the event that webhooks and log handlers of a definition receive. "closes": the connection ends after the answer.
"""
_OPERATOR_HEAD: Final = """
## The operator's port

Below `/api/` an error has Tyk's envelope with `Code`, `RequestId` and, when mistakes have places, `Errors`: `[{"pointer", "message"}]`;
below `/tyk/` it has `message`, `code`, `request_id` and `errors`. A refused write changes nothing. `Warnings` (`warnings`) lists unknown
fields of a definition. A code may have several messages; they are Tyk's where Tyk has the call. The port first checks the HTTP request as
strictly as the public port does, and refuses it with the codes and in the form above: for instance `body-too-large` above 10 MB.

| code | status | what to do |
| --- | --- | --- |
"""


def document() -> str:
    """Return the text of docs/errors.md: the data plane's refusals, then those of the operator's port."""
    lines = [_HEAD]
    group = None
    for kind in REGISTRY.values():
        if kind.group != group:
            group = kind.group
            lines += [f"\n## {group}\n", "| code | status | message | event | what to do |", "| --- | --- | --- | --- | --- |"]
        detail = (kind.detail or "") + (" (closes)" if kind.closes else "")
        lines.append(_row(f"`{kind.code}`", str(kind.status), f"`{kind.message}`", kind.event or "", detail.strip()))
    lines.append(_OPERATOR_HEAD.rstrip())
    lines += [_row(f"`{kind.code}`", ", ".join(map(str, kind.statuses)), kind.remedy) for kind in (*KINDS.values(), *APPLICATION)]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print(document(), end="")
