"""Conditions of lists in SQL: each store finds the same nodes. `searching.py` says which of them find nodes by an index."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased

from services.mobility.geometry.boxes import Box
from services.mobility.models import Member, Node, Record
from services.mobility.reads.rules import names
from services.mobility.reads.rules.queries import Filter

Condition = sa.ColumnElement[bool]
_PLAIN: Final = re.compile(r"[\w -]+", re.ASCII)  # a key that SQLite's JSON paths name without escapes
_NOT_TEXT: Final = re.compile(r"-?\d.*|true|false|null", re.ASCII)  # how JSON writes scalars that are no strings


def of_type(node_type: str) -> Condition:
    """In the words of the partial index: SQLite does not see that the one says the other."""
    return sa.and_(Node.node_type == sa.literal_column(f"'{node_type}'"), sa.text("nodes.node_type <> 'node'"))


def among(postgres: bool, key: Any, ids: Sequence[int]) -> Condition:
    """It is one of these; one parameter, however many they are."""
    if postgres:
        return sa.type_coerce(key == sa.any_(sa.literal(list(ids), postgresql.ARRAY(sa.BigInteger))), sa.Boolean)
    each = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return sa.type_coerce(key.in_(sa.select(each.c.value)), sa.Boolean)


def has_value(postgres: bool, record: type[Record], one: Filter, *, either: bool) -> Condition:
    """The record's data has the key with all the values that were given (no data has two that differ), or with any of them."""
    test = _has_value if postgres else _has_value_sqlite
    if not one.values:
        return test(record, one.key, None)
    return (sa.or_ if either else sa.and_)(*(test(record, one.key, value) for value in one.values))


def _has_value(record: type[Record], key: str, value: str | None) -> Condition:
    """By the text form: strings as they are, other scalars as JSON writes them."""
    one = sa.func.json_extract_path(record.data, key)
    if value is None:
        return one.is_not(None)
    text = sa.func.json_extract_path_text(record.data, key) == value
    return sa.or_(text, sa.func.json_typeof(one) == "null") if value == "null" else text


def _has_value_sqlite(record: type[Record], key: str, value: str | None) -> Condition:
    data = sa.type_coerce(record.data, sa.Text)
    if not _PLAIN.fullmatch(key):
        each = sa.func.json_each(data).table_valued("key", "type", "atom", "json")
        found = sa.select(sa.literal(1)).select_from(each).where(each.c.key == key)
        if value is not None:
            text = sa.case(
                (each.c.type.in_(("true", "false", "null")), each.c.type),
                else_=sa.cast(each.c.atom, sa.Text),
            )
            found = found.where(text == value)
        return sa.exists(found)
    path = f'$."{key}"'
    if value is None:
        return sa.func.json_type(data, path).is_not(None)
    text_is: Condition = sa.func.json_extract(data, path) == value  # a text equals no number
    if _NOT_TEXT.fullmatch(value):
        return sa.or_(text_is, sa.and_(sa.func.json_type(data, path) != "text", data.op("->")(path) == value))
    return text_is


def named(postgres: bool, text: str) -> Condition:
    """The name has the text in it, whatever its capitals."""
    return _having(postgres, [names.fold(text)])[0]


def alike(postgres: bool, sought: frozenset[str]) -> Condition:
    """The name has as many of the trigrams as every similar one has; others may have them, too."""
    hits = [sa.case((hit, 1), else_=0) for hit in _having(postgres, [trigram.strip() for trigram in sorted(sought)])]
    while len(hits) > 1:  # a chain of sums would be deeper than SQLAlchemy and SQLite go
        hits = [sum(hits[at + 1 : at + 2], start=hits[at]) for at in range(0, len(hits), 2)]
    return sa.and_(Node.name.is_not(None), hits[0] >= names.least_shared(sought))


def _having(postgres: bool, folded: Sequence[str]) -> list[Condition]:
    """The name has these folded texts in it. However many letters they are of, a condition is as deep."""
    column: sa.ColumnElement[str] = sa.type_coerce(Node.name, sa.Text)
    if not postgres:
        return [column.op("GLOB", is_comparison=True)(_pattern(text)) for text in folded]
    column = sa.func.lower(sa.collate(column, "C"))
    others = names.others("".join(folded))
    if others:
        column = sa.func.translate(column, "".join(other for other, _ in others), "".join(letter for _, letter in others))
    return [column.like(f"%{_escaped(text)}%", escape="\\") for text in folded]


def _pattern(folded: str) -> str:
    """Write SQLite's GLOB for names with a folded text in them: for each letter the set of those that equal it."""
    equals = {letter: letter + letter.upper() for letter in folded if letter.isascii() and letter.isalpha()}
    for other, letter in names.others(folded):
        equals[letter] = equals.get(letter, letter) + other
    equals |= {sign: sign for sign in "*?["}  # which in a set stand for themselves
    return f"*{''.join(f'[{equals[letter]}]' if letter in equals else letter for letter in folded)}*"


def _escaped(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def inside(boxes: Sequence[Box]) -> Condition:
    """It is fully inside one of the boxes, sides included."""
    return sa.or_(
        *(
            sa.and_(Node.min_lon >= box.west, Node.max_lon <= box.east, Node.min_lat >= box.south, Node.max_lat <= box.north)
            for box in boxes
        )
    )


def meets(box: Box) -> Condition:
    """Its box and this one meet; for a walk through all nodes, while `spatial.overlapping` is for an index."""
    return sa.and_(Node.min_lon <= box.east, Node.max_lon >= box.west, Node.min_lat <= box.north, Node.max_lat >= box.south)


def travelled(bits: int, *, either: bool) -> Condition:
    """The node itself has all of these modalities, or any."""
    common = Node.modalities.op("&", return_type=sa.Integer())(bits)
    return common != 0 if either else common == bits


def starting_in(node_id: int) -> sa.Select[int]:
    """Select the routes whose first member this is."""
    return sa.select(Member.route_id).where(Member.node_id == node_id, Member.position == 0)


def ending_in(node_id: int) -> sa.Select[int]:
    """Select the routes whose last member this is."""
    later = aliased(Member)
    after = sa.exists().where(later.route_id == Member.route_id, later.position > Member.position)
    return sa.select(Member.route_id).where(Member.node_id == node_id, ~after)


def going_through(node_ids: Sequence[int]) -> sa.Select[int]:
    """Select the routes that have these members, in this order, whatever is between them."""
    found = sa.select(Member.route_id).where(Member.node_id == node_ids[0])
    before: Any = Member
    for node_id in node_ids[1:]:
        following = aliased(Member)
        follows = sa.and_(following.route_id == before.route_id, following.position > before.position, following.node_id == node_id)
        found = found.join(following, follows)
        before = following
    return found
