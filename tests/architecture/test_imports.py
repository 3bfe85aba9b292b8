"""The contracts of .importlinter see the whole tree, and each of them can fail."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / ".importlinter"


def _services() -> set[str]:
    return {path.parent.name for path in (ROOT / "services").glob("*/*.py")}


def _lines(section: str, option: str) -> set[str]:
    parser = configparser.ConfigParser()
    parser.read(CONFIGURATION)
    return set(parser[section][option].split())


def test_every_service_is_a_root() -> None:
    assert _lines("importlinter", "root_packages") == {f"services.{name}" for name in _services()}


def test_every_service_is_kept_apart() -> None:
    apart = {f"services.{name}" for name in _services() - {"common"}}
    assert _lines("importlinter:contract:services", "modules") == apart
    assert _lines("importlinter:contract:common", "forbidden_modules") == apart


# contract, file that breaks it, what is written there
VIOLATIONS = [
    ("services", "services/tokens/planted.py", "import services.gateway.refusals"),
    ("services", "services/gateway/routing/planted.py", "import services.tokens.settings"),
    ("common", "services/common/planted.py", "import services.tokens.settings"),
    ("gateway", "services/gateway/routing/planted.py", "import services.gateway.chain"),
    ("gateway", "services/gateway/exchange/planted.py", "import services.gateway.wire.heads"),
    ("gateway", "services/gateway/unplanned.py", "WHAT = 1"),
    ("data-plane", "services/gateway/middleware/planted.py", "import flask"),
    ("data-plane", "services/gateway/routing/planted.py", "import werkzeug.datastructures"),
    ("data-plane", "services/gateway/wire/planted.py", "import redis"),
    ("data-plane", "services/gateway/middleware/planted.py", "import services.common.database"),  # SQLAlchemy, one step away
    ("middleware", "services/gateway/middleware/planted.py", "import services.gateway.middleware.quota"),
]


@pytest.mark.parametrize(("contract", "file", "text"), VIOLATIONS, ids=lambda value: str(value).replace("services/", ""))
def test_a_violation_breaks_its_contract(contract: str, file: str, text: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CONFIGURATION, tmp_path)
    planted = tmp_path / file
    if planted.parent.name == "exchange":  # a module that is a file: plant into it
        planted = planted.parent.with_suffix(".py")
    with planted.open("a") as target:
        target.write(f"\n{text}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache", "--contract", contract]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout
    assert "planted" in done.stdout or "unplanned" in done.stdout or "exchange" in done.stdout
