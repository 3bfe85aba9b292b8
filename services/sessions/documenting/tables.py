"""The events as tables of Markdown, for `docs/sessions.md`; a test compares them.

`python -c "from services.sessions import app; from services.sessions.documenting import tables; tables.write()"` writes them there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.sessions.events import sets
from services.sessions.events.events import Event, EventSet, signature

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "sessions.md"
_BEGIN, _END = "<!-- events: begin -->\n", "<!-- events: end -->\n"


def markdown() -> str:
    """Return a table for each set of events. The modules that add events must have been imported: `services.sessions.app` does."""
    return "\n".join(_table(found) for found in (*sets.ROOT, *sets.IN_SESSION))


def written() -> str:
    """Return what the page has now. Raises ValueError when it has no place for it."""
    text = PAGE.read_text()
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)]


def write() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text()
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    PAGE.write_text(f"{text[:begin]}{_framed(markdown())}{text[end:]}")


def is_written() -> bool:
    """Say whether the page has the tables of the events that there are."""
    return written() == _framed(markdown())


def _framed(tables: str) -> str:
    return f"\n{tables}\n"


def _table(found: EventSet) -> str:
    names = ", ".join(f"`{name}`" for name in found.names)
    lines = [f"**{found.title}**: {names}", "", "| event | level | values | what it does |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(_row(event) for event in found), ""])


def _row(event: Event) -> str:
    names = " ".join(f"`{name}`" for name in event.names)
    values = f"`{signature(event)}`" if event.parameters else "–"
    told = " ".join(event.description.split()).replace("|", "\\|")
    return f"| {names} | {event.level} | {values} | {told} |"
