"""The JSON of one version of an API: its lists of paths, time-outs and sizes."""

from __future__ import annotations

from typing import Final

from services.gateway.definitions import field_names, values
from services.gateway.definitions.model import (
    ACTIONS,
    MATCHINGS,
    HardTimeout,
    Matching,
    MethodAction,
    PathEntry,
    PathLists,
    SizeLimit,
    Version,
)
from services.gateway.definitions.not_served import refuse_in_version
from services.gateway.definitions.reader import Reader, Report
from services.gateway.routing.patterns import PatternError, translate

_NO_ACTION: Final = MethodAction("no_action", 200, "", ())


def parse_version(key: str, reader: Reader, expiration: float | None = None) -> Version:
    """The version under a map key, which is its name whatever `name` says. expiration: epoch seconds when the whole API ends, None = never.

    Mistakes go to the reader's report; then what is returned is not to be used.
    """
    reader.text("name")
    try:
        end = values.expires(reader.text("expires"))
    except ValueError as error:
        reader.mistake("expires", str(error))
        end = None
    end = min((one for one in (end, expiration) if one is not None), default=None)
    matching = reader.choice("path_matching", MATCHINGS, "search")
    ignore_case = reader.flag("ignore_endpoint_case")
    extended = reader.flag("use_extended_paths")
    for ignored_here in ("paths", "extended_paths", "overrides", "global_size_limit"):
        reader.value(ignored_here)
    paths = reader.object("extended_paths", field_names.EXTENDED_PATHS) if extended else Reader(None, reader.pointer, reader.report)
    refuse_in_version(reader, paths)
    return Version(
        name=key,
        expires=end,
        path_matching=matching,
        ignore_endpoint_case=ignore_case,
        lists=_extended(paths, matching, ignore_case)
        if extended
        else _legacy(reader.object("paths", field_names.PATHS), matching, ignore_case),
        hard_timeouts=tuple(_hard_timeout(entry, matching) for entry in _entries(paths, "hard_timeouts")),
        size_limits=tuple(_size_limit(entry, matching) for entry in _entries(paths, "size_limits")),
        global_size_limit=0 if reader.flag("global_size_limit_disabled") else reader.integer("global_size_limit"),
    )


def _entries(paths: Reader, name: str) -> list[Reader]:
    """The entries of a list that are not switched off; of the others nothing is asked."""
    readers = [Reader(value, pointer, paths.report) for value, pointer in paths.items(name)]
    for reader in readers:
        if reader.flag("disabled"):
            reader.disregard()
    return [reader for reader in readers if not reader.flag("disabled")]


def _legacy(paths: Reader, matching: Matching, ignore_case: bool) -> PathLists:
    def entries(name: str) -> tuple[PathEntry, ...]:
        found = []
        for text, pointer in paths.texts(name):
            _check_pattern(text, pointer, matching, False, paths.report)
            found.append(PathEntry(text, ignore_case=ignore_case))
        return tuple(found)

    return PathLists(ignored=entries("ignored"), black=entries("black_list"), white=entries("white_list"))


def _extended(paths: Reader, matching: Matching, ignore_case: bool) -> PathLists:
    def entries(name: str) -> tuple[PathEntry, ...]:
        return tuple(_entry(reader, matching, ignore_case) for reader in _entries(paths, name))

    return PathLists(ignored=entries("ignored"), black=entries("black_list"), white=entries("white_list"))


def _entry(reader: Reader, matching: Matching, ignore_case: bool) -> PathEntry:
    """`method` is today's form of one method without an action; `method_actions` outranks it."""
    ignore_case = reader.flag("ignore_case") or ignore_case
    path = _path(reader, matching, ignore_case)
    method = _method(reader)
    actions = {method: _NO_ACTION} if method else None
    if "method_actions" in reader:
        actions = {
            method: _action(method, Reader(value, pointer, reader.report)) for method, value, pointer in reader.mapping("method_actions")
        }
    reader.value("method_actions")
    return PathEntry(path, actions, ignore_case)


def _action(method: str, reader: Reader) -> MethodAction:
    if not values.is_method(method):
        reader.report.add(reader.pointer, values.NO_METHOD)
    if "action" not in reader:
        reader.mistake("action", "action is missing; no_action or reply is expected")
    action = reader.choice("action", ACTIONS, "no_action")
    for name in ("code", "data", "headers"):
        reader.value(name)
    if action == "no_action":
        return _NO_ACTION
    code = reader.integer("code", 0, -(2**53))
    if not 200 <= code <= 599:
        reader.mistake("code", f"code {code} cannot be the status of a reply; 200 to 599 is expected")
    return MethodAction(action, code, reader.text("data"), _reply_headers(reader))


def _reply_headers(reader: Reader) -> tuple[tuple[str, str], ...]:
    found = []
    for key, value, pointer in reader.mapping("headers"):
        try:
            if not isinstance(value, str):
                raise ValueError("must be a string")
            found.append(values.reply_header(key, value))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return tuple(found)


def _hard_timeout(reader: Reader, matching: Matching) -> HardTimeout:
    seconds = reader.number("timeout", 0, 0, 86400)
    if seconds == 0:
        reader.mistake("timeout", "timeout must be a number of seconds above 0")
    return HardTimeout(_path(reader, matching, False), _method(reader), seconds)


def _size_limit(reader: Reader, matching: Matching) -> SizeLimit:
    limit = reader.integer("size_limit")
    if limit == 0:
        reader.mistake("size_limit", "size_limit must be a number of bytes above 0")
    return SizeLimit(_path(reader, matching, False), _method(reader), limit)


def _method(reader: Reader) -> str:
    method = reader.text("method")
    if method and not values.is_method(method):
        reader.mistake("method", values.NO_METHOD)
    return method


def _path(reader: Reader, matching: Matching, ignore_case: bool) -> str:
    path = reader.text("path")
    _check_pattern(path, reader.at("path"), matching, ignore_case, reader.report)
    return path


def _check_pattern(text: str, pointer: str, matching: Matching, ignore_case: bool, report: Report) -> None:
    if not text:
        report.add(pointer, "path is empty; write / to mean every path")
        return
    try:
        translate(text, matching, ignore_case)
    except PatternError as error:
        report.add(pointer, f"path `{text[:100]}` is not a regular expression in RE2's syntax: {error}")
