"""Rules that replace errors by their status: Tyk 5's form of `error_overrides`, read and ready.

A rule applies to refusals of the gateway, to errors of the upstream, or to both. The first one that matches decides: those of the status
itself before those of its class (`4xx`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.gateway.refusals import Refusal
from services.gateway.templating.templates import Template, TooLarge
from services.gateway.wire.heads.grammar import Header

# Of an upstream's body, this much is looked at.
LOOKED_AT: Final = 64 * 1024
_LARGEST: Final = 256 * 1024  # characters of a filled body
_STEPS: Final = 3000
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """What replaces an error, and which errors.

    codes: of refusals that it matches, None = all of them. pattern: searched in the message of a refusal or in the body of an answer.
    of_refusals, of_answers: what it applies to. body_field: a way into the JSON of an answer, whose value there is `body_value`.
    status, message, body: None = as it is. headers: set in the answer; an empty value takes the field out.
    """

    codes: frozenset[str] | None = None
    pattern: Any = None
    of_refusals: bool = True
    of_answers: bool = True
    body_field: tuple[str, ...] = ()
    body_value: str = ""
    status: int | None = None
    message: str | None = None
    body: Template | None = None
    headers: tuple[Header, ...] = ()

    @property
    def looks_into_bodies(self) -> bool:
        """Tell whether the body of an answer decides."""
        return self.of_answers and (self.pattern is not None or bool(self.body_field))

    def matches_refusal(self, refusal: Refusal, message: str) -> bool:
        """Tell whether it replaces a refusal. As in Tyk, the kind of a refusal is enough, and so is its message."""
        if not self.of_refusals:
            return False
        if self.codes is not None and refusal.kind.code in self.codes:
            return True
        if self.pattern is not None:
            return self.pattern.search(message) is not None
        return self.codes is None

    def matches_body(self, body: bytes) -> bool:
        """Tell whether it replaces an answer with this body, `b""` = none that can be read."""
        if self.pattern is not None and self.pattern.search(body[:LOOKED_AT].decode("utf-8", "replace")) is None:
            return False
        return not self.body_field or _text(_found(body, self.body_field)) == self.body_value

    def text(self, values: Mapping[str, Any]) -> bytes | None:
        """Return the body, filled in; None when it has none, or would be too large."""
        if self.body is None:
            return None
        try:
            return self.body.fill(values, _LARGEST, _STEPS).encode("utf-8", "replace")
        except TooLarge:
            return None

    def changed(self, headers: list[Header]) -> list[Header]:
        """Return the headers of an answer as the rule changes them. `X-Generator` stays."""
        if not self.headers:
            return headers
        replaced = {name.lower() for name, _ in self.headers} - {b"x-generator"}
        kept = [header for header in headers if header[0].lower() not in replaced]
        return kept + [header for header in self.headers if header[1] and header[0].lower() in replaced]

    @property
    def content_type(self) -> bytes:
        """Return the type of the body where `headers` do not say it."""
        return b"application/json" if self.body is None or self.body.writes_json else b"text/plain; charset=utf-8"


class ErrorRules:
    """The rules of an API. of_answers: the statuses of answers for which there are any. looks_into_bodies: whether one needs a body."""

    __slots__ = ("_of_status", "looks_into_bodies", "of_answers")

    def __init__(self, rules: Mapping[str, tuple[ErrorRule, ...]]) -> None:
        of_status = {status: (*rules.get(str(status), ()), *rules.get(f"{status // 100}xx", ())) for status in range(400, 600)}
        self._of_status = {status: found for status, found in of_status.items() if found}
        self.of_answers = {
            status: tuple(rule for rule in found if rule.of_answers)
            for status, found in self._of_status.items()
            if any(rule.of_answers for rule in found)
        }
        self.looks_into_bodies = any(rule.looks_into_bodies for found in self.of_answers.values() for rule in found)

    def of_refusal(self, refusal: Refusal, message: str) -> ErrorRule | None:
        """Return the rule that replaces a refusal."""
        found = self._of_status.get(refusal.status, ())
        return next((rule for rule in found if rule.matches_refusal(refusal, message)), None)


def _found(body: bytes, path: tuple[str, ...]) -> Any:
    """Return what stands at a place of a JSON document, `_ABSENT` when it has no such place or cannot be read."""
    if len(body) > LOOKED_AT:
        return _ABSENT
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _ABSENT
    for name in path:
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return _ABSENT
    return value


def _text(value: Any) -> str | None:
    """Return a value as it is compared: a text as it is, anything else as JSON."""
    if value is _ABSENT:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
