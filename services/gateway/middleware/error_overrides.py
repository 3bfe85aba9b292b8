"""Replaces errors that the upstream answers (4xx, 5xx), by the rules of `error_overrides` that may mean them.

The rules are those of the section Errors below, which also replace the gateway's own refusals. A rule with a body or a message replaces the
body; one without changes the status and the headers only. When a rule looks into bodies, the upstream is asked for plain ones; one that is
compressed nevertheless does not match.

Refusals: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from services.gateway.definitions.error_rules import ErrorRule, ErrorRules
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.rendering import upstream_error
from services.gateway.wire.heads.names import OF_BODY

# They are those of the old body.
_OF_OLD_BODY: Final = OF_BODY | {b"content-encoding", b"content-range", b"content-type", b"last-modified"}
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_BODILESS: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Spec:
    """The rules that may mean an answer."""

    rules: ErrorRules
    template: Any


def fields(reader: DefinitionReader) -> Spec | None:
    """Take the rules that the definition has; None when none of them means answers of the upstream."""
    rules = reader.definition.error_rules
    return Spec(rules, reader.definition.error_template) if rules is not None and rules.of_answers else None


def build(spec: Spec, ports: Ports) -> ErrorOverrides:
    """Build what changes the answers."""
    return ErrorOverrides(spec.rules, spec.template)


class ErrorOverrides:
    """Adds itself to `exchange.answer_transforms`."""

    __slots__ = ("_plain", "_rules", "_template")

    def __init__(self, rules: ErrorRules, template: Any) -> None:
        self._rules = rules.of_answers
        self._plain = rules.looks_into_bodies
        self._template = template

    def on_request(self, exchange: Exchange) -> None:
        if self._plain:
            exchange.drop_header(b"accept-encoding")
        exchange.answer_transforms = (*exchange.answer_transforms, self)

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        return head.status in self._rules

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes:
        """Return the body that the first matching rule gives, or the upstream's own."""
        compressed = any(name.lower() == b"content-encoding" and value.strip().lower() != b"identity" for name, value in head.headers)
        seen = b"" if compressed else body
        rule = next((rule for rule in self._rules.get(head.status, ()) if rule.matches_body(seen)), None)
        return body if rule is None else self._replaced(rule, exchange, head, body)

    def _replaced(self, rule: ErrorRule, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes:
        status = rule.status or head.status
        made = rule.text({"StatusCode": status, "Message": rule.message or "", "RequestID": exchange.request_id})
        if made is None and rule.message is not None:
            made = upstream_error(rule.message, status, exchange.request_id, self._template)
        if made is not None:
            kept = [header for header in head.headers if header[0].lower() not in _OF_OLD_BODY]
            head.headers = [*kept, (b"Content-Type", rule.content_type)]
            body = made if exchange.method != "HEAD" else b""
        if status != head.status:
            head.status = status
            head.reason = _REASONS.get(status, b"Unknown")
        head.headers = rule.changed(head.headers)
        return b"" if status in _BODILESS else body
