"""The scripts of one worker: loads those of a definition, and runs them on the loop or beside it.

A script in JavaScript runs on the loop at first, where a call that ends at once costs least. There it may take 2 ms of processor time and
has no side effects: nobody can be asked. Where it needs more, or asks, the run is repeated beside the loop (`beside.py`). A script whose
file names a function that asks never runs on the loop, nor does one with a body above 64 KB; one that overran its time stays beside for
a minute. Scripts in Python always run beside. So globals of a script are not kept from one call to the next, nor shared: there are as
many contexts as threads.
"""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from services.common import logging as logs
from services.gateway.definitions.model import Script, ScriptKind, ScriptSet
from services.gateway.definitions.reader import Mistakes
from services.gateway.keys.model import Key
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, SCRIPTS_BUSY, Refusal
from services.gateway.scripts import folders
from services.gateway.scripts.beside import Beside, Busy, Crashed, RunTimeOut
from services.gateway.scripts.checking import MEMORY, check, inline_context
from services.gateway.scripts.engine import Context, OutOfRoom, ScriptError, TimeOut
from services.gateway.scripts.files import ReadFile
from services.gateway.scripts.program import Entry, Program
from services.gateway.scripts.reading import read_program
from services.gateway.threads import in_thread

log = logs.get(__name__)

_LARGEST_INLINE: Final = 64 * 1024
_BESIDE_FOR: Final = 60.0
_RETRY: Final = ((b"Retry-After", b"1"),)
# What a script gives: what it changed, by short names (`prelude.js`).
Out = dict[str, Any]
# (organisation of the API, what is asked, arguments) → the answer. Raises ValueError that says why there is none.
AskKeys = Callable[[str, str, list[str]], Awaitable[Any]]


SaveMeta = Callable[[Key, dict[str, Any]], None]


def _unsaved(key: Key, meta: dict[str, Any]) -> None:
    """Save nothing."""


async def _nobody(org_id: str, name: str, arguments: list[str]) -> Any:
    raise ValueError("the gateway has no keys here")


class Running:
    """The scripts of one API, loaded. files: what was read, by which a change is seen. Methods belong to the event loop."""

    def __init__(
        self, api_id: str, scripts: Sequence[Script], program: Program, files: Sequence[ReadFile], beside: Beside, inline: bool
    ) -> None:
        self.files = files
        self._api_id = api_id
        self._program = program
        self._scripts = tuple(scripts)
        self._places = {script: index for index, script in enumerate(scripts)}
        self._beside = beside
        self._inline = inline
        self._beside_until = 0.0
        self._context: Context | None = None
        weakref.finalize(self, beside.end_soon)

    def place(self, script: Script) -> int:
        """Return by what `run` knows a script."""
        return self._places[script]

    def of(self, kind: ScriptKind) -> tuple[Script, ...]:
        """Return the scripts of a kind, in the order in which they run."""
        return tuple(script for script in self._scripts if script.kind == kind)

    def end(self) -> None:
        """Kill its processes; the next run that needs one starts another."""
        self._beside.end()

    def run(self, place: int, request: str, session: str) -> Out | Awaitable[Out]:
        """Call a script: what it changed, at once or later. request, session: JSON; session "" = it gets none.

        Raises Refusal: script-failed, script-timeout, scripts-busy.
        """
        entry = self._program.entries[place]
        if self._inline and entry.language == "javascript" and len(request) <= _LARGEST_INLINE and time.monotonic() >= self._beside_until:
            out = self._run_inline(entry, request, session)
            if out is not None:
                return self._checked(entry, out)
        return self._run_beside(place, entry, request, session)

    def _run_inline(self, entry: Entry, request: str, session: str) -> Out | None:
        try:
            if self._context is None:
                self._context = inline_context(self._program)
            out = _read(self._context.run(entry.place, request, session))
        except (TimeOut, OutOfRoom, ScriptError) as error:
            self._context = None  # it may be full, or have stopped anywhere
            self._beside_until = time.monotonic() + _BESIDE_FOR
            log.info("script moved beside the loop", api_id=self._api_id, script=entry.name, reason=type(error).__name__)
            return None
        return None if "left" in out else out

    async def _run_beside(self, place: int, entry: Entry, request: str, session: str) -> Out:
        try:
            text = await self._beside.run(place, request, session)
            out = _read(text) if len(text) <= _LARGEST_INLINE else await in_thread(_read, text)
        except Busy:
            raise Refusal(SCRIPTS_BUSY, headers=_RETRY) from None
        except RunTimeOut:
            raise Refusal(SCRIPT_TIMEOUT) from None
        except Crashed as error:
            log.error("script failed", api_id=self._api_id, script=entry.name, fault=str(error))
            raise Refusal(SCRIPT_FAILED) from None
        return self._checked(entry, out)

    def _checked(self, entry: Entry, out: Out) -> Out:
        """Write what the script said into the log. Raises Refusal when it failed: why is the operator's to know, not the client's."""
        for level, message in out.get("logs", ()):
            write = log.error if level == "error" else log.info
            write("script said", api_id=self._api_id, script=entry.name, message=message)
        if "fault" in out:
            log.error(
                "script failed", api_id=self._api_id, script=entry.name, file=self._program.sources[entry.source].name, fault=out["fault"]
            )
            raise Refusal(SCRIPT_FAILED)
        return out


