"""Fills templates with data. A filled text and the work for it are bounded, whatever the data are.

Where a template writes JSON (its first character is `{` or `[`), the texts that it puts in are escaped for a JSON string, and so are lists
and objects within one; where it writes XML (`<`), they are escaped as its texts. A quote or a tag in what a client sends must not become a
part of the document. Go's templates do not do that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from services.gateway.templating.functions import FUNCTIONS, Json, Own, member, text_of
from services.gateway.templating.syntax import Assign, Branch, Call, Field, Literal, Node, Operand, Output, Text, parse
from services.gateway.templating.xml_documents import Xml, escaped

MOST_STEPS: Final = 1_000_000  # about as many microseconds
# Characters of a text that a function makes in one step.
_TEXT_OF_A_STEP: Final = 64
_BEFORE: Final = "\ufeff \t\r\n"  # editors write a mark of the encoding before the text
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)

Variables = dict[str, list[Any]]


class TooLarge(Exception):
    """The filled text is too long, or takes too many steps."""


class TooManySteps(TooLarge):
    """The work for the text takes too many steps."""


class Template:
    """source: its text. writes_json, writes_xml: whether what it writes may begin so. Raises TemplateError when it is not understood."""

    __slots__ = ("_nodes", "source", "writes_json", "writes_xml")

    def __init__(self, source: str) -> None:
        self.source = source
        self._nodes = parse(source)
        self.writes_json, _ = _begins(self._nodes, ("{", "["))
        self.writes_xml, _ = _begins(self._nodes, ("<",))

    def fill(self, data: Any, most: int, steps: int = MOST_STEPS) -> str:
        """Return the text for these data. most: characters that it may have; steps: that it may take. Raises TooLarge, TooManySteps."""
        filling = _Filling(self.writes_json, self.writes_xml, most, steps)
        filling.write(self._nodes, data, {"": [data]})
        return "".join(filling.parts)


def _begins(nodes: Sequence[Node], signs: tuple[str, ...]) -> tuple[bool, bool]:
    """Tell whether the first text of a template may begin with a sign, whichever branches it takes; and whether there may be no text."""
    found = False
    for node in nodes:
        if isinstance(node, Text) and (text := node.text.lstrip(_BEFORE)):
            return found or text[0] in signs, False
        if isinstance(node, Output):
            return found, False
        if isinstance(node, Branch):
            (then, then_none), (otherwise, otherwise_none) = _begins(node.then, signs), _begins(node.otherwise, signs)
            found = found or then or otherwise
            if not (then_none or otherwise_none):
                return found, False
    return found, True


class _Filling:
    """One text on its way. Each variable is a list of one value, so that blocks within the one where it was made can set it."""

    def __init__(self, is_json: bool, is_xml: bool, most: int, steps: int) -> None:
        self.parts: list[str] = []
        self._is_json = is_json
        self._is_xml = is_xml
        self._left = most
        self._steps = steps
        self._quoted = False

    def write(self, nodes: Iterable[Node], dot: Any, variables: Variables) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, Text):
                self._add(node.text)
                if self._is_json:
                    self._note_quotes(node.text)
            elif isinstance(node, Output):
                self._add(self._shown(self._value(node.value, dot, variables)))
            elif isinstance(node, Assign):
                value = self._value(node.value, dot, variables)
                if node.declares:
                    variables[node.variable] = [value]
                else:
                    variables[node.variable][0] = value
            else:
                self._branch(node, dot, variables)

    def _step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise TooManySteps

    def _add(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooLarge
        self.parts.append(text)

    def _shown(self, value: Any) -> str:
        text = text_of(value)
        if not isinstance(value, str | list | tuple | Mapping):
            return text
        if self._is_xml and not isinstance(value, Own | Xml):
            text = escaped(text)
        if not self._is_json:
            return text
        if isinstance(value, Own | Json):
            self._note_quotes(text)
            return text
        # A list where the author expects a text must not end the JSON string that it stands in.
        return json.dumps(text, ensure_ascii=False)[1:-1] if self._quoted or isinstance(value, str) else text

    def _note_quotes(self, text: str) -> None:
        """Keep in mind whether a JSON string is open behind a text of the author's own."""
        if _ESCAPED.sub("", text).count('"') % 2:
            self._quoted = not self._quoted

    def _branch(self, node: Branch, dot: Any, variables: Variables) -> None:
        value = self._value(node.value, dot, variables)
        if node.kind == "range":
            pairs = _pairs(value)
            for place, element in pairs:
                self._step()
                inner = dict(variables)
                if node.variables:
                    inner[node.variables[-1]] = [element]
                    if len(node.variables) == 2:
                        inner[node.variables[0]] = [place]
                self.write(node.then, element, inner)
            if not pairs:
                self.write(node.otherwise, dot, dict(variables))
        elif value:
            inner = {**variables, **{name: [value] for name in node.variables}}
            self.write(node.then, value if node.kind == "with" else dot, inner)
        else:
            self.write(node.otherwise, dot, dict(variables))

    def _value(self, operand: Operand, dot: Any, variables: Variables) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Field):
            value = dot if operand.variable is None else variables[operand.variable][0]
            for name in operand.path:
                value = member(value, name)
            return value
        assert isinstance(operand, Call)
        made = FUNCTIONS[operand.function][2](*(self._value(one, dot, variables) for one in operand.arguments))
        if isinstance(made, str):
            # Texts that are kept or compared, and not written, are work as well, and memory.
            self._steps -= len(made) // _TEXT_OF_A_STEP + (made.steps if isinstance(made, Xml) else 0)
            self._step()
        return made


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """Return what `range` goes over: a list by place, an object by its sorted names, as in Go."""
    if isinstance(value, Mapping):
        return sorted(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []
