"""What mypyc asks of the modules that it compiles, where it would only fail after minutes, or not at all (docs/development.md)."""

from __future__ import annotations

import ast
import fcntl
import importlib
import json
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.gateway.machine_code import MANIFEST, ROOT, SETTING, digest, source_of
from tests.support.processes import Process
from tools import machine_code

# An attribute `x` is the member `_x` of a structure in C, and there these are words of GCC.
WORDS_OF_C = frozenset(
    f"_{word}"
    for word in (
        "alignof", "asm", "attribute", "auto_type", "builtin_va_arg", "complex", "const", "extension", "imag", "inline", "int128", "label",
        "null", "real", "restrict", "signed", "thread", "typeof", "volatile",
    )
)  # fmt: skip
CONTAINERS = frozenset({"deque", "list", "set", "frozenset", "tuple", "bytes", "bytearray", "OrderedDict", "defaultdict", "Counter"})
OF_COROUTINES = frozenset({"cr_running", "cr_frame", "cr_code", "cr_await", "gi_running", "gi_frame", "gi_code"})
WAITS = (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom)
LOOPS = (ast.For, ast.While, ast.AsyncFor)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Mistakes = Iterator[tuple[int, str]]


def _body(tree: ast.AST, *, inside: tuple[type[ast.AST], ...]) -> Iterator[ast.AST]:
    """Walk through a tree without going into nodes of these kinds."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if not isinstance(child, (*inside, *FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield from _body(child, inside=inside)


def unpacked_constants(tree: ast.Module) -> Mistakes:
    for kind in _classes(tree):
        for statement in kind.body:
            if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Tuple) for target in statement.targets):
                yield statement.lineno, "constants of a class are assigned one by one"


def jumps_over_finally(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if (isinstance(node, ast.Try) and node.finalbody) or isinstance(node, (ast.With, ast.AsyncWith)):
            for found in _body(node, inside=LOOPS):
                if isinstance(found, (ast.Continue, ast.Break)):
                    yield found.lineno, "`continue` and `break` do not leave `with` or `try … finally`"


def waits_in_handlers(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        blocks = [node.finalbody] if isinstance(node, ast.Try) else [node.body] if isinstance(node, ast.ExceptHandler) else []
        for block in blocks:
            for found in (one for statement in block for one in (statement, *_body(statement, inside=()))):
                if isinstance(found, WAITS) or any(one.is_async for one in getattr(found, "generators", ())):
                    line = found.lineno  # type: ignore[attr-defined]
                    yield line, "a coroutine does not wait in `except` or `finally`: it would raise what another one caught"


def waits_at_exits(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if not ast.unparse(item.context_expr).startswith("asyncio.timeout("):
                    yield node.lineno, "`async with` is for `asyncio.timeout`, which does not wait on its way out (as `waits_in_handlers`)"


def errors_of_one_name(tree: ast.Module) -> Mistakes:
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            kinds: dict[str | None, str] = {}
            for node in _body(function, inside=()):
                if isinstance(node, ast.ExceptHandler) and node.name and node.type is not None:
                    kind = ast.unparse(node.type)
                    if kinds.setdefault(node.name, kind) != kind:
                        yield node.lineno, f"`{node.name}` has the type of the first error of that name: another one is a TypeError"


def derived_containers(tree: ast.Module) -> Mistakes:
    for kind in _classes(tree):
        for base in kind.bases:
            if ast.unparse(base).partition("[")[0].rpartition(".")[2] in CONTAINERS:
                yield kind.lineno, "of the containers only dict can be a base class: make it an attribute"


def words_of_c(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WORDS_OF_C:
            yield node.lineno, f"`{node.attr}` becomes a word of C"


def replaced_methods(tree: ast.Module) -> Mistakes:
    for kind in _classes(tree):
        methods = {one.name for one in kind.body if isinstance(one, FUNCTIONS) and not one.decorator_list}
        for node in ast.walk(kind):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and target.attr in methods:
                        yield node.lineno, f"the method {target.attr} cannot be replaced in an object"


def looks_into_coroutines(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in OF_COROUTINES:
            yield node.lineno, "a compiled coroutine has only send, throw and close"


def causes(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("__cause__", "__context__"):
            yield node.lineno, "`raise … from` keeps no cause: give the error an attribute"


def keys_beside_sets(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr, ast.Sub)):
            for side in (node.left, node.right):
                if isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute) and side.func.attr in ("keys", "items"):
                    yield node.lineno, "`&`, `|` and `-` take no `.keys()`: use `intersection` and the like"


def stars_in_tests(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for operator, side in zip(node.ops, node.comparators, strict=True):
                starred = isinstance(side, (ast.Tuple, ast.List)) and any(isinstance(one, ast.Starred) for one in side.elts)
                if starred and isinstance(operator, (ast.In, ast.NotIn)):
                    yield node.lineno, "behind `in` stands no `*`"


def module_hooks(tree: ast.Module) -> Mistakes:
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and node.name in ("__getattr__", "__dir__"):
            yield node.lineno, "a module has no `__getattr__`"


def annotations_ahead(tree: ast.Module) -> Mistakes:
    later = {kind.name for kind in tree.body if isinstance(kind, ast.ClassDef)}
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef):
            for statement in kind.body:
                named = ast.walk(statement.annotation) if isinstance(statement, ast.AnnAssign) else ()
                if (later - {kind.name}) & {one.id for one in named if isinstance(one, ast.Name)}:
                    yield statement.lineno, "a member of a class is of a class that stands above: otherwise the import crashes"
            later.discard(kind.name)


def reads_after_none(tree: ast.Module) -> Mistakes:
    for node in ast.walk(tree):
        for _, block in ast.iter_fields(node):
            none: set[str] = set()
            for statement in block if isinstance(block, list) else ():
                if isinstance(statement, ast.stmt):
                    for read in _attributes(statement, ast.Load):
                        if ast.unparse(read) in none:
                            yield read.lineno, f"for mypy {ast.unparse(read)} still is None"
                    none -= {ast.unparse(one) for one in _attributes(statement, ast.Store)}
                    none |= _set_to_none(statement)


def _attributes(tree: ast.AST, context: type[ast.expr_context]) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, context))


def _set_to_none(statement: ast.AST) -> set[str]:
    """Return the attributes to which a statement assigns None, as they are written."""
    pairs: list[tuple[ast.expr, ast.expr | None]] = []
    if isinstance(statement, ast.AnnAssign):
        pairs.append((statement.target, statement.value))
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                pairs += zip(target.elts, statement.value.elts, strict=True)
            else:
                pairs.append((target, statement.value))
    return {ast.unparse(to) for to, value in pairs if isinstance(to, ast.Attribute) and value is not None and ast.unparse(value) == "None"}


CHECKS: Sequence[Callable[[ast.Module], Mistakes]] = (
    unpacked_constants, jumps_over_finally, waits_in_handlers, waits_at_exits, errors_of_one_name, derived_containers, words_of_c,
    replaced_methods, looks_into_coroutines, causes, keys_beside_sets, stars_in_tests, module_hooks, annotations_ahead, reads_after_none,
)  # fmt: skip


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sources_are_as_mypyc_wants_them(check: Callable[[ast.Module], Mistakes]) -> None:
    found = {module: sorted(set(check(ast.parse(source_of(module).read_text())))) for module in machine_code.modules()}
    assert {module: mistakes for module, mistakes in found.items() if mistakes} == {}


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (unpacked_constants, "class A:\n    B, C = range(2)"),
        (jumps_over_finally, "for one in many:\n    try:\n        continue\n    finally:\n        end()"),
        (jumps_over_finally, "while True:\n    with suppress(E):\n        if one:\n            break"),
        (waits_in_handlers, "async def f():\n    try:\n        pass\n    finally:\n        if one:\n            await end()"),
        (waits_in_handlers, "async def f():\n    try:\n        pass\n    except E:\n        late = await end()"),
        (waits_in_handlers, "async def f():\n    try:\n        pass\n    except E:\n        late = [one async for one in ends()]"),
        (waits_at_exits, "async def f():\n    async with lock:\n        pass"),
        (errors_of_one_name, "def f():\n    try:\n        pass\n    except A as e:\n        pass\n    except (B, C) as e:\n        pass"),
        (derived_containers, "class A(collections.deque[int]): pass"),
        (words_of_c, "self._thread = 1"),
        (replaced_methods, "class A:\n    def write(self): pass\n    def __init__(self):\n        self.write = nothing"),
        (looks_into_coroutines, "if one.cr_running: pass"),
        (causes, "late = error.__cause__"),
        (keys_beside_sets, "found = allowed & known.keys()"),
        (stars_in_tests, "if one in (*some, *others): pass"),
        (annotations_ahead, "class A(NamedTuple):\n    b: B | None\nclass B: pass"),
        (module_hooks, "def __getattr__(name): pass"),
        (reads_after_none, "def f(self):\n    self.close: bool | None = None\n    self.read()\n    return not self.close"),
        (reads_after_none, "def f(self):\n    old, self.fault = self.fault, None\n    tell(old)\n    if self.fault:\n        pass"),
    ],
)
def test_what_it_does_not_take_is_found(check: Callable[[ast.Module], Mistakes], source: str) -> None:
    assert [line for line, _ in check(ast.parse(textwrap.dedent(source)))] != []


def test_what_was_set_again_may_be_read() -> None:
    source = "def f(self):\n    self.close = None\n    self.close = self.read()\n    return not self.close"
    assert list(reads_after_none(ast.parse(source))) == []


def test_a_jump_within_its_own_loop_is_allowed() -> None:
    source = "with one:\n    for a in b:\n        continue\n"
    assert list(jumps_over_finally(ast.parse(source))) == []


def _is_value(value: Any) -> bool:
    """Whether mypyc keeps it as a value and not as an object, so that it is another object each time."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or type(value) is tuple


