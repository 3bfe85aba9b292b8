"""A context of JavaScript (QuickJS, by the wheel `quickjs`), with Tyk's names in it; and what the binding can do.

* It is imported only where a definition has scripts: the library costs a process about 1 MB, each context 0.1 MB and the script.
* `eval` and calls of functions let go of the interpreter's lock, so other threads of Python go on while a script computes.
* A time limit is of processor time, and with one set no script can call Python. An endless loop ends at the limit; **an endless
  regular expression does not**, nor one built-in function over a huge object. So a time limit alone is enough only for what surely comes
  back: on the loop `prelude.js` leaves the run before a regular expression, a search or a huge array that may take long, and a memory
  limit keeps objects small. All else runs in a process that can be killed (`beside.py`).
* A memory limit ends a run with an error. A context may be used by several threads, by one at a time.
* Objects pass as JSON, written and read on both sides: 8 us a call. A fault's message has a line, and no column: `_column` finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from services.gateway.scripts.program import Entry, Source

_PRELUDE: Final = Path(__file__).with_name("prelude.js").read_text(encoding="utf-8")
# Before the source of a script that is only parsed: the parser reads all of it, and nothing of it is run.
_STOP: Final = "throw 0;"
_LINE: Final = re.compile(r"^    at (?:<eval> \()?<input>:(\d+)", re.M)
_STACK: Final = 512 * 1024
_LONGEST_FAULT: Final = 500


class ScriptError(Exception):
    """A script is wrong. place: `line 3, column 7` or `line 3`; "" = unknown. index: of the script in its program, -1 = none."""

    def __init__(self, message: str, place: str = "", index: int = -1) -> None:
        super().__init__(f"{message} ({place})" if place else message)
        self.message = message
        self.place = place
        self.index = index


class Context:
    """The scripts of one API, loaded.

    host: answers `__host(name, arguments)`, from text to text; None = on the loop, where nobody may be asked. memory: bytes. seconds: the
    processor time that loading may take, and then each call; None = no limit, which `host` needs. steps: how much a regular expression
    may take on the loop. Raises ScriptError.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        entries: Sequence[Entry],
        config: Mapping[str, Any],
        *,
        host: Callable[[str, str], str] | None = None,
        memory: int,
        loading: float | None = None,
        seconds: float | None = None,
        steps: int = 0,
    ) -> None:
        import _quickjs  # type: ignore[import-not-found]

        self._failure: type[Exception] = _quickjs.JSException
        self._context = context = _quickjs.Context()
        context.set_memory_limit(memory)
        context.set_max_stack_size(_STACK)
        if host is not None:
            context.add_callable("__host", host)
        elif steps:
            context.eval(f"globalThis.__limits = {{steps: {steps}}}")
        context.eval(_PRELUDE)
        if loading is not None:
            context.set_time_limit(loading)
        for index, source in enumerate(sources):
            self._load(source, index)
        for entry in entries:
            self._bind(entry)
        context.eval(f"__bridge.config({json.dumps(json.dumps(config))})")
        self._run = context.eval("__bridge.run")
        context.eval("delete globalThis.__bridge")
        if seconds is not None:
            context.set_time_limit(seconds)

    def _load(self, source: Source, index: int) -> None:
        try:
            self._context.eval(source.text)
        except self._failure as error:
            message, line = _said(error)
            if "SyntaxError" in message:
                raise syntax_error(source.text, index) or ScriptError(message, line, index) from None
            raise ScriptError(message, line, index) from None

    def _bind(self, one: Entry) -> None:
        try:
            fits = self._context.eval(f"__bridge.bind({json.dumps(one.kind)}, {one.name})")
        except self._failure:
            fits = None
        if not fits:
            wanted = {
                "virtual": "function",
                "event": "event handler (TykJS.TykEventHandlers.NewEventHandler)",
                "response": "middleware (TykJS.TykMiddleware.NewMiddleware with NewProcessResponse)",
            }
            what = wanted.get(one.kind, "middleware (TykJS.TykMiddleware.NewMiddleware with NewProcessRequest)")
            raise NoSuchName(f"the file has no global `{one.name}` that is a {what}", "", one.place)

    def run(self, index: int, request: str, session: str) -> str:
        """Call a script; return JSON: what it changed, or `fault`, or `left` where it must run beside the loop.

        Raises TimeOut, OutOfRoom.
        """
        try:
            return str(self._run(index, request, session))
        except self._failure as error:
            message = str(error)
            if message.startswith("InternalError: interrupted"):
                raise TimeOut from None
            raise OutOfRoom("out of memory" if message == "null" else _said(error)[0]) from None


class NoSuchName(ScriptError):
    """A file does not have what the definition names. index: of the entry, not of the file."""


class TimeOut(Exception):
    """A run took longer than it may."""


class OutOfRoom(Exception):
    """A run broke off where it could not say so itself: memory, or the stack."""


def syntax_error(text: str, index: int = -1) -> ScriptError | None:
    """Return what is wrong in the syntax of a source, with line and column; None when nothing is. Runs nothing of it."""
    found = _parse(text)
    if found is None:
        return None
    message, line = found
    return ScriptError(message, f"line {line}, column {_column(text, line, message)}", index)


def _parse(text: str) -> tuple[str, int] | None:
    import _quickjs

    context = _quickjs.Context()
    try:
        context.eval(_STOP + text)
    except _quickjs.JSException as error:
        message = str(error)
        if not message.startswith("SyntaxError"):
            return None
        line = _LINE.search(message)
        return message.partition("\n")[0], int(line[1]) if line else 1
    return None


def _column(text: str, line: int, message: str) -> int:
    """Find where a line is wrong: the shortest beginning of the source that has this very mistake ends in it."""
    lines = text.split("\n")
    before = sum(len(one) + 1 for one in lines[: line - 1])
    here = lines[line - 1] if line <= len(lines) else ""
    low, high = 0, len(here)
    while low < high:
        middle = (low + high) // 2
        if _parse(text[: before + middle]) == (message, line):
            high = middle
        else:
            low = middle + 1
    low = max(low, 1)
    while low <= len(here) and here[low - 1].isspace():  # what is missing is seen missing at the next word
        low += 1
    return low


def _said(error: Exception) -> tuple[str, str]:
    """Return the message of a fault, and its place."""
    text = str(error)
    line = _LINE.search(text)
    return text.partition("\n")[0][:_LONGEST_FAULT], f"line {line[1]}" if line else ""