def _read(text: str) -> Out:
    try:
        out: Out = json.loads(text)
    except RecursionError:
        return {"fault": "what the script gave is nested too deep"}
    return out


class Scripts:
    """One for each worker. folder: where scripts may lie. seconds: that a run may take in all. allowed: link-local networks that scripts
    may call. ask: answers key functions. save_meta: takes what becomes the `meta_data` of a key; never blocks.
    """

    def __init__(
        self, folder: Path, *, seconds: float = 5.0, allowed: tuple[Any, ...] = (), ask: AskKeys = _nobody, save_meta: SaveMeta = _unsaved
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._allowed = [str(one) for one in allowed]
        self.ask = ask
        self.save_meta = save_meta
        self._running: weakref.WeakValueDictionary[tuple[str, str], Running] = weakref.WeakValueDictionary()
        self._all: weakref.WeakSet[Beside] = weakref.WeakSet()

    def load(self, scripts: ScriptSet) -> Running | None:
        """Read, compile and check the scripts of an API; the same object for the same scripts, None where there are none. In any thread.

        Raises Mistakes, each at its place in the definition, with line and column where there are some.
        """
        found, seen = folders.find(self._folder, scripts.api_id)
        everything = folders.complete(scripts, found)
        if not everything:
            return None
        api_id, org_id = scripts.api_id, scripts.org_id
        config = {"APIID": api_id, "OrgID": org_id, "config_data": dict(scripts.config)}
        program, read = read_program(self._folder, everything, config)
        asked = [(script.pointer, script.with_session) for script in everything]
        key = (api_id, json.dumps([program.as_json(), asked], sort_keys=True))
        known = self._running.get(key)
        if known is not None:
            known.files = (*read, *seen)
            return known
        inline = check(everything, program)

        async def ask(name: str, arguments: list[str]) -> Any:
            return await self.ask(org_id, name, arguments)

        beside = Beside(api_id, program, ask, memory=MEMORY, allowed=self._allowed, seconds=self._seconds)
        self._all.add(beside)
        self._running[key] = running = Running(api_id, everything, program, (*read, *seen), beside, inline)
        return running

    def has_changed(self, api_id: str, running: Running | None) -> bool:
        """Tell whether a file of an API is another one than it was loaded from. running: what `load` returned."""
        if running is None:
            try:
                return bool(folders.find(self._folder, api_id)[0])
            except Mistakes:  # loading it says what is wrong
                return True
        return any(file.has_changed() for file in running.files)

    async def stop(self) -> None:
        """Kill all processes."""
        for beside in list(self._all):
            beside.end()
