"""Forms of events: their fields with what was typed, the token in them, and the same request as a program sends it."""

from __future__ import annotations

import hmac
import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import current_app

from services.sessions.events.events import Event, Kind, Parameter

TOKEN: Final = "csrf"  # noqa: S105  the name of a field
_TOKEN_S: Final = 24 * 3600
_LONG: Final = 200  # characters; what may be longer gets several lines
_NO_BOUND: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field. control: `select`, `textarea`, or the type of an `input`. attributes: further ones of the element. value: what stands in
    it. wrong: what is wrong with it, for people.
    """

    parameter: Parameter
    control: str
    hint: str
    attributes: Mapping[str, str]
    value: str
    wrong: str


def fields(event: Event, typed: Mapping[str, str], wrong: Mapping[str, str]) -> list[Field]:
    """Return the fields of an event's form. typed, wrong: by the names of parameters; secrets are not written back."""
    by_name = {name.lower(): text for name, text in typed.items()}
    found = []
    for place, one in enumerate(event.parameters):
        control = _control(one.kind)
        value = by_name.get(one.name.lower(), by_name.get(str(place), ""))
        if control == "password":
            value = ""
        if control == "select":
            value = next((choice for choice in one.kind.choices if choice.lower() == value.strip().lower()), "")
        found.append(Field(one, control, _hint(one), _attributes(one, control), value, _sentence(wrong.get(one.name, ""))))
    return found


def body(event: Event) -> str:
    """Write an example of the JSON list that fires an event; optional values at its end are left out."""
    values = [_example(one) for one in event.parameters]
    while values and values[-1] is None:
        values.pop()
    return json.dumps(values, ensure_ascii=False)


def curl(event: Event, address: str, *, in_session: bool) -> str:
    """Write the request of `body` for a shell. address: of the event, whole. in_session: it takes tokens, not a user's name."""
    who = ["-H 'token: TOKEN' -H 'clientToken: CLIENT_TOKEN'"] if in_session else ["-u USER"]
    parts = ["curl", *who, "-H 'Content-Type: application/json' -H 'Accept: application/json'", "-d " + shlex.quote(body(event))]
    return " \\\n  ".join([*parts, shlex.quote(f"{address}?f=JSON")])


def token(user: str) -> str:
    """Return a token for a form of this user, good for a day."""
    return _tokens(user, int(time.time()))[0]


def is_token(user: str, text: str) -> bool:
    """Say whether a form of this user had this token, within the last day."""
    moment, _, _ = text.partition(".")
    if not (moment.isascii() and moment.isdecimal() and len(moment) < 12):
        return False
    age = time.time() - int(moment)
    given = text.encode("utf-8", "replace")
    return -60 <= age <= _TOKEN_S and any(hmac.compare_digest(one.encode(), given) for one in _tokens(user, int(moment)))


def _tokens(user: str, moment: int) -> list[str]:
    """The token, and those under former master keys."""
    keys = current_app.extensions["sessions"].keys
    return [f"{moment}.{one.hex()[:32]}" for one in keys.derive("form", f"{user}:{moment}")]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') or not text else '.'}"


def _control(kind: Kind) -> str:
    if kind.choices:
        return "select"
    if kind.schema.get("format") == "password":
        return "password"
    type_ = kind.schema.get("type")
    if type_ in ("integer", "number"):
        return "number"
    return "text" if type_ == "string" and kind.schema.get("maxLength", _NO_BOUND) <= _LONG else "textarea"


def _attributes(parameter: Parameter, control: str) -> dict[str, str]:
    schema = parameter.kind.schema
    names = {"minimum": "min", "maximum": "max"} if control == "number" else {"minLength": "minlength", "maxLength": "maxlength"}
    found = {} if control == "select" else {names[one]: f"{schema[one]:.15g}" for one in names if schema.get(one)}
    if schema.get("minimum") == 0 and control == "number":
        found["min"] = "0"
    if control == "number" and schema.get("type") == "number":
        found["step"] = "any"
    return found


def _hint(parameter: Parameter) -> str:
    schema = parameter.kind.schema
    least, most = schema.get("minimum"), schema.get("maximum")
    bounds = ""
    if least is not None and least > -_NO_BOUND:
        bounds = f" from {least:.15g}"
    if most is not None and most < _NO_BOUND:
        bounds += f" to {most:.15g}"
    return f"{parameter.kind.name}{bounds}, {'optional' if parameter.optional else 'required'}"


def _example(parameter: Parameter) -> Any:
    schema = parameter.kind.schema
    type_ = str(schema.get("type"))
    if parameter.optional:
        return None
    if "example" in schema:
        return schema["example"]
    if type_ == "boolean":
        return True
    if parameter.kind.choices:
        return parameter.kind.choices[0]
    return max(0, schema.get("minimum", 0)) if type_ in ("integer", "number") else parameter.name
