"""Settings from the environment: every mistake at once, before anything starts.

A service declares a frozen dataclass whose fields are made by `setting(...)` and calls `load(Settings, prefix="TOKENS")`. The field `bind`
of the tokens service is then read from `TOKENS_BIND`; a name given by `env=` is read as it stands (`VALKEY_URL`). A secret may also come
as `NAME_FILE`, the path of a file whose content (without the final line end) is the value.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from services.common.addresses import host_port, parse_networks

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h
SYNCHRONOUS = ("FULL", "NORMAL")

T = TypeVar("T")


class Bind(NamedTuple):
    """An address to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return host_port(self.host, self.port)


class SettingsError(Exception):
    """The environment cannot be used. `mistakes` has one sentence for each mistake."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class _Missing:
    pass


MISSING = _Missing()


def setting(
    default: Any = MISSING,
    *,
    help: str,
    secret: bool = False,
    env: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    parse: Callable[[str], Any] | None = None,
) -> Any:
    """Declare one setting.

    default: its value when the environment has none; without it the setting is required. env: the full name, for settings that several
    services share. parse: for types this module does not know; raises ValueError with the reason. minimum, maximum: bounds of a number.
    """
    metadata = {
        "help": help,
        "secret": secret,
        "env": env,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "parse": parse,
    }
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, (list, dict, set)):
        raise TypeError("use an immutable default")
    return dataclasses.field(default=default, metadata=metadata)


def load(kind: type[T], prefix: str, environ: Mapping[str, str] | None = None) -> T:
    """Read the settings of a service.

    prefix: begins the service's own names, without the underscore. Raises SettingsError with every mistake: missing, malformed and
    unknown names (those that begin with the prefix and that nobody declared).
    """
    environ = os.environ if environ is None else environ
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    known: set[str] = set()
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = field.metadata["env"] or f"{prefix}_{field.name.upper()}"
        known.update((name, f"{name}_FILE") if field.metadata["secret"] else (name,))
        try:
            text = text_of(name, field.metadata["secret"], environ)
            if text is None:
                if field.default is dataclasses.MISSING:
                    raise ValueError("is required: " + field.metadata["help"])
                continue
            values[field.name] = _value(text, hints[field.name], field.metadata)
        except ValueError as error:
            mistakes.append(f"{name} {error}")
    for name in sorted(environ):
        if name.startswith(prefix + "_") and name not in known:
            close = _closest(name, known)
            mistakes.append(f"{name} is not a setting of this service" + (f"; did you mean {close}?" if close else ""))
    if mistakes:
        raise SettingsError(mistakes)
    return kind(**values)


def load_or_exit(service: str, load: Callable[[], T]) -> T:
    """Load the settings in an entry point: write the mistakes to the standard error and end the process with status 78.

    load: the service's own, which raises SettingsError.
    """
    try:
        return load()
    except SettingsError as error:
        stop(service, error.mistakes)


def stop(service: str, mistakes: list[str]) -> NoReturn:
    """Say what is wrong with the settings, one line each, and end the process."""
    lines = "".join(f"  - {mistake}\n" for mistake in mistakes)
    sys.stderr.write(f"{service}: cannot start, {len(mistakes)} setting{'s are' if len(mistakes) > 1 else ' is'} wrong:\n{lines}")
    sys.stderr.flush()
    raise SystemExit(EXIT_CONFIGURATION)


def text_of(name: str, secret: bool, environ: Mapping[str, str]) -> str | None:
    """Return the text of one variable, None when it is not set or empty. secret: it may come as `NAME_FILE`. Raises ValueError."""
    text = environ.get(name)
    if not secret or f"{name}_FILE" not in environ:
        return text if text != "" else None
    if text:
        raise ValueError(f"is given twice: also as {name}_FILE; keep one")
    path = Path(environ[f"{name}_FILE"])
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read from {name}_FILE ({path}): {getattr(error, 'strerror', None) or error}") from None
    content = content.rstrip("\r\n")
    if not content:
        raise ValueError(f"is empty in {name}_FILE ({path})")
    return content


def _value(text: str, kind: Any, metadata: Mapping[str, Any]) -> Any:
    if metadata["parse"]:
        return metadata["parse"](text)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    shown = "its value" if metadata["secret"] else repr(text)
    if kind is str:
        value: Any = text
    elif kind is bool:
        words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
        if text.lower() not in words:
            raise ValueError(f"must be true or false, not {shown}")
        return words[text.lower()]
    elif kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"must be a {'whole ' if kind is int else ''}number, not {shown}") from None
        low, high = metadata["minimum"], metadata["maximum"]
        if value != value or (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"must be {f'at least {low}' if high is None else f'between {low} and {high}'}, not {shown}")
    elif kind is Path:
        value = Path(text)
    elif kind is Bind:
        value = parse_bind(text)
    elif typing.get_origin(kind) is tuple:
        value = parse_networks(text)
    else:
        raise TypeError(f"no reader for settings of type {kind}")
    if metadata["choices"] and value not in metadata["choices"]:
        raise ValueError(f"must be one of {', '.join(metadata['choices'])}, not {shown}")
    return value


def parse_bind(text: str) -> Bind:
    """Read `host:port`, `[v6]:port` or `:port` (all addresses). Raises ValueError."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})", text.strip())
    if not match or int(match[3]) > 65535:
        raise ValueError(f"must be host:port, not {text!r}")
    return Bind(match[1] or match[2] or "0.0.0.0", int(match[3]))  # noqa: S104  the operator wrote ":port"


