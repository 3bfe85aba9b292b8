"""What a new service consists of, and every shared file that must name it: `missing` is the whole list.

A failure names what is missing. Whatever is not in this list finds a service by its folder: migrations, gunicorn's settings, mypy, the
credential for asking auth, `tests/contract`, `test_alone.py`, `tests/system/test_services_start_refused.py`. The recipe is in
`docs/development.md`.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.auth.oauth.rules import clients
from tools.dev import plan

ROOT = Path(__file__).resolve().parents[2]
ALL = {path.parent.name for path in (ROOT / "services").glob("*/*.py")}
APART = ALL - {"common"}
DOMAIN = APART - {"gateway"}  # those of the shape that docs/development.md shows

OWN_FILES = (
    "services/{}/settings.py", "services/{}/wsgi.py", "services/{}/app.py", "services/{}/wiring.py", "services/{}/web.py",
    "services/{}/access.py", "services/{}/refusals.py", "services/{}/models.py", "services/{}/migrations/env.py",
    "services/{}/openapi.json", "services/{}/README.md", "docs/{}.md", "deploy/apis/{}.json", "tests/unit/{}",
    "tests/contract/services/{}.py",
)  # fmt: skip

_contracts = configparser.ConfigParser()
_contracts.read(ROOT / ".importlinter")


def _lines(contract: str, option: str) -> set[str]:
    """The values of an option of .importlinter; none when it is not there."""
    return set(_contracts.get(contract, option, fallback="").split())


def missing(name: str, root: Path = ROOT) -> Iterator[str]:
    """Tell all that a domain service lacks, one sentence each."""
    yield from (f"{path.format(name)} is not there" for path in OWN_FILES if not (root / path.format(name)).exists())
    module, section = f"services.{name}", "importlinter:contract"
    for contract, option in (
        ("importlinter", "root_packages"),
        (f"{section}:services", "modules"),
        (f"{section}:common", "forbidden_modules"),
        (f"{section}:{name}", "containers"),
    ):
        if module not in _lines(contract, option):
            yield f".importlinter: [{contract}] {option} does not name {module}"
    if _contracts.get(f"{section}:{name}", "exhaustive", fallback="") != "True":
        yield f".importlinter: [{section}:{name}] is not exhaustive"
    for contract, modules, forbidden in (
        (f"{section}:{name}-use-cases", {f"{module}.*.service", f"{module}.*.store"}, {"flask", "marshmallow", "werkzeug"}),
        (f"{section}:{name}-rules", {f"{module}.*.rules"}, {"flask", "marshmallow", "sqlalchemy", "werkzeug"}),
    ):
        flat = {one.replace(".*.", ".") for one in modules}  # a service with one noun
        sources = _lines(contract, "source_modules")
        if not (modules <= sources or flat <= sources) or not forbidden <= _lines(contract, "forbidden_modules"):
            yield f".importlinter: [{contract}] does not keep {', '.join(sorted(forbidden))} out of {', '.join(sorted(modules))}"
    if name not in plan.DOMAIN_SERVICES:
        yield "tools/dev/plan.py: DOMAIN_SERVICES does not name it, so it has no port"
    if name != "auth" and name not in clients.SERVICES:
        yield "services/auth/oauth/rules/clients.py: SERVICES does not name it, so no application can be allowed to use it"
    definition = root / f"deploy/apis/{name}.json"
    if definition.exists() and f"env://UPSTREAM_{name.upper()}" not in json.dumps(json.loads(definition.read_text())):
        yield f"deploy/apis/{name}.json: its target is not env://UPSTREAM_{name.upper()}"
    if f"docs/{name}.md" not in (root / "README.md").read_text():
        yield f"README.md: no link to docs/{name}.md"


@pytest.mark.parametrize("name", sorted(DOMAIN))
def test_every_service_is_whole(name: str) -> None:
    assert list(missing(name)) == []


@pytest.mark.parametrize("name", sorted(DOMAIN))
def test_documents_say_null_as_openapi_3_1_does(name: str) -> None:
    """By a type: readers of 3.1 overlook the `nullable` of 3.0, and take null for a fault."""
    document = json.loads((ROOT / f"services/{name}/openapi.json").read_text())
    assert document["openapi"].startswith("3.1.")
    assert "nullable" not in set(_keys(document))


def _keys(value: Any) -> Iterator[str]:
    """Give the keys of all objects in a JSON value."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def test_what_a_new_service_lacks_is_named() -> None:
    """This one has no file and is named nowhere: every line of the list is reported."""
    told = list(missing("newcomer"))
    assert len(told) == len(OWN_FILES) + 10
    assert {line.partition(":")[0] for line in told if " is not there" not in line} == {
        ".importlinter",
        "tools/dev/plan.py",
        "services/auth/oauth/rules/clients.py",
        "README.md",
    }


def test_contracts_name_what_there_is_and_nothing_else() -> None:
    assert _lines("importlinter", "root_packages") == {f"services.{name}" for name in ALL}
    apart = {f"services.{name}" for name in APART}
    assert _lines("importlinter:contract:services", "modules") == apart
    assert _lines("importlinter:contract:common", "forbidden_modules") == apart
