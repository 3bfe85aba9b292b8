"""A sealed value opens with its own key, for its own purpose, in its own place, and in no other way."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.common.sealing import NotOpened, Seal, fingerprints, master_key_file, parse_master_key

KEY, OTHER = "k" * 32, "o" * 32


def test_what_is_sealed_opens() -> None:
    seal = Seal("tests", KEY)
    sealed = seal.seal("naïve ¶ \0".encode(), "row-1")
    assert Seal("tests", KEY).open(sealed, "row-1").decode() == "naïve ¶ \0"
    assert b"na" not in base64.b64decode(sealed)
    assert seal.seal(b"same", "row-1") != seal.seal(b"same", "row-1")


def test_what_was_sealed_long_ago_opens() -> None:
    """Stored values outlive versions: AES-256-GCM, the key is SHA-256 of purpose, NUL and master key, a nonce of 12 bytes stands before."""
    assert Seal("gatehouse signing keys", KEY).open("AAECAwQFBgcICQoLAiEGPIsEZuUjH7bZdf6zQ0DLo7KKbGhNtngfpvT9", "kid") == b"kept for years"


@pytest.mark.parametrize(
    ("purpose", "key", "place"),
    [("tests", OTHER, "row-1"), ("other tests", KEY, "row-1"), ("tests", KEY, "row-2")],
    ids=["another key", "another purpose", "another place"],
)
def test_nothing_else_opens_it(purpose: str, key: str, place: str) -> None:
    sealed = Seal("tests", KEY).seal(b"secret", "row-1")
    with pytest.raises(NotOpened):
        Seal(purpose, key).open(sealed, place)


def test_what_was_changed_does_not_open() -> None:
    seal = Seal("tests", KEY)
    raw = bytearray(base64.b64decode(seal.seal(b"secret", "row")))
    raw[-1] ^= 1
    for changed in (base64.b64encode(raw).decode(), "", "AAAA", "not base64!", "ß"):
        with pytest.raises(NotOpened):
            seal.open(changed, "row")


def test_a_fingerprint_tells_keys_and_purposes_apart() -> None:
    [mine] = fingerprints("tests", KEY)
    assert fingerprints("tests", f"{OTHER}\n{KEY}") == {**fingerprints("tests", OTHER), mine: KEY}
    assert len({mine, *fingerprints("tests", OTHER), *fingerprints("other tests", KEY)}) == 3


def test_of_several_lines_the_first_seals_and_all_open() -> None:
    before = Seal("tests", KEY).seal(b"secret", "row")
    both = Seal("tests", f"{OTHER}\r\n{KEY}\n")
    assert both.open(before, "row") == b"secret"
    assert Seal("tests", OTHER).open(both.seal(b"secret", "row"), "row") == b"secret"
    again = both.again(before, "row")
    assert again is not None and Seal("tests", OTHER).open(again, "row") == b"secret"
    assert both.again(again, "row") is None
    with pytest.raises(NotOpened):
        both.again(before, "another row")


def test_the_file_of_a_key(tmp_path: Path) -> None:
    file = tmp_path / "new" / "master.key"
    drawn = master_key_file(file)
    assert master_key_file(file) == drawn
    file.write_text(f"{OTHER}\n{drawn}\n")
    assert master_key_file(file) == f"{OTHER}\n{drawn}"
    for wrong in ("", "hunter2", f"{OTHER}\nhunter2"):
        file.write_text(wrong)
        with pytest.raises(OSError, match="the master key must have 32 characters") as refused:
            master_key_file(file)
        assert refused.value.filename == str(file) and "hunter2" not in str(refused.value)


def test_a_key_that_could_be_guessed_is_refused() -> None:
    assert parse_master_key(KEY) == KEY
    assert parse_master_key(f"{KEY}\n{OTHER}") == f"{KEY}\n{OTHER}"
    with pytest.raises(ValueError, match="in each of its lines"):
        parse_master_key(f"{KEY}\nhunter2")
    with pytest.raises(ValueError, match="must have 32 characters or more") as refused:
        parse_master_key("hunter2")
    assert "hunter2" not in str(refused.value)
