"""What the schemas of all nouns share: the envelope, texts, tags, errors by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

ALWAYS: Final[dict[str, Any]] = {"required": True}
OR_NULL: Final[dict[str, Any]] = {"required": True, "allow_none": True}
A_DATE: Final[dict[str, Any]] = {"metadata": {"format": "date-time"}}
MOST_TAGS: Final = 30  # TagoIO


def visible(text: str) -> None:
    """Raise ValidationError for control characters and halves of a character."""
    if any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise ValidationError("Holds a character that cannot be shown.")


def storable(text: str) -> None:
    """Raise ValidationError for what no store keeps: NUL, and halves of a character."""
    if "\0" in text or any(0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise ValidationError("Holds a character that cannot be stored.")


def line(longest: int, shortest: int = 0) -> list[Callable[[Any], Any]]:
    """Return the checks of a text in one line. longest, shortest: in characters."""
    return [validate.Length(shortest, longest), visible]


class Flag(fields.Boolean):
    """`true` or `false`, and nothing that only looks so."""

    def _deserialize(self, value: Any, *given: Any, **options: Any) -> bool:
        if value is True or value is False:
            return value
        raise self.make_error("invalid", input=value)


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query string, in any case: the official Python library writes a capital."""

    def _deserialize(self, value: Any, *given: Any, **options: Any) -> bool:
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise self.make_error("invalid", input=value)


class Body(Schema):
    """A JSON object; what is not known is ignored."""

    class Meta:
        unknown = EXCLUDE


class Tag(Body):
    key = fields.String(**ALWAYS, validate=line(100, 1))
    value = fields.String(**ALWAYS, validate=line(250))


def given_tags() -> fields.List[Any]:
    """Declare the tags that somebody gives a thing."""
    return fields.List(fields.Nested(Tag), validate=validate.Length(max=MOST_TAGS))


class Failure(Schema):
    """How every refusal looks."""

    status = fields.Boolean(**ALWAYS, metadata={"enum": [False]})
    message = fields.String(**ALWAYS)
    field_errors = fields.Dict(
        keys=fields.String(), values=fields.List(fields.String()), metadata={"description": "What is wrong, by field; in a list `1.name`."}
    )


def envelope(name: str, result: fields.Field[Any]) -> type[Schema]:
    """Return the schema of a good answer. name: for the OpenAPI document. result: what it carries."""
    result.required = True
    return Schema.from_dict(
        {"status": fields.Boolean(**ALWAYS, metadata={"enum": [True]}), "result": result, "message": fields.String()}, name=name
    )


def said(name: str, text: str) -> type[Schema]:
    """Return the schema of a good answer that only says what was done. text: an example."""
    return envelope(name, fields.String(metadata={"example": text}))


def field_errors(messages: Any) -> Mapping[str, list[str]]:
    """Flatten marshmallow's messages: `{"tags": {0: {"key": [text]}}}` gives `{"tags.0.key": [text]}`."""
    found: dict[str, list[str]] = {}
    for place, text in _flat(messages, ()):
        found.setdefault(".".join(place), []).append(text)
    return found


def _flat(messages: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, Mapping):
        for name, inside in messages.items():
            yield from _flat(inside, place if name == "_schema" and place else (*place, str(name)))
    elif isinstance(messages, list):
        for one in messages:
            yield from _flat(one, place)
    else:
        yield place or ("_schema",), str(messages)
