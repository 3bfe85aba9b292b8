"""Structured logs: one JSON object a line (coloured text on a terminal), joined by service and request id, secrets masked.

The standard library's loggers go through the same pipe, so that gunicorn, SQLAlchemy and we write alike.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_NAME = re.compile(r"authoriz|authentic|passw|secret|token|cookie|credential|api_?key|private|signature|\bkey$|_key$", re.IGNORECASE)
_SAFE_NAMES = frozenset(
    {"token_id", "key_id", "public_key", "kid", "jti", "token_kind", "tokens", "total_tokens", "key_hash_prefix", "token_count"}
)
_CREDENTIALS_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]*@", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic|apiKey)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
MASK = "[redacted]"


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask values whose names say that they are secret, and credentials inside texts."""
    for name, value in event.items():
        event[name] = MASK if _SECRET_NAME.search(name) and name not in _SAFE_NAMES and value else _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        if "://" in value:
            value = _CREDENTIALS_IN_URL.sub(r"\1" + MASK + "@", value)
        return _BEARER.sub(r"\1 " + MASK, value)
    if isinstance(value, dict):
        return {
            name: MASK if isinstance(name, str) and _SECRET_NAME.search(name) and inner else _masked(inner) for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_masked(inner) for inner in value]
    return value


def configure(service: str, level: str = "INFO", *, colour: bool | None = None) -> None:
    """Set up logging for this process; call it once, first thing.

    service: joined to every line. level: a standard level name. colour: text for a terminal instead of JSON (default: when stderr is one).
    """
    colour = sys.stderr.isatty() if colour is None else colour
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        lambda _, __, event: {"service": service, **event},
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = structlog.dev.ConsoleRenderer() if colour else structlog.processors.JSONRenderer(ensure_ascii=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    for name in ("alembic", "urllib3", "fontTools"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get(name: str) -> Any:
    """A structured logger: `log.info("token stored", id=…)`."""
    return structlog.get_logger(name)
