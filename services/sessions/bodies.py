"""What a request sends: JSON, or the fields of a form."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from flask import Request

from services.sessions import refusals

_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class _Twice(ValueError):
    """An object has a name twice."""


def is_form(request: Request) -> bool:
    """Say whether the request sends a form."""
    return request.mimetype in _FORMS


def fields(request: Request) -> dict[str, str]:
    """Return the fields of a form. Raises Refusal 400 for one that is there twice, and for files."""
    if request.files:
        raise refusals.invalid_request("a form may not send files; send texts.")
    found: dict[str, str] = {}
    for name, texts in request.form.lists():
        if not isinstance(name, str):  # a part without one, which Werkzeug calls None
            raise refusals.invalid_request("the form has a part without a name.")
        if len(texts) > 1:
            raise refusals.invalid_request(f"the form has {name[:50]!r} more than once.")
        found[name] = texts[0]
    return found


def json_value(request: Request) -> Any:
    """Read the body as JSON, in UTF-8 whatever the charset says (RFC 8259); None when there is none. Raises Refusal 400, 415."""
    content = request.get_data()
    if not content.strip():
        return None
    if request.mimetype != "application/json":
        raise refusals.unsupported_media_type()
    return read_json(content)


def read_json(content: bytes) -> Any:
    """Read JSON, as `json_value` does. Raises Refusal 400."""
    if not content.strip():
        return None
    try:
        return json.loads(content, parse_constant=_not_json, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except _Twice as error:
        reason = f"an object has {str(error)[:50]!r} twice"
    except (ValueError, RecursionError):
        reason = "nested too deeply, or a number that JSON does not have"
    raise refusals.invalid_request(f"the body is not JSON: {reason}.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _Twice(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]
    return found


def _not_json(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's
