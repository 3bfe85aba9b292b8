"""Reads the envelope of a batch, up to 10 MB of JSON from a stranger, without holding up other requests.

Many values hold up a worker, not long ones: 10 MB of `[],[],…` would stop everything for half a second and grow into hundreds
of megabytes; one text of 10 MB takes a few milliseconds. So values are counted while they are read, in Python and, when there is much to
read, in a thread, which lets the event loop have its turns.
"""

from __future__ import annotations

import asyncio
import json
import json.scanner
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

from services.gateway.refusals import BATCH_ENTRY_MALFORMED, BATCH_MALFORMED, BATCH_TOO_LARGE, Refusal
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.names import FORWARDED, FRAMING, as_text, is_token_text
from services.gateway.wire.heads.requests import method_of

MOST_ENTRIES: Final = 100
# More than a hundred entries have with as many header fields each as a request may have.
MOST_VALUES: Final = 50_000
_READ_AT_ONCE: Final = 4 * 1024
_LONGEST_METHOD: Final = 20
_HALF_OF_A_PAIR: Final = re.compile(r"[\ud800-\udfff]").search
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*").fullmatch
# A trusted proxy may have written on the envelope by which way it came; an entry holds only the client's word, so the envelope's counts.
# The gateway frames the request, and an entry goes to the host of its envelope.
_OWN: Final = as_text(FORWARDED | FRAMING) | {"host", "expect", "keep-alive"}


class Entry:
    """One request of a batch. relative_url: below the listen path, as the client wrote it."""

    __slots__ = ("body", "headers", "method", "relative_url")

    def __init__(self, method: str, headers: list[Header], body: bytes, relative_url: str) -> None:
        self.method = method
        self.headers = headers
        self.body = body
        self.relative_url = relative_url

    @property
    def received(self) -> int:
        """Return the bytes of its body."""
        return len(self.body)


async def read(pieces: list[bytes], thread: Executor) -> tuple[list[Entry], bool]:
    """Return the entries, and whether they run one after the other. Raises Refusal when the envelope or an entry is malformed."""
    if sum(map(len, pieces)) <= _READ_AT_ONCE:
        return parse(pieces)
    return await asyncio.get_running_loop().run_in_executor(thread, parse, pieces)


def parse(pieces: list[bytes]) -> tuple[list[Entry], bool]:
    """As `read`."""
    body = b"".join(pieces)
    try:
        document = json.loads(body, cls=_Counting)
    except _TooManyValues:
        raise Refusal(BATCH_TOO_LARGE, detail=f"The batch holds more than {MOST_VALUES} JSON values.") from None
    except (ValueError, RecursionError):
        raise Refusal(BATCH_MALFORMED) from None
    requests = document.get("requests") if isinstance(document, dict) else None
    if not isinstance(requests, list):
        raise Refusal(BATCH_MALFORMED)
    if len(requests) > MOST_ENTRIES:
        raise Refusal(BATCH_TOO_LARGE, detail=f"The batch has {len(requests)} entries; at most {MOST_ENTRIES} are allowed.")
    return [_entry(request, place) for place, request in enumerate(requests)], document.get("suppress_parallel_execution") is True


class _TooManyValues(Exception):
    pass


class _Counting(json.JSONDecoder):
    """Gives up after MOST_VALUES values (true, false and null do not count: they are few bytes and not new objects)."""

    def __init__(self) -> None:
        super().__init__(parse_int=self._counted(int), parse_float=self._counted(float))
        self._left = MOST_VALUES
        self.parse_object = self._counted(self.parse_object)  # type: ignore[has-type]  # json's decoder has no annotations
        self.parse_array = self._counted(self.parse_array)  # type: ignore[has-type]
        self.parse_string = self._counted(self.parse_string)  # type: ignore[has-type]
        # The scanner in C would not call these.
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]

    def _counted(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise _TooManyValues
            return parse(*arguments)

        return counted


def _entry(request: Any, place: int) -> Entry:
    def malformed(what: str) -> Refusal:
        return Refusal(BATCH_ENTRY_MALFORMED, detail=f"Entry {place}: {what}.")

    if not isinstance(request, dict):
        raise Refusal(BATCH_MALFORMED, detail=f"Entry {place} is not an object.")
    method = request.get("method") or "GET"
    if not isinstance(method, str) or len(method) > _LONGEST_METHOD:
        raise malformed("its method is not an HTTP method")
    try:
        method_of(method.encode("utf-8", "replace"))
    except BadRequest:
        lower = is_token_text(method) and method != method.upper()
        raise malformed("its method is not an HTTP method" + (" (they are written in upper case)" if lower else "")) from None
    relative_url, body, given = request.get("relative_url") or "", request.get("body") or "", request.get("headers") or {}
    if not isinstance(relative_url, str):
        raise malformed("relative_url must be a string")
    if _HALF_OF_A_PAIR(relative_url):  # it cannot be sent, and what stands for it would begin a query
        raise malformed("relative_url holds half of a surrogate pair")
    if not isinstance(body, str):
        raise malformed("body must be a string")
    if not isinstance(given, dict):
        raise malformed("headers must be an object")
    headers: list[Header] = []
    for name, value in given.items():
        if not isinstance(value, str) or not is_token_text(name) or not _VALUE(value):
            raise malformed("a header is malformed")
        if name.lower() not in _OWN:
            headers.append((name.encode("ascii"), value.encode("utf-8", "replace")))
    return Entry(method, headers, body.encode("utf-8", "replace"), relative_url)
