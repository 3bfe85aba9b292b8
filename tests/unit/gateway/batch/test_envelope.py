"""Reading a batch: what an envelope and its entries may hold. Nothing is run of a batch that is not whole."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.batch import envelope
from services.gateway.batch.envelope import MOST_VALUES, Entry, read
from services.gateway.batch.envelope import parse as parse_envelope
from services.gateway.refusals import BATCH_ENTRY_MALFORMED, BATCH_MALFORMED, BATCH_TOO_LARGE, Refusal, RefusalKind


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def parse(*requests: Any, **more: Any) -> tuple[list[Entry], bool]:
    return parse_envelope([json.dumps({"requests": list(requests), **more}).encode()])


def refused(body: bytes) -> tuple[RefusalKind, str]:
    with pytest.raises(Refusal) as refusal:
        parse_envelope([body])
    return refusal.value.kind, refusal.value.detail or ""


def test_an_entry() -> None:
    given = {"method": "PUT", "headers": {"X-A": "1", "Content-Type": "text/plain"}, "body": "grün", "relative_url": "a?b=c"}
    (entry,), one_by_one = parse(given)
    assert (entry.method, entry.relative_url, entry.body) == ("PUT", "a?b=c", "grün".encode())
    assert entry.headers == [(b"X-A", b"1"), (b"Content-Type", b"text/plain")]
    assert one_by_one is False


@pytest.mark.parametrize("entry", [{}, {"method": None, "headers": None, "body": None, "relative_url": None}, {"method": "", "body": ""}])
def test_what_is_absent(entry: dict[str, Any]) -> None:
    (found,), _ = parse(entry)
    assert (found.method, found.headers, found.body, found.relative_url) == ("GET", [], b"", "")


@pytest.mark.parametrize(("given", "expected"), [(True, True), (False, False), (None, False), ("true", False), (1, False)])
def test_one_after_the_other(given: Any, expected: bool) -> None:
    assert parse(suppress_parallel_execution=given)[1] is expected


def test_entries_keep_their_order() -> None:
    entries, _ = parse(*({"relative_url": str(number)} for number in range(100)))
    assert [entry.relative_url for entry in entries] == [str(number) for number in range(100)]


def test_an_empty_batch() -> None:
    assert parse() == ([], False)


def test_at_most_a_hundred_entries() -> None:
    kind, detail = refused(json.dumps({"requests": [{}] * 101}).encode())
    assert kind is BATCH_TOO_LARGE
    assert "101" in detail


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b"null", b"{}", b'{"requests": {}}', b'{"requests": null}', b'{"requests": [5]}', b'{"requests": [null]}',
     b"\xff", b"[" * 100_000, b'{"requests": ' + b"[" * 100_000],
)  # fmt: skip
def test_envelopes_that_are_none(body: bytes) -> None:
    assert refused(body)[0] is BATCH_MALFORMED


@pytest.mark.parametrize(
    "entry",
    [
        {"method": "get"},
        {"method": "G T"},
        {"method": "GET\r\n"},
        {"method": "GET\n"},
        {"method": 5},
        {"method": "CONNECT"},
        {"method": "TRACE"},
        {"method": "X" * 21},
        {"relative_url": 5},
        {"relative_url": "a\ud800b"},
        {"relative_url": ["a"]},
        {"body": {"a": 1}},
        {"body": 5},
        {"headers": ["a"]},
        {"headers": {"X-A": 5}},
        {"headers": {"X-A": None}},
        {"headers": {"X A": "1"}},
        {"headers": {"": "1"}},
        {"headers": {"X-A:": "1"}},
        {"headers": {"X-A": "1\r\nX-B: 2"}},
        {"headers": {"X-A": "1\n"}},
        {"headers": {"X-A\n": "1"}},
        {"headers": {"X-A": "\x00"}},
        {"headers": {"X-ü": "1"}},
    ],
)
def test_entries_that_are_none(entry: dict[str, Any]) -> None:
    kind, detail = refused(json.dumps({"requests": [{}, entry]}).encode())
    assert kind is BATCH_ENTRY_MALFORMED
    assert detail.startswith("Entry 1: ")


@pytest.mark.parametrize("method", ["get", "Get", "propfind"])
def test_methods_in_lower_case_are_refused(method: str) -> None:
    kind, detail = refused(json.dumps({"requests": [{"method": method}]}).encode())
    assert kind is BATCH_ENTRY_MALFORMED
    assert "upper case" in detail


def test_methods_that_are_not_served_are_not_said_to_be_in_lower_case() -> None:
    kind, detail = refused(json.dumps({"requests": [{"method": "CONNECT"}]}).encode())
    assert kind is BATCH_ENTRY_MALFORMED
    assert detail == "Entry 0: its method is not an HTTP method."


@pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "VERSION2", "A_B"])
def test_other_methods_pass(method: str) -> None:
    assert parse({"method": method})[0][0].method == method


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "Connection", "UPGRADE", "Expect", "TE", "Trailer", "Keep-Alive"]
)
def test_an_entry_does_not_frame_itself(name: str) -> None:
    (entry,), _ = parse({"headers": {name: "x", "X-Kept": "1"}})
    assert entry.headers == [(b"X-Kept", b"1")]


def test_text_that_is_not_unicode_does_not_break_it() -> None:
    (entry,), _ = parse_envelope([rb'{"requests": [{"body": "\ud800", "headers": {"X-A": "\ud800"}}]}'])
    assert entry.body == b"?"
    assert entry.headers == [(b"X-A", b"?")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["method", "headers", "body", "relative_url", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.slow
@given(st.lists(JSON, max_size=3))
def test_nothing_but_refusals(requests: list[Any]) -> None:
    try:
        entries, _ = parse(*requests)
    except Refusal as refusal:
        assert refusal.kind.status == 400  # noqa: PT017
        return
    for entry in entries:
        for name, value in entry.headers:
            assert not {10, 13, 0} & set(name + value)


@pytest.mark.parametrize("value", ["[]", "{}", "1", "1.5", '""', '[{"a":1}]'])
def test_many_values_are_refused_before_they_are_all_read(value: str) -> None:
    """Read whole, 10 MB of empty lists stop everything for half a second and fill hundreds of megabytes."""
    kind, detail = refused(b'{"requests": [], "x": [' + ",".join([value] * (MOST_VALUES + 1)).encode() + b"]}")
    assert kind is BATCH_TOO_LARGE
    assert str(MOST_VALUES) in detail


def test_the_largest_batch_that_is_allowed_has_room() -> None:
    headers = {f"X-{number}": "v" for number in range(200)}
    entries, _ = parse(*[{"method": "PUT", "headers": headers, "body": "[],[]," * 1000, "relative_url": "a"}] * 100)
    assert len(entries) == 100


@pytest.mark.parametrize(("size", "in_a_thread"), [(10, False), (1_000_000, True)])
def test_a_large_envelope_is_read_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, thread: ThreadPoolExecutor, size: int, in_a_thread: bool
) -> None:
    where: list[bool] = []

    def noted(pieces: list[bytes]) -> tuple[list[Entry], bool]:
        where.append(threading.current_thread() is not threading.main_thread())
        return parse_envelope(pieces)

    monkeypatch.setattr(envelope, "parse", noted)
    entries, _ = asyncio.run(read([json.dumps({"requests": [{"body": "a" * size}]}).encode()], thread))
    assert len(entries[0].body) == size
    assert where == [in_a_thread]


def test_a_refusal_comes_out_of_the_thread(thread: ThreadPoolExecutor) -> None:
    with pytest.raises(Refusal):
        asyncio.run(read([b'{"requests": 5, "x": "', b"a" * 1_000_000, b'"}'], thread))
