"""What stands in a page: its links, its forms as a browser sends them, its elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "input", "br"}


@dataclass
class Form:
    """A form. values: what its fields hold, by name. attributes: of its fields, by name. choices: of its selections, by name."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, **typed: object) -> dict[str, str]:
        """Return what a browser sends. typed: over what stands in the fields."""
        return self.values | {name: str(value) for name, value in typed.items()}


class Page(HTMLParser):
    """A page; its elements are closed properly. links: addresses by text; addresses: all of them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.addresses: list[str] = []
        self.forms: list[Form] = []
        self.elements: list[str] = []
        self.heading = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._text = ""
        self._field = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append(tag)
        if tag not in _VOID:
            self._open.append((tag, found))
        if tag in ("a", "h1", "textarea", "option"):
            self._text = ""
        if tag == "form":
            self.forms.append(Form(found.get("action", "")))
        if tag in ("input", "select", "textarea"):
            self._field = found.get("name", "")
            self.forms[-1].attributes[self._field] = found
            self.forms[-1].values[self._field] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        opened, found = self._open.pop()
        assert opened == tag, (opened, tag)
        text = self._text.strip()
        if tag == "a":
            self.links[text] = found["href"]
            self.addresses.append(found["href"])
        elif tag == "h1":
            self.heading = text
        elif tag == "textarea":
            self.forms[-1].values[self._field] = self._text.removeprefix("\n")
        elif tag == "option":
            choices = self.forms[-1].choices.setdefault(self._field, [])
            choices.append(found.get("value", text))
            if len(choices) == 1 or "selected" in found:
                self.forms[-1].values[self._field] = choices[-1]
