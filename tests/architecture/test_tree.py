"""What holds for the tree and no linter says: namespaces, docstrings, pins, who may import what in the tests."""

from __future__ import annotations

import ast
import functools
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("services", "tools", "tests", "bench", "deploy")
pytestmark = pytest.mark.xdist_group("tree")  # each file is read and parsed once
SHAPELESS = {"utils", "util", "helpers", "helper", "misc", "common_utils"}


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _relative(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in _modules(*CODE) if ast.get_docstring(_tree(path)) is None and path.read_text().strip()]
    assert _relative(silent) == []


def test_services_are_a_namespace() -> None:
    """Neither `services` nor a service has an `__init__.py`; a room further down may open with one that has something to say."""
    packages = [path.relative_to(ROOT) for path in _modules("services") if path.name == "__init__.py"]
    assert [str(path) for path in packages if len(path.parts) <= 3] == []
    assert [str(path) for path in packages if not (ROOT / path).read_text().strip()] == []


def test_names_say_something() -> None:
    assert _relative([path for path in _modules(*CODE) if SHAPELESS & {path.stem, *path.parts}]) == []


def test_system_tests_speak_only_http() -> None:
    """They import no service: what they know is what a client knows."""
    knowing = {str(path.relative_to(ROOT)): _imports(path) for path in _modules("tests/system", "tests/compose")}
    assert {file: names for file, found in knowing.items() if (names := {one for one in found if one.split(".")[0] == "services"})} == {}


def test_unit_tests_know_their_own_service_and_the_common_base() -> None:
    wrong = []
    for path in _modules("tests/unit"):
        own = path.relative_to(ROOT / "tests" / "unit").parts[0]
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] == "services" and len(parts) > 1 and parts[1] not in (own, "common"):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("room", ["middleware", "routing"])
def test_one_file_has_one_test_file(room: str) -> None:
    """What is tested where is found by the name."""
    files = {path.stem for path in (ROOT / "services" / "gateway" / room).glob("*.py")}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "unit" / "gateway" / room).glob("test_*.py")}
    assert tests == files - {"__init__"}


def _long_sleeps(tree: ast.AST) -> list[int]:
    """Lines of `time.sleep` for a tenth of a second or more, outside coroutines: there it plays a loop that stands still."""
    found: list[int] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep":
            length = node.args[0]
            if not (isinstance(length, ast.Constant) and isinstance(length.value, float) and length.value < 0.1):
                found.append(node.lineno)
        found += _long_sleeps(node)
    return found


def test_tests_wait_for_conditions() -> None:
    """A fixed sleep is either too short or too long: `time.sleep` stands only where a loop with a deadline looks again and again."""
    ours = [path for path in _modules("tests") if not {"support", "conformance"} & set(path.parts)]
    assert {str(path.relative_to(ROOT)): lines for path in ours if (lines := _long_sleeps(_tree(path)))} == {}


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.[it]*")), ids=lambda path: path.name)
def test_requirements_name_no_registry(file: Path) -> None:
    """Where packages come from is the business of the machine that installs them."""
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|^-[if] ", file.read_text(), re.M)


@pytest.mark.parametrize("name", ["base", "build", "dev", "tracing", "valkey"])
def test_pins_are_exact_and_hashed(name: str) -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text().strip())
    assert pins
    assert [pin.splitlines()[0] for pin in pins if not re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", pin) or "--hash=sha256:" not in pin] == []


def test_pins_agree() -> None:
    """What runs in production is what was tested: the same versions, and the same files of each."""

    def pins(name: str) -> set[tuple[str, ...]]:
        blocks = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text().strip())
        return {(re.split(r"[\s;]", block)[0], *sorted(re.findall(r"sha256:\w+", block))) for block in blocks}

    assert (pins("base") | pins("build") | pins("tracing") | pins("valkey")) - pins("dev") == set()


@pytest.mark.slow
def test_what_runs_needs_no_package_of_the_developers() -> None:
    """`./dev up` and the images install base.txt alone; whoever traces, tracing.txt besides."""
    texts = [(ROOT / "requirements" / name).read_text() for name in ("base.txt", "tracing.txt")]
    named = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", "".join(texts), re.M)
    base = {re.sub(r"[-_.]+", "-", one).lower() for one in named}
    provided = {module: {re.sub(r"[-_.]+", "-", one).lower() for one in found} for module, found in packages_distributions().items()}
    files = [*_modules("services", "deploy"), *(ROOT / "tools" / "dev").glob("*.py")]
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in {one.partition(".")[0] for one in _imports(path)}
        if name in provided and not provided[name] & base
    }
    assert wrong == set()
