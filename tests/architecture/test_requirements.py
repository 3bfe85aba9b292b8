"""What the requirements promise: every package that installations need is one that the services use."""

from __future__ import annotations

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported() -> set[str]:
    """The top names that the services import."""
    names = set()
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def test_services_import_every_package_that_they_require() -> None:
    lines = (ROOT / "requirements" / "base.in").read_text().splitlines()
    required = {_normalised(re.split(r"[\[<>=!~;]", line)[0].strip()) for line in lines if line.strip() and not line.startswith("#")}
    distributions = packages_distributions()
    imported = _imported()
    used = {_normalised(name) for one in imported for name in distributions.get(one, [])}
    if "zoneinfo" in imported:  # which reads its time zones when the machine has none
        used.add("tzdata")
    assert required - used == set()
