"""Structured logs: one JSON object a line (coloured text on a terminal), joined by service and request id, secrets masked.

    log = logs.get(__name__)
    log.info("token stored", id=7)

It is the standard library's logging with a formatter of our own, so that gunicorn, SQLAlchemy and we write alike. (A library for it
would bring 5 MB into every worker of every service.)
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
import re
import sys
from typing import Any, Final

from services.common import request_id

_SECRET_NAME = re.compile(r"authoriz|authentic|passw|secret|token|cookie|credential|api_?key|private|signature|\bkey$|_key$", re.IGNORECASE)
_SAFE_NAMES = frozenset(
    {"token_id", "key_id", "public_key", "kid", "jti", "token_kind", "tokens", "total_tokens", "key_hash_prefix", "token_count"}
)
# Schemes are short; tried at any length, a long text without one would take the square of its length.
_CREDENTIALS_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s:@]*:[^/\s@]*@", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic|apiKey)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
MASK = "[redacted]"
# What TagoIO's API has in paths: a token of a device, which may be named by its id as well, and the code that goes with a serial number.
_SECRET_IN_PATH = re.compile(r"(/device/+token/+|/network/+resolve/+[^/?\s]+/+)[^/?\s]+")

# What auth hands out: gh_<kind>_<49 letters and digits>, any character of it percent-encoded, once or several times. Part of one is masked,
# too: a text may have been cut.
_ESCAPE = "%(?:25)*"
_HOUSE_SECRET = re.compile(
    rf"((?:g|{_ESCAPE}67)(?:h|{_ESCAPE}68)(?:_|{_ESCAPE}5[Ff])(?:[a-z]|{_ESCAPE}[67][0-9A-Fa-f]){{3}}(?:_|{_ESCAPE}5[Ff]))"
    rf"(?:[0-9A-Za-z]|{_ESCAPE}[3-7][0-9A-Fa-f]){{8,}}"
)


def mask_secrets(text: str) -> str:
    """Put `***` behind the prefix and kind of every secret that auth hands out, and for the secrets that paths of devices hold.

    Adds no character that JSON or a URL escapes.
    """
    if "/token/" in text or "/resolve/" in text:
        text = _SECRET_IN_PATH.sub(r"\1***", text)
    return _HOUSE_SECRET.sub(r"\1***", text) if "gh" in text or "%" in text else text


def redact(event: dict[str, Any]) -> dict[str, Any]:
    """Mask values whose names say that they are secret, and credentials inside texts."""
    return {name: MASK if _is_secret(name) and value else _masked(value) for name, value in event.items()}


@functools.lru_cache(1000)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None and name not in _SAFE_NAMES


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        if "://" in value:
            value = _CREDENTIALS_IN_URL.sub(r"\1" + MASK + "@", value)
        if " " in value or not value.isprintable():  # else it has no white space, and no scheme with its credential
            value = _BEARER.sub(r"\1 " + MASK, value)
        return mask_secrets(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {
            mask_secrets(str(name)): MASK if isinstance(name, str) and _SECRET_NAME.search(name) and inner else _masked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_masked(inner) for inner in value]
    return _masked(str(value))


class Logger:
    """Writes events with named values. Arguments: what happened, in a few words that never vary, and `name=value`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **values: Any) -> None:
        self._write(logging.INFO, event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write(logging.WARNING, event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write(logging.ERROR, event, values)

    def exception(self, event: str, **values: Any) -> None:
        """Write an error, with the trace of the exception that is being handled."""
        self._write(logging.ERROR, event, values, trace=True)

    def _write(self, level: int, event: str, values: dict[str, Any], *, trace: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={_VALUES: values}, exc_info=trace)


class _Lines(logging.Formatter):
    """A record as one JSON object on one line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        event: dict[str, Any] = {"service": self._service, "event": _text(record), **values_of(record)}
        if (asked_by := request_id.current()) is not None:
            event.setdefault("request_id", asked_by)
        event |= {"level": record.levelname.lower(), "logger": record.name, "time": _time(record)}
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = self.formatException(record.exc_info)
        return redact(event)

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.event(record), ensure_ascii=False)


class _Coloured(_Lines):
    """The same for the eyes of somebody at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        event = self.event(record)
        time, level, text = event.pop("time"), event.pop("level"), event.pop("event")
        trace = event.pop("exception", None)
        values = " ".join(f"\x1b[36m{name}\x1b[0m={value}" for name, value in event.items())
        line = f"\x1b[2m{time}\x1b[0m [{_COLOURS.get(level, '')}{level:<8}\x1b[0m] \x1b[1m{text}\x1b[0m  {values}"
        return f"{line}\n{trace}" if trace else line


_VALUES: Final = "values_of_event"
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}


def values_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the named values of an event that a Logger wrote; none for any other record."""
    values: dict[str, Any] = getattr(record, _VALUES, {})
    return values


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a library's mistake in its own format must not lose what it had to say
        return f"{record.msg} {record.args!r}"


def _time(record: logging.LogRecord) -> str:
    return dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def configure(service: str, level: str = "INFO", *, colour: bool | None = None) -> None:
    """Set up logging for this process; call it once, first thing.

    service: joined to every line. level: a standard level name. colour: text for a terminal instead of JSON (default: when stderr is one).
    """
    colour = sys.stderr.isatty() if colour is None else colour
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((_Coloured if colour else _Lines)(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    for name in ("alembic", "authlib", "urllib3", "fontTools"):  # at DEBUG authlib writes the tokens that it gives out
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> Logger:
    """Return a structured logger: `log.info("token stored", id=…)`."""
    return Logger(name)
