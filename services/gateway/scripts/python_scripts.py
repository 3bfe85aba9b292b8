"""Scripts in Python: functions of files, and functions that installed packages register. They run in the process of the scripts.

`def name(request, session, config)` changes the request that it gets, the same object as in JavaScript, and returns it, or nothing. It
refuses by `request["ReturnOverrides"]`; what it raises is a fault. One that says who calls (`auth_check`) returns a session, or nothing to
refuse. One for answers is `def name(response, request, session, config)`. `log(message)` in a file, and `logging` in both, write into the
gateway's log.
"""

from __future__ import annotations

import ast
import json
import logging
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Final

from services.gateway.scripts.program import Entry, Program, Source

_MOST_LOGS: Final = 100
_LONGEST_LOG: Final = 2000
_EMPTY: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("SetHeaders", dict), ("DeleteHeaders", list), ("AddParams", dict), ("ExtendedParams", dict), ("DeleteParams", list),
    ("IgnoreBody", bool),
)  # fmt: skip
_OVERRIDES: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("ResponseCode", int), ("ResponseError", str), ("ResponseBody", str), ("ResponseHeaders", dict), ("OverrideError", bool),
)  # fmt: skip


def mistake(source: Source, names: set[str]) -> tuple[str, str]:
    """Return what is wrong with a file: a message and the name that it is about ("" = the file); two empty texts when nothing is.

    Runs nothing of it.
    """
    try:
        tree = ast.parse(source.text, source.name)
    except (SyntaxError, ValueError) as error:
        where = f" (line {error.lineno}, column {error.offset or 1})" if isinstance(error, SyntaxError) else ""
        return f"SyntaxError: {getattr(error, 'msg', error)}{where}", ""
    known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    known |= {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    known |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    missing = sorted(names - known)
    return (f"the file has no function `{missing[0]}`", missing[0]) if missing else ("", "")


class _Said(threading.local):
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def add(self, level: str, message: object) -> None:
        if len(self.lines) < _MOST_LOGS:
            self.lines.append((level, str(message)[:_LONGEST_LOG]))


class _Listener(logging.Handler):
    """Takes what scripts write by `logging`."""

    def __init__(self, said: _Said) -> None:
        super().__init__(logging.INFO)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # a slip in a line of a log is no fault of a script, as everywhere in Python
            text = str(record.msg)
        self._said.add("error" if record.levelno >= logging.ERROR else "info", text)


class PythonScripts:
    """The Python of a program, loaded at the first run; its threads share it."""

    def __init__(self, program: Program) -> None:
        self._sources = program.sources
        self._config = program.config
        self._loaded: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._said = _Said()
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_Listener(self._said)])

    def run(self, entry: Entry, request: str, session: str) -> dict[str, Any]:
        """Call a function; return what it changed, as the scripts in JavaScript do. Raises whatever it raises."""
        self._said.lines = []
        function = self._namespace(entry)[entry.name]
        given, key = json.loads(request), json.loads(session) if session else {"meta_data": {}}
        call = {"response": self._answered, "auth_check": self._authenticated}.get(entry.kind, self._asked)
        out = call(function, given, key)
        if not session:
            out.pop("meta", None)
        if self._said.lines:
            out["logs"] = self._said.lines
        return out

    def _asked(self, function: Callable[..., Any], given: dict[str, Any], key: Any) -> dict[str, Any]:
        before = _prepared(given)
        returned = function(given, key, self._config)
        if isinstance(returned, tuple):
            returned, key = returned
        found = given if returned is None else returned
        if not isinstance(found, dict):
            raise TypeError("the function must return the request, or nothing")
        out = _changes(before, found)
        if isinstance(key, Mapping) and isinstance(key.get("meta_data"), Mapping):
            out["meta"] = key["meta_data"]
        return out

    def _authenticated(self, function: Callable[..., Any], given: dict[str, Any], key: Any) -> dict[str, Any]:
        before = _prepared(given)
        session = function(given, key, self._config)
        out = _changes(before, given)
        if session is not None:
            if not isinstance(session, dict) or session is given:
                raise TypeError("the function must return a session, or nothing to refuse the request")
            out["session"] = session
        return out

    def _answered(self, function: Callable[..., Any], given: dict[str, Any], key: Any) -> dict[str, Any]:
        response, body = given["Response"], given["Response"]["Body"]
        response |= {"SetHeaders": {}, "DeleteHeaders": []}
        returned = function(response, given["Request"], key, self._config)
        found = response if returned is None else returned
        if not isinstance(found, dict):
            raise TypeError("the function must return the response, or nothing")
        out = {"status": found.get("StatusCode"), **_headers(found)}
        if found.get("Body") != body:
            out["body"] = _text(found.get("Body"))
        return out

    def _namespace(self, entry: Entry) -> Mapping[str, Any]:
        with self._lock:
            if entry.source not in self._loaded:
                source = self._sources[entry.source]
                namespace: dict[str, Any] = {
                    "__name__": "script",
                    "__file__": source.name,
                    "log": lambda text: self._said.add("info", text),
                }
                if source.entry_point:
                    namespace[entry.name] = EntryPoint(entry.name, source.entry_point, "").load()
                else:
                    exec(compile(source.text, source.name, "exec"), namespace)  # noqa: S102 (the operator's own code)
                self._loaded[entry.source] = namespace
            return self._loaded[entry.source]


def _prepared(given: dict[str, Any]) -> dict[str, Any]:
    """Add the fields that a function changes to a request; return what it may change in place."""
    before = {name: given[name] for name in ("URL", "Body")}
    given |= {name: kind() for name, kind in _EMPTY}
    given["ReturnOverrides"] = {name: kind() for name, kind in _OVERRIDES}
    return before


def _text(body: Any) -> str:
    return body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)


def _headers(found: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if found.get("SetHeaders"):
        out["set"] = {str(name): str(value) for name, value in found["SetHeaders"].items()}
    if found.get("DeleteHeaders"):
        out["del"] = [str(one) for one in found["DeleteHeaders"]]
    return out


def _changes(before: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    out = _headers(found)
    if found.get("AddParams"):
        out["add"] = {str(name): str(value) for name, value in found["AddParams"].items()}
    if found.get("DeleteParams"):
        out["cut"] = [str(one) for one in found["DeleteParams"]]
    if found.get("ExtendedParams"):
        out["more"] = {str(name): [str(one) for one in values] for name, values in found["ExtendedParams"].items()}
    if found.get("URL") != before["URL"]:
        out["url"] = str(found.get("URL") or "")
    body = found.get("Body")
    if not found.get("IgnoreBody") and body != before["Body"]:
        out["body"] = _text(body)
    over = found.get("ReturnOverrides") or {}
    if over.get("ResponseCode") or over.get("ResponseError"):
        headers = {str(name): str(value) for name, value in (over.get("ResponseHeaders") or {}).items()}
        code, error, text, goes_on = (over.get(name) for name in ("ResponseCode", "ResponseError", "ResponseBody", "OverrideError"))
        out["over"] = {"code": code, "error": error, "body": text, "go_on": goes_on, "headers": headers}
    return out
