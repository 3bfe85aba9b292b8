"""Error templates and overrides: what their JSON becomes, and every mistake at its place."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import parse
from services.gateway.definitions.model import ErrorOverride
from services.gateway.definitions.reader import Mistakes
from tests.unit.gateway.exchanges import document


def mistakes(raw: dict[str, Any]) -> dict[str, str]:
    """What is said of a document, by place."""
    with pytest.raises(Mistakes) as wrong:
        parse(raw)
    return dict(wrong.value.mistakes)


def test_error_templates_and_overrides() -> None:
    template = {"fault": {"text": "{{.Message}}", "code": "{{ .StatusCode }}", "list": ["{{.RequestID}}", 5]}}
    found = parse(document(error_template=template, error_overrides={"quota-exceeded": {"status": 429, "message": ""}, "key-missing": {}}))
    assert found.error_template == template
    assert found.error_overrides == {"quota-exceeded": ErrorOverride(429, ""), "key-missing": ErrorOverride(None, None)}
    wrong = mistakes(
        document(
            error_template={"a": ["{{.Secret}}"]},
            error_overrides={"no-such": {}, "key-missing": {"status": 200}, "not-found": {"message": 5}},
        )
    )
    assert sorted(wrong) == [
        "/error_overrides/key-missing/status",
        "/error_overrides/no-such",
        "/error_overrides/not-found/message",
        "/error_template",
    ]