def parse_url(*schemes: str) -> Callable[[str], str]:
    """Return a reader for a URL with one of the schemes. The message never repeats the URL: it may hold a password."""

    def parse(text: str) -> str:
        try:
            scheme = urlsplit(text).scheme
        except ValueError:
            scheme = ""
        if scheme not in schemes or not text.partition(":")[2].startswith("//"):
            raise ValueError(f"must be a URL that begins with {' or '.join(one + '://' for one in schemes)}")
        return text

    return parse


def database_url(service: str) -> Any:
    """Declare the setting that every service with a database has: `sqlite:///…` or `postgresql://…`."""
    return setting(
        f"sqlite:///var/{service}/{service}.db",
        help="Database: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME.",
        secret=True,
        parse=parse_url("sqlite", "postgresql", "postgresql+psycopg"),
    )


def sqlite_synchronous() -> Any:
    """Declare the setting beside `database_url`: when SQLite waits for the disk. In WAL mode neither value can corrupt a database."""
    return setting(
        "FULL",
        help="SQLite: FULL waits for the disk at every commit. NORMAL does not and writes faster; a power cut may take the last commits.",
        choices=SYNCHRONOUS,
    )


def valkey_url() -> Any:
    """Declare the setting that chooses Valkey for what several processes share."""
    return setting(
        None,
        help="Valkey or Redis for what several processes share: redis://HOST:PORT/DB, rediss://… or unix:///PATH. Unset: in process.",
        secret=True,
        env="VALKEY_URL",
        parse=parse_url("redis", "rediss", "unix", "valkey", "valkeys"),
    )


def _closest(name: str, known: set[str]) -> str | None:
    import difflib

    found = difflib.get_close_matches(name, known, 1, 0.8)
    return found[0] if found else None


def markdown(kind: type, prefix: str) -> str:
    """Write the settings of a service as a table for its documentation; defaults of secrets are shown only when they hold none."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for field in dataclasses.fields(kind):
        name = field.metadata["env"] or f"{prefix}_{field.name.upper()}"
        if field.default is dataclasses.MISSING:
            default = "required"
        elif field.default is None or field.default == () or field.default == "":
            default = "none"
        elif isinstance(field.default, tuple) and not isinstance(field.default, Bind):
            default = f"`{', '.join(map(str, field.default))}`"
        else:
            default = f"`{field.default}`"
        meaning = field.metadata["help"] + (f" Also as `{name}_FILE`." if field.metadata["secret"] else "")
        rows.append(f"| `{name}` | {default} | {meaning} |")
    return "\n".join(rows) + "\n"
