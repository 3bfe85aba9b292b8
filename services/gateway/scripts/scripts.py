"""The scripts of one worker: loads those of a definition, and runs them on the loop or beside it.

A script in JavaScript runs on the loop at first, where a call that ends at once costs least. There it may take 2 ms of processor time and
has no side effects: nobody can be asked. Where it needs more, or asks, the run is repeated beside the loop (`beside.py`). A script whose
file names a function that asks never runs on the loop, nor does one with a body above 64 KB; one that overran its time stays beside for
a minute. Scripts in Python always run beside. So globals of a script are not kept from one call to the next, nor shared: there are as
many contexts as threads.
"""

from __future__ import annotations

import json
import re
import time
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from services.common import logging as logs
from services.gateway.definitions.model import Script, ScriptSet
from services.gateway.definitions.reader import Mistake, Mistakes, join
from services.gateway.keys.model import Key
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, SCRIPTS_BUSY, Refusal
from services.gateway.scripts import files
from services.gateway.scripts.beside import Beside, Busy, Crashed, RunTimeOut
from services.gateway.scripts.engine import Context, NoSuchName, OutOfRoom, ScriptError, TimeOut
from services.gateway.scripts.program import Entry, Program, Source
from services.gateway.scripts.python_scripts import mistake
from services.gateway.threads import in_thread

log = logs.get(__name__)

_INLINE: Final = 0.002
_INLINE_LOADING: Final = 0.02
_LOADING: Final = 1.0
_INLINE_MEMORY: Final = 16 * 1024 * 1024
_MEMORY: Final = 64 * 1024 * 1024
_STEPS: Final = 200_000  # of a regular expression, at most 2 ms
_LARGEST_INLINE: Final = 64 * 1024
_BESIDE_FOR: Final = 60.0
_ASKS: Final = re.compile(r"\b(?:TykMakeHttpRequest|TykBatchRequest|TykGetKeyData|TykSetKeyData)\b")
_RETRY: Final = ((b"Retry-After", b"1"),)
# Of faults while a file is loaded, that it does not have beside the loop.
_ONLY_ON_THE_LOOP: Final = ("interrupted", "memory", "is for calls, not for loading")

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

    def __init__(self, scripts: ScriptSet, program: Program, read: tuple[files.ReadFile, ...], beside: Beside, inline: bool) -> None:
        self.files = read
        self._api_id = scripts.api_id
        self._program = program
        self._places = {script: index for index, script in enumerate(scripts.scripts)}
        self._beside = beside
        self._inline = inline
        self._beside_until = 0.0
        self._context: Context | None = None
        weakref.finalize(self, beside.end_soon)

    def place(self, script: Script) -> int:
        """Return by what `run` knows a script."""
        return self._places[script]

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


def inline_context(program: Program) -> Context:
    """Return a context as it is on the loop. Raises ScriptError."""
    sources, entries = program.of("javascript")
    return Context(
        sources, entries, program.config, memory=_INLINE_MEMORY, loading=_INLINE_LOADING, seconds=_INLINE, steps=_STEPS
    )  # fmt: skip


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

    def load(self, scripts: ScriptSet) -> Running:
        """Read, compile and check the scripts of a definition; the same object for the same scripts. In any thread.

        Raises Mistakes, each at its place in the definition, with line and column where there are some.
        """
        program, read = self._read(scripts)
        key = (scripts.api_id, json.dumps([program.as_json(), [script.pointer for script in scripts.scripts]], sort_keys=True))
        known = self._running.get(key)
        if known is not None:
            known.files = read
            return known
        inline = _check(scripts, program)
        org_id = scripts.org_id

        async def ask(name: str, arguments: list[str]) -> Any:
            return await self.ask(org_id, name, arguments)

        beside = Beside(scripts.api_id, program, ask, memory=_MEMORY, allowed=self._allowed, seconds=self._seconds)
        self._all.add(beside)
        self._running[key] = running = Running(scripts, program, read, beside, inline)
        return running

    def _read(self, scripts: ScriptSet) -> tuple[Program, tuple[files.ReadFile, ...]]:
        sources: dict[tuple[str, str], int] = {}
        texts: list[Source] = []
        entries: list[Entry] = []
        read: list[files.ReadFile] = []
        mistakes: list[Mistake] = []
        counts = {"javascript": 0, "python": 0}
        for script in scripts.scripts:
            where = (script.language, script.path or script.blob)
            if where not in sources:
                try:
                    if script.path:
                        text, file = files.read(self._folder, script.path)
                        read.append(file)
                    else:
                        text = files.decoded(script.blob)
                except files.BadFile as error:
                    mistakes.append(Mistake(_at(script), f"`{script.path[:100] or 'the blob'}` {error}"))
                    continue
                sources[where] = len(texts)
                texts.append(Source(script.path or f"blob of {script.name}", text, script.language))
            entries.append(Entry(script.kind, script.language, script.name, sources[where], counts[script.language]))
            counts[script.language] += 1
        if mistakes:
            raise Mistakes(mistakes)
        config = {"APIID": scripts.api_id, "OrgID": scripts.org_id, "config_data": dict(scripts.config)}
        return Program(tuple(texts), tuple(entries), config), tuple(read)

    async def stop(self) -> None:
        """Kill all processes."""
        for beside in list(self._all):
            beside.end()


def _at(script: Script, field: str = "") -> str:
    """Return the place of a script's file in its definition."""
    if script.kind == "event":
        return script.pointer
    return join(script.pointer, field or ("function_source_uri" if script.kind == "virtual" else "path"))


def _check(scripts: ScriptSet, program: Program) -> bool:
    """Compile all files and look for what is called in them; tell whether they may run on the loop. Raises Mistakes."""
    _check_python(scripts, program)
    sources, entries = program.of("javascript")
    if not entries:
        return False
    inline = not any(_ASKS.search(source.text) for source in sources)
    if inline:
        try:
            inline_context(program)
        except ScriptError as error:
            if not any(one in error.message for one in _ONLY_ON_THE_LOOP):
                raise _mistakes(scripts, program, error) from None
            inline = False
    if not inline:
        try:
            Context(sources, entries, program.config, memory=_MEMORY, loading=_LOADING)
        except ScriptError as error:
            raise _mistakes(scripts, program, error) from None
    return inline


def _mistakes(scripts: ScriptSet, program: Program, error: ScriptError) -> Mistakes:
    """Return what is wrong in JavaScript at the place of the script that it concerns."""
    sources, _ = program.of("javascript")
    own = [script for script in scripts.scripts if script.language == "javascript"]
    if isinstance(error, NoSuchName):
        script = own[error.index]
        field = "response_function_name" if script.kind == "virtual" else "name"
        return Mistakes([Mistake(_at(script, field), f"{script.path or 'the blob'}: {error}")])
    source = sources[error.index] if error.index >= 0 else None
    script = next((one for one in own if source is not None and one.path == source.name), own[0])
    return Mistakes([Mistake(_at(script), f"{script.path or 'the blob'}: {error}")])


def _check_python(scripts: ScriptSet, program: Program) -> None:
    mistakes = []
    for place, source in enumerate(program.sources):
        if source.language != "python":
            continue
        own = [script for script, entry in zip(scripts.scripts, program.entries, strict=True) if entry.source == place]
        message, name = mistake(source, {script.name for script in own})
        if message:
            script = next((one for one in own if one.name == name), own[0])
            mistakes.append(Mistake(_at(script, "name" if name else ""), f"{source.name}: {message}"))
    if mistakes:
        raise Mistakes(mistakes)