def test_no_value_is_compared_by_its_identity() -> None:
    assert _is_value(math.inf)
    wrong = []
    for name in machine_code.modules():
        module = importlib.import_module(name)
        for node in ast.walk(ast.parse(source_of(name).read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops):
                sides = [side.id for side in (node.left, *node.comparators) if isinstance(side, ast.Name)]
                wrong += [f"{name}:{node.lineno}: {side}" for side in sides if _is_value(vars(module).get(side))]
    assert wrong == []


def test_what_is_not_compiled_derives_no_class_from_what_is() -> None:
    """An object of such a class cannot be made."""
    compiled = set(machine_code.modules())
    wrong = []
    for path in sorted((ROOT / "services").rglob("*.py")):
        name = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name: {str(node.module), f"{node.module}.{alias.name}"}
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        bases = {ast.unparse(base).partition("[")[0].partition(".")[0] for kind in _classes(tree) for base in kind.bases}
        if name not in compiled:
            wrong += [f"{name}: {base}" for base in sorted(bases) if compiled & imported.get(base, set())]
    assert wrong == []


def test_everything_that_is_named_is_there() -> None:
    """A file that was moved would run interpreted, and nobody would notice."""
    left_out = [source_of(f"services.gateway.{name}") for name in machine_code.LEFT_OUT]
    assert [str(path.relative_to(ROOT)) for path in (*map(source_of, machine_code.modules()), *left_out) if not path.is_file()] == []


def test_a_build_belongs_to_its_sources_and_to_what_they_import() -> None:
    modules = machine_code.modules()
    made_from: dict[str, Any] = machine_code.manifest(modules)
    assert list(made_from["modules"]) == modules
    assert "services.gateway.wire.bodies" in made_from["modules"]
    assert {"services.gateway.wiring", "services.common.addresses"} <= set(made_from["imports"])
    assert not set(made_from["imports"]) & set(modules)


def test_a_build_belongs_to_the_types_that_come_from_further_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.machine_code.ROOT", tmp_path)
    sources = {"one": "from services.two import B", "two": "from services.three import C", "three": "import services.one", "four": ""}
    (tmp_path / "services").mkdir()
    for name, text in sources.items():
        (tmp_path / "services" / f"{name}.py").write_text(text)
    made_from: dict[str, Any] = machine_code.manifest(["services.one"])
    assert (list(made_from["modules"]), list(made_from["imports"])) == (["services.one"], ["services.three", "services.two"])


def test_a_build_by_another_compiler_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path)
    library = tmp_path / "gateway.so"
    library.write_bytes(b"")
    made_from = machine_code.manifest(["services.common.remembered"])
    manifest = {"library": library.name, "content": digest(library), **made_from}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert machine_code._has_made(made_from)
    assert not machine_code._has_made(made_from | {"compiler": ["0.1", ""]})
    library.unlink()
    assert not machine_code._has_made(made_from)


def test_two_do_not_compile_in_one_folder_at_once(tmp_path: Path) -> None:
    work = tmp_path / "work"
    with machine_code._alone(work):
        second = os.open(work, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(second)


def test_git_and_the_images_do_not_see_the_build() -> None:
    assert "/build/" in Path(ROOT, ".gitignore").read_text().splitlines()
    assert not any("build/" in line for line in Path(ROOT, ".dockerignore").read_text().splitlines())


@pytest.mark.parametrize("chosen", ["0", "1"])
def test_what_a_run_of_tests_chooses_reaches_the_programs_that_it_starts(
    chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, chosen)
    program = Process([sys.executable, "-c", f"import os; print(os.environ.get({SETTING!r}))"], {}, tmp_path / "log")
    program.child.wait(30)
    program.stop()
    assert program.text().strip() == chosen
