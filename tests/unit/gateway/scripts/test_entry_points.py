"""Functions that installed packages register: found when a definition is saved, called in the process of the scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistakes
from services.gateway.refusals import SCRIPT_FAILED, Refusal
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import definition
from tests.unit.gateway.scripts.conftest import Called

CODE = """import logging

def stamp(request, session, config):
    logging.getLogger("acme").info("stamped %s", request["Method"])
    logging.getLogger("acme").info("a slip: %d", "no number")
    request["SetHeaders"]["X-Acme"] = config["config_data"]["a"]

def fails(request, session, config):
    raise ValueError("no")
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package that registers functions: name → `module:function`."""
    packages = tmp_path / "packages"
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setenv("PYTHONPATH", str(packages))

    def installed(name: str = "acme", version: str = "1.0", **registered: str) -> None:
        info = packages / f"{name}-{version}.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "\n".join(f"{one} = {value}" for one, value in registered.items())
        (info / "entry_points.txt").write_text(f"[gatehouse.middleware]\n{lines}\n")
        (packages / "acme_middleware.py").write_text(CODE)

    return installed


def load(folder: Path, name: str) -> Called:
    scripts = definition(custom_middleware={"driver": "python", "pre": [{"name": name}]}, config_data={"a": "b"}).scripts
    running = Scripts(folder, seconds=20).load(scripts)
    assert running is not None
    return Called(running)


def mistake(folder: Path, name: str) -> tuple[str, str]:
    with pytest.raises(Mistakes) as error:
        load(folder, name)
    [found] = error.value.mistakes
    return found


def test_it_is_called(folder: Path, install: Install) -> None:
    install(**{"acme-stamp": "acme_middleware:stamp"})
    out, inline = load(folder, "acme-stamp")()
    assert (out["set"], inline, out["logs"]) == ({"X-Acme": "b"}, False, [["info", "stamped GET"], ["info", "a slip: %d"]])


@pytest.mark.parametrize("value", ["acme_middleware:fails", "acme_middleware:nothing", "no_such_module:stamp"])
def test_a_fault_is_a_refusal(folder: Path, install: Install, value: str) -> None:
    install(fails=value)
    with pytest.raises(Refusal) as refusal:
        load(folder, "fails")()
    assert refusal.value.kind is SCRIPT_FAILED


def test_one_that_nobody_registers_is_a_mistake(folder: Path, install: Install) -> None:
    install(stamp="acme_middleware:stamp")
    pointer, message = mistake(folder, "stamp2")
    assert (pointer, "`stamp2` is registered by no installed package" in message) == ("/custom_middleware/pre/0/name", True)


def test_one_that_two_packages_register_is_a_mistake(folder: Path, install: Install) -> None:
    install(stamp="acme_middleware:stamp")
    install("other", stamp="acme_middleware:fails")
    assert "by several packages" in mistake(folder, "stamp")[1]


def test_it_is_not_imported_when_a_definition_is_saved(folder: Path, install: Install) -> None:
    install(stamp="no_such_module:stamp")
    load(folder, "stamp")


def test_another_version_is_another_program(folder: Path, install: Install) -> None:
    install(stamp="acme_middleware:stamp")
    before: Any = load(folder, "stamp").running._program
    install(version="1.1", stamp="acme_middleware:stamp")
    (folder.parent / "packages" / "acme-1.0.dist-info" / "entry_points.txt").unlink()
    assert json.dumps(load(folder, "stamp").running._program.as_json()) != json.dumps(before.as_json())
