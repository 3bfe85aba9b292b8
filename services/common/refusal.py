"""How any layer of a service says no. Imports nothing: rules, stores and services raise it without knowing of HTTP's framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """A request is refused; the service's `render_error` makes the answer.

    status: HTTP status. message: what the client reads. code: stable, kebab-case; made of the message when it is left out. fields: what is
    wrong, by field. headers: sent besides.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str = "",
        *,
        fields: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or message.lower().replace(" ", "-")
        self.fields = fields
        self.headers = dict(headers or {})
