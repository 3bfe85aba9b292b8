"""Takes a template apart: the part of Go's template language that bodies need, checked when a definition is saved.

Actions: fields (`{{.a.b}}`, `{{.}}`, `{{$}}`), `if`, `else if`, `else`, `range` (with `$i, $e :=`), `with`, `end`, comments, trim marks,
strings, numbers, `true`, `false`, `nil`, variables, pipes, parentheses, and the functions of `functions.py`. Anything else is a
TemplateError, with its line: a template never does less than it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from services.gateway.templating.functions import FUNCTIONS, Own

LARGEST: Final = 256 * 1024
_DEEPEST: Final = 20
_ACTION: Final = re.compile(
    r"\{\{(-(?=\s))?(\s*/\*(?:(?!\*/).)*+\*/\s*|(?:\"(?:[^\"\\\n]|\\.)*+\"|`[^`]*+`|(?!\}\})[^\"`])*?)((?<=\s)-)?\}\}", re.DOTALL
)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<field>(?:\.[A-Za-z_]\w*)+)|(?P<dot>\.)"""
    r"""|(?P<variable>\$\w*(?:\.[A-Za-z_]\w*)*)|(?P<word>[A-Za-z_]\w*)|(?P<sign>:=|[|(),=]))"""
)


class TemplateError(ValueError):
    """A template cannot be used; the text says why and in which line."""


class Call(NamedTuple):
    """A function and what it is given."""

    function: str
    arguments: tuple[Operand, ...]


class Field(NamedTuple):
    """A place in the data. variable: where it starts, None = at the dot, "" = at the root."""

    variable: str | None
    path: tuple[str, ...]


class Literal(NamedTuple):
    value: Any


Operand = Call | Field | Literal


class Text(NamedTuple):
    text: str


class Output(NamedTuple):
    value: Operand


class Assign(NamedTuple):
    """declares: whether it makes a variable of its block (`:=`), or gives another value to one that there is (`=`)."""

    variable: str
    value: Operand
    declares: bool


class Branch(NamedTuple):
    """kind: `if`, `with` or `range`. variables: of `range`, or of `with $x :=`."""

    kind: str
    value: Operand
    variables: tuple[str, ...]
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Text | Output | Assign | Branch


class _Action(NamedTuple):
    source: str
    line: int


def parse(text: str) -> tuple[Node, ...]:
    """Return the nodes of a template. Raises TemplateError."""
    if len(text) > LARGEST:
        raise TemplateError(f"it is larger than {LARGEST // 1024} KB")
    pieces = list(_pieces(text))
    nodes, place = _block(pieces, 0, {""}, 0)
    if place < len(pieces):
        raise _unexpected(pieces[place])
    return nodes


def _pieces(text: str) -> Iterator[str | _Action]:
    """Split a template into texts and actions, white space trimmed where the marks say so."""
    place, trim = 0, False
    while True:
        start = text.find("{{", place)
        before = text[place:] if start < 0 else text[place:start]
        if trim:
            before = before.lstrip()
        if start < 0:
            yield before
            return
        line = text.count("\n", 0, start) + 1
        found = _ACTION.match(text, start)
        if found is None:
            raise TemplateError(f"line {line}: an action is not closed")
        yield before.rstrip() if found[1] else before
        source = found[2].strip()
        if not (source.startswith("/*") and source.endswith("*/")):
            yield _Action(source, line)
        place, trim = found.end(), found[3] is not None


def _block(pieces: list[str | _Action], place: int, known: set[str], depth: int) -> tuple[tuple[Node, ...], int]:
    """Read nodes until an `else` or `end` that is not theirs. known: variables."""
    nodes: list[Node] = []
    known = set(known)
    while place < len(pieces):
        piece = pieces[place]
        if isinstance(piece, str):
            if piece:
                nodes.append(Text(piece))
            place += 1
            continue
        word = piece.source.split(None, 1)[0] if piece.source else ""
        if word in ("end", "else"):
            break
        if word in ("if", "with", "range"):
            if depth >= _DEEPEST:
                raise TemplateError(f"line {piece.line}: blocks are nested more than {_DEEPEST} deep")
            branch, place = _branch(pieces, place, known, depth)
            nodes.append(branch)
            continue
        tokens = _Tokens(piece, known)
        variables = tokens.variables()
        value = tokens.pipeline()
        tokens.end()
        if len(variables) > 1:
            raise _unexpected(piece)
        known.update(variables)
        nodes.append(Assign(variables[0], value, tokens.declares) if variables else Output(value))
        place += 1
    return tuple(nodes), place


