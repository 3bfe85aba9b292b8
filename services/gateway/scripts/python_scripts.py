"""Scripts in Python: `def name(request, session, config)`, with the same request object as in JavaScript.

They run in the process of the scripts.
A function changes the request that it gets, and returns it, or nothing. It refuses by `request["ReturnOverrides"]`; what it raises is a
fault. `log(message)` writes into the gateway's log.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable, Mapping
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


class PythonScripts:
    """The Python files of a program, loaded at the first run; its threads share them."""

    def __init__(self, program: Program) -> None:
        self._sources = program.sources
        self._config = program.config
        self._loaded: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._said = _Said()

    def run(self, entry: Entry, request: str, session: str) -> dict[str, Any]:
        """Call a function; return what it changed, as the scripts in JavaScript do. Raises whatever it raises."""
        self._said.lines = []
        function = self._namespace(entry.source)[entry.name]
        given = json.loads(request)
        before = {name: given[name] for name in ("URL", "Body")}
        given |= {name: kind() for name, kind in _EMPTY}
        given["ReturnOverrides"] = {name: kind() for name, kind in _OVERRIDES}
        key = json.loads(session) if session else {"meta_data": {}}
        returned = function(given, key, self._config)
        if isinstance(returned, tuple):
            returned, key = returned
        found = given if returned is None else returned
        if not isinstance(found, dict):
            raise TypeError("the function must return the request, or nothing")
        out = _changes(before, found)
        if session and isinstance(key, Mapping) and isinstance(key.get("meta_data"), Mapping):
            out["meta"] = key["meta_data"]
        if self._said.lines:
            out["logs"] = self._said.lines
        return out

    def _namespace(self, place: int) -> dict[str, Any]:
        with self._lock:
            if place not in self._loaded:
                source = self._sources[place]
                namespace: dict[str, Any] = {"__name__": "script", "__file__": source.name, "log": self._log}
                exec(compile(source.text, source.name, "exec"), namespace)  # noqa: S102 (the operator's own code)
                self._loaded[place] = namespace
            return self._loaded[place]

    def _log(self, message: object) -> None:
        if len(self._said.lines) < _MOST_LOGS:
            self._said.lines.append(("info", str(message)[:_LONGEST_LOG]))


def _changes(before: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for ours, theirs in (("set", "SetHeaders"), ("add", "AddParams")):
        if found.get(theirs):
            out[ours] = {str(name): str(value) for name, value in found[theirs].items()}
    for ours, theirs in (("del", "DeleteHeaders"), ("cut", "DeleteParams")):
        if found.get(theirs):
            out[ours] = [str(one) for one in found[theirs]]
    if found.get("ExtendedParams"):
        out["more"] = {str(name): [str(one) for one in values] for name, values in found["ExtendedParams"].items()}
    if found.get("URL") != before["URL"]:
        out["url"] = str(found.get("URL") or "")
    body = found.get("Body")
    if not found.get("IgnoreBody") and body != before["Body"]:
        out["body"] = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    over = found.get("ReturnOverrides") or {}
    if over.get("ResponseCode") or over.get("ResponseError"):
        headers = {str(name): str(value) for name, value in (over.get("ResponseHeaders") or {}).items()}
        code, error, text, goes_on = (over.get(name) for name in ("ResponseCode", "ResponseError", "ResponseBody", "OverrideError"))
        out["over"] = {"code": code, "error": error, "body": text, "go_on": goes_on, "headers": headers}
    return out
