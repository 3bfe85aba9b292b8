"""The fields of a record: what a device may send in each, and how it is stored. Pure; raises ValueError with the text for the client."""

from __future__ import annotations

import datetime as dt
import json
import re
from json.encoder import encode_basestring
from typing import Any, Final

VARIABLE_LENGTH: Final = 100
GROUP_LENGTH: Final = 100
UNIT_LENGTH: Final = 25
VALUE_SIZE: Final = 6 * 1000  # bytes of UTF-8 (TagoIO: 6 kB)
METADATA_SIZE: Final = 10 * 1000  # bytes of JSON
EXACT: Final = 1 << 53  # a double holds every whole number up to here
_UNIX_MILLISECONDS: Final = 10**11  # from here on a number counts milliseconds, below it seconds
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST: Final = -62_135_596_800_000  # year 1; what `datetime` knows
_LAST: Final = 253_402_300_799_999  # year 9999
_read_iso: Final = dt.datetime.fromisoformat
_NOT_IN_A_NAME: Final = re.compile(r"[ *?!<>.\-=$\x00-\x1f\x7f]").search


def milliseconds(moment: dt.datetime) -> int:
    """Count the milliseconds since 1970, exactly; what is finer is cut off. moment: aware."""
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def variable(raw: Any) -> str:
    """Return the name in lower case."""
    if raw is None:
        raise ValueError("Required")
    if not isinstance(raw, str):
        raise ValueError("Expected string")
    name = raw.lower()
    if not name:
        raise ValueError("Must not be empty")
    if len(name) > VARIABLE_LENGTH:
        raise ValueError(f"Must be at most {VARIABLE_LENGTH} characters long")
    if _NOT_IN_A_NAME(name):
        raise ValueError("Must not contain spaces or any of * ? ! < > . - = $")
    return name


def value(raw: Any) -> tuple[float | None, str | None]:
    """Return (number, JSON text): the number alone where a double holds it exactly, the text alone for text and booleans.

    A whole number beyond 2^53 has both: the text is exact, the number is what sums take.
    """
    kind = type(raw)
    if raw is None:
        return None, None
    if kind is float:
        if raw - raw != 0.0:  # 1e400 is infinite
            raise ValueError("Expected a finite number")
        return raw, None
    if kind is int:
        return (float(raw), None) if -EXACT <= raw <= EXACT else _large(raw)
    if kind is bool:
        return None, "true" if raw else "false"
    if kind is not str:
        raise ValueError("Expected string, number or boolean")
    if len(raw) > VALUE_SIZE // 4 and len(raw.encode()) > VALUE_SIZE:
        raise ValueError(f"Must be at most {VALUE_SIZE} bytes long")
    return None, encode_basestring(raw)


def _large(whole: int) -> tuple[float | None, str]:
    try:
        return float(whole), str(whole)
    except OverflowError:
        raise ValueError("Expected a finite number") from None


def time(raw: Any) -> int:
    """Return milliseconds since 1970, UTC. raw: ISO 8601 or `YYYY-MM-DD hh:mm:ss`, UTC when it names no zone; or a Unix number."""
    kind = type(raw)
    if kind is str:
        try:
            moment = _read_iso(raw)
        except ValueError:
            raise ValueError("Invalid date") from None
        since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)) - _EPOCH
        found = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000  # as `milliseconds`
    elif kind not in (int, float) or raw - raw != 0.0:
        raise ValueError("Expected a date or a Unix number")
    else:
        found = round(raw) if abs(raw) >= _UNIX_MILLISECONDS else round(raw * 1000)
    check_range(found, found)
    return found


def check_range(first: int, last: int) -> None:
    """Raise ValueError when there is a time that no datetime holds among those from first to last. Both: milliseconds since 1970."""
    if first < _FIRST or last > _LAST:
        raise ValueError("Invalid date")


def unit(raw: Any) -> str:
    """Return the unit as it is."""
    return _text(raw, UNIT_LENGTH)


def group(raw: Any) -> str:
    """Return the group as it is."""
    return _text(raw, GROUP_LENGTH)


def _text(raw: Any, longest: int) -> str:
    if not isinstance(raw, str):
        raise ValueError("Expected string")
    if len(raw) > longest:
        raise ValueError(f"Must be at most {longest} characters long")
    if "\0" in raw:  # PostgreSQL stores none
        raise ValueError("Must not contain the character U+0000")
    return raw


def location(raw: Any) -> str:
    """Return a GeoJSON point as JSON. raw: one, or `{lat, lng}`."""
    if not isinstance(raw, dict):
        raise ValueError("Expected an object")
    if "coordinates" in raw:
        if raw.get("type") != "Point":
            raise ValueError('Expected the type "Point"')
        coordinates = raw["coordinates"]
        if not isinstance(coordinates, list) or len(coordinates) not in (2, 3):  # the third is a height
            raise ValueError("Expected coordinates of longitude and latitude")
    else:
        coordinates = [raw.get("lng"), raw.get("lat")]
    for one in coordinates:
        if type(one) not in (int, float):
            raise ValueError("Expected numbers for latitude and longitude")
    if not (-180 <= coordinates[0] <= 180 and -90 <= coordinates[1] <= 90):
        raise ValueError("Latitude must be between -90 and 90, longitude between -180 and 180")
    try:
        return json.dumps({"type": "Point", "coordinates": coordinates}, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise ValueError("Expected finite numbers") from None


def metadata(raw: Any) -> str:
    """Return it as JSON. raw: an object or a list."""
    if not isinstance(raw, (dict, list)):
        raise ValueError("Expected an object")
    try:
        text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        raise ValueError("Must contain finite numbers only, and not be nested too deeply") from None
    if len(text) > METADATA_SIZE // 4 and len(text.encode()) > METADATA_SIZE:
        raise ValueError(f"Must be at most {METADATA_SIZE} bytes long")
    return text
