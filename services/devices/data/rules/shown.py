"""How records and numbers look in an answer: JSON, written by hand, because an answer has up to 10,000 records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring
from typing import Final

from services.devices.data.rules import times
from services.devices.data.rules.merging import Row

_WRITTEN_OUT: Final = 1e21  # whole numbers below it have no exponent, as JavaScript writes them


def record_id(device_no: int, seq: int) -> str:
    """Return the id of a record: 24 hexadecimal digits."""
    return f"{device_no:08x}{seq:016x}"


def read_id(device_no: int, text: str) -> int | None:
    """Return the seq of a record of this device; None when the id is another device's, or none at all."""
    if len(text) != 24 or not text.startswith(f"{device_no:08x}"):
        return None
    try:
        seq = int(text[8:], 16)
    except ValueError:
        return None
    return seq if record_id(device_no, seq) == text and seq < 1 << 63 else None


def number(value: float) -> str:
    """Write a number as JSON: a whole one as `3`, not `3.0`. value: finite."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text and value.is_integer() and abs(value) < _WRITTEN_OUT:
        return str(int(value))
    return text


def writer(device_id: str, device_no: int, names: Mapping[int, str], *, details: bool) -> Callable[[Row], str]:
    """Return what writes a record of this device. names: of its variables by number. details: with the time of its arrival."""
    own = f'","device":{json.dumps(device_id)},"variable":'
    prefix = f'{{"id":"{device_no:08x}'
    variables = _Encoded(names)
    quoted, moment, written = encode_basestring, times.write, number

    def write(row: Row) -> str:
        variable, time, seq, figure, value, unit, group, location, metadata, created_at = row
        shown = "" if value is None and figure is None else f',"value":{written(figure) if value is None else value}'  # type: ignore[arg-type]
        if unit is not None:
            shown += f',"unit":{quoted(unit)}'
        if group is not None:
            shown += f',"group":{quoted(group)}'
        shown = f'{prefix}{seq:016x}{own}{variables[variable]}{shown},"time":"{moment(time)}"'
        if location is not None:
            shown += f',"location":{location}'
        if metadata is not None:
            shown += f',"metadata":{metadata}'
        return f'{shown},"created_at":"{moment(created_at)}"}}' if details else shown + "}"

    return write


def listed(items: Iterable[str]) -> str:
    """Write a list of what is JSON already."""
    return "[" + ",".join(items) + "]"


def point(time: int, value: float) -> str:
    """Write one value of an aggregate."""
    return f'{{"time":"{times.write(time)}","value":{number(value)}}}'


class _Encoded(dict[int, str]):
    """Names as JSON, each made once."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, variable: int) -> str:
        found = self[variable] = encode_basestring(self._names[variable])
        return found
