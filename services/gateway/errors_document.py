"""Writes docs/errors.md from the tables of refusals: `python -m services.gateway.errors_document > docs/errors.md`."""

from __future__ import annotations

from typing import Final

from services.gateway import refusals
from services.gateway.operator_api.refusals import APPLICATION, KINDS

_OPERATOR_HEAD: Final = """
## The operator's port

Below `/api/` an error has Tyk's envelope with `Code`, `RequestId` and, where something has a place, `Errors`: `[{"pointer", "message"}]`;
below `/tyk/` it has `message`, `code`, `request_id` and `errors`. Nothing has changed then. Fields of a definition that are not known are
in `Warnings` (`warnings`). A code may have several messages; they are Tyk's where it has the call. Before that the port reads a request
as strictly as the public one, and refuses it in the same form, for instance with `body-too-large` above 10 MB.

| code | status | what to do |
| --- | --- | --- |
"""


def document() -> str:
    """Give the text of docs/errors.md: the data plane's refusals, then those of the operator's port."""
    return refusals.document() + _OPERATOR_HEAD + "".join(_row(kind.code, kind.statuses, kind.remedy) for kind in (*KINDS, *APPLICATION))


def _row(code: str, statuses: tuple[int, ...], remedy: str) -> str:
    return f"| `{code}` | {', '.join(map(str, statuses))} | {remedy} |\n"


if __name__ == "__main__":
    print(document(), end="")
