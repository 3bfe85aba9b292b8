"""Framing of bodies: every split of the bytes reads the same, and what two servers could read in two ways is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.wire.bodies import BadBody, Body, BodyTooLarge, ChunkedBody, CloseBody, CopiedBody, LengthBody, Tunnel


def feed(body: Body, data: bytes, cuts: list[int] | None = None) -> tuple[bytes, bytes]:
    """Feeds data in pieces: all that goes out, and what belongs to the next message."""
    places = sorted({cut % (len(data) + 1) for cut in cuts or ()} | {0, len(data)})
    out = b""
    for start, end in itertools.pairwise(places):
        rest = data[start:end]
        while rest or start == end == 0:
            piece, rest = body.feed(rest)
            out += piece
            if body.done:
                return out, rest + data[end:]
            if not rest:
                break
    return out, b""


def split_each_byte(data: bytes) -> list[int]:
    return list(range(len(data) + 1))


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b", b' ; q="x y"', b"\t;", b";\xff"])
TRAILERS = st.lists(
    st.sampled_from([b"Grpc-Status: 1", b"etag:2", b"Digest:  abc \t", b"Content-Length: 5", b"Host: x", b"Server-Timing:", b"X-A: 1"]),
    max_size=4,
)
FORBIDDEN = (b"content-length", b"host", b"x-a")


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes, list[bytes]]:
    """A chunked body as somebody may write it, its content, and the trailers that may go on."""
    chunks, trailers = draw(CHUNKS), draw(TRAILERS)
    written = b""
    for chunk in chunks:
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % len(chunk)
        written += size + draw(EXTENSIONS) + b"\r\n" + chunk + b"\r\n"
    written += draw(st.sampled_from([b"0", b"000"])) + draw(EXTENSIONS) + b"\r\n"
    written += b"".join(line + b"\r\n" for line in trailers) + b"\r\n"
    kept = [line.split(b":", 1) for line in trailers]
    return written, b"".join(chunks), [name + b": " + value.strip() for name, value in kept if name.lower() not in FORBIDDEN]


@given(chunked(), CUTS, st.binary(max_size=20))
def test_any_split_of_a_chunked_body_decodes_to_the_same(
    written: tuple[bytes, bytes, list[bytes]], cuts: list[int], next_message: bytes
) -> None:
    sent, content, _ = written
    for places in (cuts, [], split_each_byte(sent)):
        body = ChunkedBody(False)
        assert feed(body, sent + next_message, places) == (content, next_message)
        assert body.done


@given(chunked(), CUTS)
def test_what_goes_out_is_framed_anew(written: tuple[bytes, bytes, list[bytes]], cuts: list[int]) -> None:
    """Our own chunks read back to the same content and trailers, and hold neither extensions nor leading zeros."""
    sent, content, trailers = written
    framed, _ = feed(ChunkedBody(True), sent, cuts)
    again = ChunkedBody(False)
    assert feed(again, framed) == (content, b"")
    assert again.done
    rest = framed
    while rest[:1] != b"0":
        size, _, rest = rest.partition(b"\r\n")
        assert size == b"%x" % int(size, 16)
        rest = rest[int(size, 16) :].removeprefix(b"\r\n")
    assert rest == b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


@given(chunked(), CUTS, st.data())
def test_a_body_that_is_cut_off_is_never_whole(written: tuple[bytes, bytes, list[bytes]], cuts: list[int], data: st.DataObject) -> None:
    sent, content, _ = written
    end = data.draw(st.integers(0, len(sent) - 1))
    body = ChunkedBody(False)
    out, rest = feed(body, sent[:end], cuts)
    assert not body.done
    assert rest == b""
    assert content.startswith(out)
    assert body.ended_by_close() is None


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r0\r\n",
        b"+5\r\nhello\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b"g\r\n",
        b"\xef\xbc\x95\r\nhello\r\n",
        b"ffffffffffffffff\r\n",
        b"0000000000000000\r\n",
        b"5,\r\nhello\r\n",
        b"5;a\x00\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5\r\r\nhello\r\n",
        b"0\r\nbad name: x\r\n\r\n",
        b"0\r\nX-A : x\r\n\r\n",
        b"0\r\n: x\r\n\r\n",
        b"0\r\nX-A\r\n\r\n",
        b"0\r\nX-A: a\x00\r\n\r\n",
        b"0\r\nX-A: a\r\n folded\r\n\r\n",
        b"0\r\nX-A: a\n\r\n",
        b"0\r\n\n",
        b"0\r\n\rX",
        b"0\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(65)) + b"\r\n",
        b"5;" + b"a" * 5000 + b"\r\nhello\r\n",
        b"0" * 5000,
        b"0\r\nX-A: " + b"a" * 5000 + b"\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(sent: bytes) -> None:
    for cuts in ([], split_each_byte(sent)):
        with pytest.raises(BadBody) as broken:
            feed(ChunkedBody(True), sent + b"GET / HTTP/1.1\r\n\r\n", cuts)
        assert str(broken.value)


@pytest.mark.parametrize(
    "name", ["Content-Length", "TRANSFER-encoding", "Host", "Authorization", "Cookie", "Set-Cookie", "Connection", "X-Forwarded-For", "Via"]
)
def test_trailers_that_frame_route_or_authenticate_stay_behind(name: str) -> None:
    sent = b"0\r\n" + name.encode() + b": x\r\nDigest: 1\r\n\r\n"
    assert feed(ChunkedBody(True), sent) == (b"0\r\nDigest: 1\r\n\r\n", b"")


@pytest.mark.parametrize("name", ["X-User", "X_Forwarded_For", "SCRIPT_NAME", "Proxy", "grpc_status", "X-Sum"])
def test_a_trailer_that_is_not_on_the_list_stays_behind(name: str) -> None:
    sent = b"0\r\n" + name.encode() + b": x\r\n\r\n"
    assert feed(ChunkedBody(True), sent) == (b"0\r\n\r\n", b"")


def test_a_trailer_that_somebody_names_goes_on() -> None:
    sent = b"0\r\nX-Sum: x\r\nDigest: 1\r\n\r\n"
    assert feed(ChunkedBody(True, None, frozenset({b"x-sum"})), sent) == (b"0\r\nX-Sum: x\r\n\r\n", b"")


def test_as_many_trailers_as_are_allowed() -> None:
    lines = b"ETag: 1\r\n" * 64
    assert feed(ChunkedBody(True), b"0\r\n" + lines + b"\r\n")[0] == b"0\r\n" + lines + b"\r\n"


def test_a_body_of_many_pieces_takes_many_turns() -> None:
    """What one turn does not do is given back, and nothing is lost or read twice."""
    body = ChunkedBody(False)
    rest, out, turns, largest = b"1\r\na\r\n" * 5000 + b"0\r\n\r\nGET", b"", 0, 0
    while not body.done:
        piece, rest = body.feed(rest)
        out += piece
        turns += 1
        largest = max(largest, len(piece))
    assert (out, rest) == (b"a" * 5000, b"GET")
    assert largest <= 256
    assert turns >= 2 * 5000 // 256


@given(CHUNKS, CUTS, st.integers(0, 250))
def test_the_limit_counts_what_is_decoded(chunks: list[bytes], cuts: list[int], limit: int) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    content = b"".join(chunks)
    if len(content) <= limit:
        assert feed(ChunkedBody(False, limit), sent, cuts)[0] == content
        return
    with pytest.raises(BodyTooLarge):
        feed(ChunkedBody(False, limit), sent, cuts)


def test_a_chunk_that_is_too_large_is_refused_by_its_size_alone() -> None:
    with pytest.raises(BodyTooLarge):
        ChunkedBody(False, 100).feed(b"65\r\n")
    assert ChunkedBody(False, 100).feed(b"64\r\n") == (b"", b"")


@given(st.binary(max_size=60))
def test_no_bytes_break_it(sent: bytes) -> None:
    whole, pieces = ChunkedBody(False), ChunkedBody(False)
    ends: list[object] = []
    for body, cuts in ((whole, []), (pieces, split_each_byte(sent))):
        try:
            ends.append((feed(body, sent, cuts), body.done))
        except BadBody:
            ends.append(None)
    assert ends[0] == ends[1]


@given(st.binary(max_size=50), st.integers(0, 40), CUTS)
def test_a_body_of_known_length(sent: bytes, length: int, cuts: list[int]) -> None:
    body = LengthBody(length)
    if length == 0:
        assert body.done
        return
    assert feed(body, sent, cuts) == (sent[:length], sent[length:])
    assert body.done is (len(sent) >= length)
    assert body.ended_by_close() is None


def test_an_answer_that_ends_with_its_connection() -> None:
    plain, framed = CloseBody(False), CloseBody(True)
    assert plain.feed(b"abc") == (b"abc", b"")
    assert framed.feed(b"x" * 17) == (b"11\r\n" + b"x" * 17 + b"\r\n", b"")
    assert not plain.done
    assert not framed.done
    assert (plain.ended_by_close(), framed.ended_by_close()) == (b"", b"0\r\n\r\n")
    assert plain.done
    assert framed.done


def test_a_tunnel_has_no_message() -> None:
    tunnel = Tunnel()
    assert tunnel.feed(b"0\r\n\r\n") == (b"0\r\n\r\n", b"")
    assert not tunnel.done
    assert tunnel.ended_by_close() == b""
    assert tunnel.done


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", [b"X:" + b" " * 4000 + b"\x01", b"X: a" + b" \ta" * 1300 + b"\x01", b"X" * 4000 + b"\x01"])
def test_a_trailer_is_read_once_whatever_it_holds(line: bytes) -> None:
    """Spaces that could belong to three parts of a line took the cube of their number: minutes for one line."""
    with pytest.raises(BadBody, match="trailer field is malformed"):
        ChunkedBody(True).feed(b"0\r\n" + line + b"\r\n\r\n")


def test_spaces_around_the_value_of_a_trailer_are_taken_off() -> None:
    assert ChunkedBody(True).feed(b"0\r\nETag: \t a b \t\r\nDigest:\r\n\r\n")[0] == b"0\r\nETag: a b\r\nDigest: \r\n\r\n"


# Copies.


def _through(body: CopiedBody, *pieces: bytes) -> bytes:
    return b"".join(body.feed(piece)[0] for piece in pieces)


def test_a_copied_body_goes_on_as_it_came() -> None:
    body = CopiedBody(LengthBody(6), 6, False)
    assert body.feed(b"abc") == (b"abc", b"")
    assert body.copy() is None
    assert body.feed(b"defGET /") == (b"def", b"GET /")
    assert (body.done, body.copy()) == (True, b"abcdef")


def test_a_copied_body_of_chunks_is_framed_again() -> None:
    body = CopiedBody(ChunkedBody(False), 100, True)
    assert _through(body, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n") == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert body.copy() == b"abcde"


def test_of_a_body_that_is_too_long_there_is_no_copy() -> None:
    body = CopiedBody(ChunkedBody(False), 4, True)
    assert _through(body, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n") == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert (body.done, body.copy()) == (True, None)


def test_a_copied_body_may_end_with_its_connection() -> None:
    body = CopiedBody(CloseBody(False), 100, True)
    assert body.feed(b"abc") == (b"3\r\nabc\r\n", b"")
    assert (body.ended_by_close(), body.copy()) == (b"0\r\n\r\n", b"abc")


def test_a_copied_body_that_breaks_off_has_no_copy() -> None:
    body = CopiedBody(LengthBody(6), 6, False)
    body.feed(b"abc")
    assert (body.ended_by_close(), body.copy()) == (None, None)


@pytest.mark.parametrize(
    ("body", "pieces", "received"),
    [
        (LengthBody(10), [b"abc"], 3),
        (LengthBody(3), [b"ab", b"cGET / HTTP/1.1"], 3),
        (ChunkedBody(True), [b"5\r\nab"], 2),
        (ChunkedBody(False), [b"2\r\nab\r\n", b"3;x=y\r\ncde\r\n0\r\n", b"ETag: 1\r\n\r\n"], 5),
        (CloseBody(True), [b"ab", b"cde"], 5),
        (Tunnel(), [b"ab", b"cde"], 5),
        (CopiedBody(ChunkedBody(False), 9, True), [b"2\r\nab\r\n"], 2),
    ],
)
def test_what_has_come_is_counted_without_its_framing(body: Body, pieces: list[bytes], received: int) -> None:
    for piece in pieces:
        body.feed(piece)
    assert body.received == received


def test_a_chunk_that_is_too_large_has_not_come() -> None:
    body = ChunkedBody(False, limit=10)
    body.feed(b"2\r\nab\r\n")
    with pytest.raises(BodyTooLarge):
        body.feed(b"ff\r\n")
    assert body.received == 2