def _branch(pieces: list[str | _Action], place: int, known: set[str], depth: int, skip: str = "") -> tuple[Branch, int]:
    """Read a block with its `else` and its `end`. skip: words before its own (`else` of `else if`)."""
    action = pieces[place]
    assert isinstance(action, _Action)
    source = action.source[len(skip) :].strip()
    kind, _, rest = source.partition(" ")
    tokens = _Tokens(_Action(rest, action.line), known)
    variables = tokens.variables()
    value = tokens.pipeline()
    tokens.end()
    if len(variables) > (2 if kind == "range" else 1):
        raise _unexpected(action)
    inner = known | set(variables)
    then, place = _block(pieces, place + 1, inner, depth + 1)
    otherwise: tuple[Node, ...] = ()
    closing = pieces[place] if place < len(pieces) else None
    if isinstance(closing, _Action) and closing.source.split(None, 2)[:2] in (["else", "if"], ["else", "with"]):
        if depth >= _DEEPEST:
            raise TemplateError(f"line {closing.line}: blocks are nested more than {_DEEPEST} deep")
        nested, place = _branch(pieces, place, known, depth + 1, "else")
        return Branch(kind, value, variables, then, (nested,)), place
    if isinstance(closing, _Action) and closing.source == "else":
        otherwise, place = _block(pieces, place + 1, known, depth + 1)
        closing = pieces[place] if place < len(pieces) else None
    if not isinstance(closing, _Action) or closing.source != "end":
        raise TemplateError(f"line {action.line}: `{kind}` has no `end`")
    return Branch(kind, value, variables, then, otherwise), place + 1


class _Tokens:
    """The tokens of one action. declares: whether `variables` found `:=`."""

    def __init__(self, action: _Action, known: set[str]) -> None:
        self._action = action
        self._known = known
        self._tokens: list[tuple[str, str]] = []
        place, source = 0, action.source
        while place < len(source.rstrip()):
            found = _TOKEN.match(source, place)
            if found is None or found.lastgroup is None:
                raise _unexpected(action)
            kind = found.lastgroup
            # `(index .list 0).name` goes on where `(f .x) .name` names another value.
            if kind == "field" and source[place - 1 : place] == ")":
                kind = "further"
            self._tokens.append((kind, found[found.lastgroup]))
            place = found.end()
        self._place = 0
        self.declares = False

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else ("end", "")

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise _unexpected(self._action)

    def variables(self) -> tuple[str, ...]:
        """Read `$x :=` or `$i, $e :=` if it stands here."""
        names: list[str] = []
        ahead = 0
        while self._peek(ahead)[0] == "variable" and "." not in self._peek(ahead)[1]:
            names.append(self._peek(ahead)[1][1:])
            ahead += 1
            if self._peek(ahead)[1] != ",":
                break
            ahead += 1
        if not names or self._peek(ahead)[1] not in (":=", "="):
            return ()
        if self._peek(ahead)[1] == "=" and not set(names) <= self._known:
            raise _unexpected(self._action)
        self.declares = self._peek(ahead)[1] == ":="
        self._place += ahead + 1
        return tuple(names)

    def pipeline(self, depth: int = 0) -> Operand:
        if depth > _DEEPEST:
            raise _unexpected(self._action)
        value = self._command(depth)
        while self._peek()[1] == "|":
            self._place += 1
            value = self._command(depth, value)
        return value

    def _command(self, depth: int, piped: Operand | None = None) -> Operand:
        kind, text = self._peek()
        if kind == "word" and text not in ("true", "false", "nil"):
            if text not in FUNCTIONS:
                raise TemplateError(
                    f"line {self._action.line}: `{text[:40]}` is not a function that is known: {', '.join(sorted(FUNCTIONS))}"
                )
            self._place += 1
            arguments: list[Operand] = []
            while self._peek()[0] != "end" and self._peek()[1] not in ("|", ")"):
                arguments.append(self._operand(depth))
            if piped is not None:
                arguments.append(piped)
            least, most, _ = FUNCTIONS[text]
            if not least <= len(arguments) <= most:
                raise TemplateError(f"line {self._action.line}: `{text}` is given {len(arguments)} values")
            return Call(text, tuple(arguments))
        if piped is not None:
            raise _unexpected(self._action)
        return self._operand(depth)

    def _operand(self, depth: int) -> Operand:
        kind, text = self._peek()
        self._place += 1
        if kind == "text":
            return Literal(Own(text[1:-1] if text[0] == "`" else _unquoted(text, self._action)))
        if kind == "number":
            try:
                return Literal(json.loads(text))
            except ValueError:
                raise _unexpected(self._action) from None
        if kind == "field":
            return Field(None, tuple(text[1:].split(".")))
        if kind == "dot":
            return Field(None, ())
        if kind == "variable":
            name, *path = text[1:].split(".")
            if name not in self._known:
                raise TemplateError(f"line {self._action.line}: the variable `${name[:40]}` has no value")
            return Field(name, tuple(path))
        if kind == "word" and text in ("true", "false", "nil"):
            return Literal({"true": True, "false": False, "nil": None}[text])
        if kind == "word" and text in FUNCTIONS and FUNCTIONS[text][0] == 0:
            return Call(text, ())
        if text == "(":
            value = self.pipeline(depth + 1)
            if self._peek()[1] != ")":
                raise _unexpected(self._action)
            self._place += 1
            kind, text = self._peek()
            if kind != "further":
                return value
            self._place += 1
            return Call("index", (value, *map(Literal, text[1:].split("."))))
        raise _unexpected(self._action)


def _unquoted(text: str, action: _Action) -> str:
    try:
        value: str = json.loads(text)
    except ValueError:
        raise _unexpected(action) from None
    return value


def _unexpected(piece: str | _Action) -> TemplateError:
    assert isinstance(piece, _Action)
    return TemplateError(f"line {piece.line}: `{{{{{piece.source[:60]}}}}}` is not understood")
