"""How the operator API says no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.refusals import counted


class Refused(Exception):
    """A call is refused; `render` gives it the shape of the API that was called.

    status: HTTP status. message: Tyk's words where Tyk has them. code: stable, kebab-case. mistakes: what is wrong, and where.
    warnings: what would be kept without effect.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        *,
        mistakes: Iterable[Mistake] = (),
        warnings: Iterable[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
        self.headers = dict(headers or {})


def invalid(what: str, mistakes: Mistakes, message: str = "", warnings: Iterable[Mistake] = ()) -> Refused:
    """400 that names every mistake. what: "definition", "key", ...; message: replaces the summary."""
    summary = message or f"The {what} has {counted(len(mistakes.mistakes), 'mistake')}: {mistakes}"
    return Refused(400, summary, f"invalid-{what}", mistakes=mistakes.mistakes, warnings=warnings)
