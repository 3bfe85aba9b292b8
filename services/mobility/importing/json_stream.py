"""Read a long JSON text piece by piece, so that a file of any size needs the memory of its largest piece.

A cursor stands in the text; `json.JSONDecoder.raw_decode` reads one value from there, and more of the file is read when it ends too soon.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from json.decoder import JSONDecodeError
from typing import Any, BinaryIO, Final, NoReturn

LARGEST: Final = 16 * 1024 * 1024  # characters of one value
_CHUNK: Final = 256 * 1024  # bytes
_SPACE: Final = " \t\r\n"
_TAIL: Final = 16  # characters: an error this near to the end of what is read may be none, as in `tru` or `\u00`


class NotJSON(ValueError):
    """The text is not what is expected; the message says where."""


def _refuse_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is not JSON")


decoder: Final = json.JSONDecoder(parse_constant=_refuse_constant)


class Cursor:
    """A place in a JSON text. read: takes the number of bytes as they are read. Raises NotJSON, OSError."""

    def __init__(self, file: BinaryIO, read: Callable[[int], None] = lambda count: None) -> None:
        self._file = file
        self._read = read
        self._bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._place = 0
        self._before = 0  # characters that are gone
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is not white space; "" at the end."""
        while True:
            text, place = self._text, self._place
            while place < len(text) and text[place] in _SPACE:
                place += 1
            self._place = place
            if place < len(text):
                return text[place]
            if self._ended:
                return ""
            self._more()

    def take(self, expected: str) -> None:
        """Go over a character that must be there."""
        found = self.peek()
        if found != expected:
            self.fail(f"expected {expected!r}, found {found!r}" if found else f"the text ends where {expected!r} should be")
        self._place += 1

    def took(self, wanted: str) -> bool:
        """Go over a character if it is there."""
        if self.peek() != wanted:
            return False
        self._place += 1
        return True

    def value(self) -> Any:
        """Read one value."""
        self.peek()
        while True:
            try:
                found, end = decoder.raw_decode(self._text, self._place)
                if end < len(self._text) or self._ended or not isinstance(found, int | float):  # a number may go on
                    self._place = end
                    return found
            except JSONDecodeError as error:
                open_string = error.msg.startswith("Unterminated string")
                if self._ended or not (open_string or error.pos >= len(self._text) - _TAIL):
                    self._place = min(error.pos, len(self._text))
                    self.fail(error.msg)
            except RecursionError:
                self.fail("nested too deeply")
            except ValueError as error:  # NaN, or a number of thousands of digits
                self.fail(str(error))
            if len(self._text) - self._place > LARGEST:
                self.fail(f"one value is longer than {LARGEST:,} characters")
            self._more(len(self._text) - self._place)

    def fail(self, reason: str) -> NoReturn:
        raise NotJSON(f"{reason} (near character {self._before + self._place + 1:,})") from None

    def _more(self, at_least: int = 0) -> None:
        """Read on; as much as there is of an unfinished value, so that long ones are not tried again and again."""
        chunk = self._file.read(max(_CHUNK, at_least))
        self._read(len(chunk))
        self._ended = not chunk
        try:
            text = self._bytes.decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            self.fail("the file is not UTF-8")
        self._before += self._place
        self._text = self._text[self._place :] + text
        self._place = 0
