"""Compiles the scripts of a definition and looks for what is called in them, when it is saved or loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from services.gateway.definitions.model import Script
from services.gateway.definitions.reader import Mistake, Mistakes, join
from services.gateway.scripts.engine import Context, NoSuchName, ScriptError
from services.gateway.scripts.program import Program
from services.gateway.scripts.python_scripts import mistake

INLINE: Final = 0.002
MEMORY: Final = 64 * 1024 * 1024
_INLINE_LOADING: Final = 0.02
_LOADING: Final = 1.0
_INLINE_MEMORY: Final = 16 * 1024 * 1024
_STEPS: Final = 200_000  # of a regular expression, at most 2 ms
_ASKS: Final = re.compile(r"\b(?:TykMakeHttpRequest|TykBatchRequest|TykGetKeyData|TykSetKeyData)\b")
# Of faults while a file is loaded, that it does not have beside the loop.
_ONLY_ON_THE_LOOP: Final = ("interrupted", "memory", "is for calls, not for loading")


def inline_context(program: Program) -> Context:
    """Return a context as it is on the loop. Raises ScriptError."""
    sources, entries = program.of("javascript")
    return Context(
        sources, entries, program.config, memory=_INLINE_MEMORY, loading=_INLINE_LOADING, seconds=INLINE, steps=_STEPS
    )  # fmt: skip


def place_of(script: Script, field: str = "") -> str:
    """Return the pointer of what names a script's file in its definition."""
    if script.kind == "event" or script.is_found:
        return script.pointer
    if not field:
        field = "function_source_uri" if script.kind == "virtual" else "code" if script.blob else "path" if script.path else "name"
    return join(script.pointer, field)


def check(scripts: Sequence[Script], program: Program) -> bool:
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
            Context(sources, entries, program.config, memory=MEMORY, loading=_LOADING)
        except ScriptError as error:
            raise _mistakes(scripts, program, error) from None
    return inline


def _mistakes(scripts: Sequence[Script], program: Program, error: ScriptError) -> Mistakes:
    """Return what is wrong in JavaScript at the place of the script that it concerns."""
    sources, _ = program.of("javascript")
    own = [script for script in scripts if script.language == "javascript"]
    if isinstance(error, NoSuchName):
        script = own[error.index]
        field = "response_function_name" if script.kind == "virtual" else "name"
        return Mistakes([Mistake(place_of(script, field), f"{script.path or 'the blob'}: {error}")])
    source = sources[error.index] if error.index >= 0 else None
    script = next((one for one in own if source is not None and one.path == source.name), own[0])
    return Mistakes([Mistake(place_of(script), f"{script.path or 'the blob'}: {error}")])


def _check_python(scripts: Sequence[Script], program: Program) -> None:
    mistakes = []
    for place, source in enumerate(program.sources):
        if source.language != "python" or source.entry_point:
            continue
        own = [script for script, entry in zip(scripts, program.entries, strict=True) if entry.source == place]
        message, name = mistake(source, {script.name for script in own})
        if message:
            script = next((one for one in own if one.name == name), own[0])
            mistakes.append(Mistake(place_of(script, "name" if name else ""), f"{source.name}: {message}"))
    if mistakes:
        raise Mistakes(mistakes)
