"""The JSON of what a definition changes in the gateway's refusals: their shape, status and message.

Fields:
* `error_template` (own): The JSON object that a refusal is answered with. Its strings may use `{{.Message}}`, `{{.Code}}`,
  `{{.StatusCode}}`, `{{.RequestID}}` and `{{.Detail}}`.
* `error_overrides` (5.13): Replaces the status or the message of refusals, by error code. Differs: Tyk's form, by status, is a mistake.
* `error_overrides_disabled` (5.13): Switches `error_overrides` off.
* `error_overrides.*.status` (own, the refusal's own): The status of the answer.
* `error_overrides.*.message` (own, the refusal's own): The message of the answer.
"""

from __future__ import annotations

import re
from typing import Any, Final

from services.gateway.definitions.model import ErrorOverride
from services.gateway.definitions.reader import Reader
from services.gateway.refusals import REGISTRY
from services.gateway.rendering import TEMPLATE_VARIABLES, template_variables

_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|xx)")


def read_error_template(root: Reader) -> dict[str, Any] | None:
    """Read the shape of refusals; None = the gateway's own."""
    template = {key: value for key, value, _ in root.mapping("error_template")}
    unknown = sorted(template_variables(template) - TEMPLATE_VARIABLES)
    if unknown:
        known = ", ".join(sorted(TEMPLATE_VARIABLES))
        root.mistake("error_template", f"error_template uses {', '.join(unknown)}; known are {known}")
    return template or None


def read_error_overrides(root: Reader) -> dict[str, ErrorOverride]:
    """Read what replaces the status and message of refusals, by error code."""
    overrides: dict[str, ErrorOverride] = {}
    given = root.mapping("error_overrides")
    if root.flag("error_overrides_disabled"):
        return overrides
    for code, value, pointer in given:
        if _STATUS.fullmatch(code):
            root.report.add(pointer, "not available yet: error_overrides by status; write them by error code (docs/errors.md lists them)")
            continue
        if code not in REGISTRY:
            root.report.add(pointer, f"`{code}` is not an error code of the gateway; docs/errors.md lists them")
        reader = root.member(value, pointer)
        status = reader.integer("status", 0, 400, 599) if "status" in reader else None
        overrides[code] = ErrorOverride(status, reader.text("message") if "message" in reader else None)
    return overrides
