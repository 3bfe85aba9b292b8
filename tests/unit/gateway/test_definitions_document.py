"""docs/definitions.md, the docstrings that it is written from, and what is really read."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from services.gateway import bearer
from services.gateway.chain import ORDER
from services.gateway.definitions import (
    authentication_schema,
    error_schema,
    event_schema,
    schema,
    upstream_schema,
    uptime_schema,
    version_schema,
)
from services.gateway.definitions.not_served import catalogue
from services.gateway.definitions_document import Described, described_fields, document, named_refusals, read_fields
from services.gateway.keys import token_checks
from services.gateway.refusals import RefusalKind
from services.gateway.scripts import request_objects, scripts

ROOT = Path(__file__).parents[3]
# What middlewares that ask for a token have in common.
SHARED = (bearer, token_checks)
# What those that run scripts have in common.
SCRIPTED = (scripts, request_objects)
MIDDLEWARES = [step.middleware for step in ORDER if isinstance(step.middleware, ModuleType)]
DESCRIBED = [
    one
    for module in (schema, version_schema, authentication_schema, *MIDDLEWARES, event_schema, upstream_schema, uptime_schema, error_schema)
    for one in described_fields(module)
]


def test_the_document_is_in_step() -> None:
    command = [sys.executable, "-m", "services.gateway.definitions_document"]
    written = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, encoding="utf-8").stdout
    shown = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
    assert shown == written, "python -m services.gateway.definitions_document > docs/definitions.md"
    assert written == document()


def test_every_field_that_is_read_is_in_the_document() -> None:
    """In a docstring, or among what is not served, with what that switches off; an object counts by its members."""
    exact = {one.path.removesuffix(".*") for one in DESCRIBED}
    inside = [one.path for one in DESCRIBED if one.path.endswith(".*")]
    for one in catalogue():
        room = one.path.rpartition(".")[0]
        exact.add(f"{room}.{one.switched_off_by}".removeprefix("."))
        inside.append(one.path.removesuffix(".*"))
    exact.update(schema.ECHOED)
    missing = [
        path
        for path in read_fields()
        if path not in exact and not any(path == room or path.startswith((f"{room.removesuffix('.*')}.", f"{room}[]")) for room in inside)
    ]
    assert missing == []


def test_every_field_in_a_docstring_is_read_and_described_once() -> None:
    read = read_fields()
    wild = [one.path for one in DESCRIBED if one.path.endswith(".*")]
    assert [one.path for one in DESCRIBED if one.path not in read and one.path not in wild] == []
    assert all(any(path.startswith(room[:-1]) for path in read) for room in wild)
    assert [path for path, times in Counter(one.path for one in DESCRIBED).items() if times > 1] == []


@pytest.mark.parametrize("one", DESCRIBED, ids=[one.path for one in DESCRIBED])
def test_a_field_says_what_it_does(one: Described) -> None:
    assert one.effect
    assert one.since in ("own", "unknown") or one.since.replace(".", "").isdigit()


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=[one.__name__.rpartition(".")[2] for one in MIDDLEWARES])
def test_a_middleware_names_its_refusals(middleware: ModuleType) -> None:
    sources = [middleware, *(SHARED if hasattr(middleware, "BearerTokens") else ())]
    if hasattr(middleware, "Hooks"):
        sources += SCRIPTED
    elif hasattr(middleware, "Running"):
        sources.append(scripts)
    raised = {value.code for source in sources for value in vars(source).values() if isinstance(value, RefusalKind)}
    _, _, named = (middleware.__doc__ or "").partition("Refusals:")
    assert set(named_refusals(named)) == raised
