"""E-mail addresses: one spelling to compare by, and one skeleton that look-alikes share.

Two texts are kept for every address. `key` is what log-in compares: NFKC, case folded, domain in its ASCII form (RFC 5891). `skeleton` is
the key with letters of other scripts that look like Latin ones replaced by those (the idea of Unicode TR 39, with the table below). Both
are unique, so that `аdmin@…` with a Cyrillic first letter cannot be taken beside `admin@…`; only the key logs in.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import idna

MAX_LENGTH = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
MAX_LOCAL = 64
MAX_KEY = 320  # folding makes two letters of one, and ASCII up to eight

# Letters of Cyrillic, Greek, Armenian and phonetic blocks, after case folding, that common typefaces draw as Latin ones.
_LOOK_ALIKES = str.maketrans(
    {
        "а": "a",
        "ӑ": "a",
        "α": "a",
        "ɑ": "a",
        "ь": "b",
        "β": "b",
        "ƅ": "b",
        "с": "c",
        "ϲ": "c",
        "ԁ": "d",
        "ɗ": "d",
        "е": "e",
        "ё": "e",
        "ҽ": "e",
        "ε": "e",
        "ғ": "f",
        "ƒ": "f",
        "ց": "g",
        "ɡ": "g",
        "һ": "h",
        "հ": "h",
        "н": "h",
        "і": "i",
        "ї": "i",
        "ι": "i",
        "ı": "i",
        "ɩ": "i",
        "ӏ": "l",
        "ǀ": "l",
        "ј": "j",
        "ϳ": "j",
        "к": "k",
        "κ": "k",
        "м": "m",
        "ո": "n",
        "η": "n",
        "п": "n",
        "о": "o",
        "ο": "o",
        "օ": "o",
        "ө": "o",
        "σ": "o",
        "р": "p",
        "ρ": "p",
        "ԛ": "q",
        "զ": "q",
        "г": "r",
        "ѕ": "s",
        "ʂ": "s",
        "т": "t",
        "τ": "t",
        "ս": "u",
        "υ": "u",
        "ʋ": "u",
        "ν": "v",
        "ѵ": "v",
        "ԝ": "w",
        "ω": "w",
        "ѡ": "w",
        "х": "x",
        "χ": "x",
        "у": "y",
        "ү": "y",
        "γ": "y",
        "ʏ": "y",
        "з": "3",
        "ƶ": "z",
        # What looks alike within ASCII stays different on purpose: `l0u` and `lou` are two people's addresses.
    }
)
_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\]\\\x00-\x20\x7f]+")


class Email(NamedTuple):
    """shown: what the person wrote, NFKC, trimmed. key: what is compared. skeleton: shared by look-alikes."""

    shown: str
    key: str
    skeleton: str


def parse(text: str) -> Email:
    """Read an address. Raises ValueError with a sentence that can be shown."""
    shown = unicodedata.normalize("NFKC", text).strip()
    if len(shown) > MAX_LENGTH:
        raise ValueError(f"Longer than {MAX_LENGTH} characters.")
    local, at, domain = shown.rpartition("@")
    if not at or not local or not domain:
        raise ValueError("Not a valid e-mail address.")
    if any(unicodedata.category(one) in ("Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp") for one in shown):
        raise ValueError("Holds a character that cannot be seen.")
    if len(local) > MAX_LOCAL or not _LOCAL.fullmatch(local) or local[0] == "." or local[-1] == "." or ".." in local:
        raise ValueError("Not a valid e-mail address.")
    ascii_domain = _ascii_domain(domain)
    found = Email(shown, f"{_fold(local)}@{ascii_domain}", skeleton(f"{_fold(local)}@{_fold(_unicode_domain(ascii_domain))}"))
    if max(len(found.key), len(found.skeleton)) > MAX_KEY:
        raise ValueError("Too long.")
    return found


def key_of(text: str) -> str | None:
    """Return the key of what somebody typed at log-in, None when it is not an address. Never raises."""
    try:
        return parse(text).key
    except ValueError:
        return None


def skeleton(folded: str) -> str:
    """Return the look-alike skeleton of a folded text, with letters of other scripts replaced by the Latin ones that they look like."""
    decomposed = unicodedata.normalize("NFD", folded.translate(_LOOK_ALIKES))
    return unicodedata.normalize("NFC", decomposed.translate(_LOOK_ALIKES))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _unicode_domain(name: str) -> str:
    """Return a domain as people see it: mail programs show `xn--…` as the letters that it stands for, when it stands for any."""
    labels = []
    for label in name.split("."):
        try:
            labels.append(idna.decode(label) if label.startswith("xn--") else label)
        except UnicodeError:
            labels.append(label)
    return ".".join(labels)


def _ascii_domain(domain: str) -> str:
    try:
        if domain.isascii():
            name = domain.rstrip(".").lower()
            # Single labels (`admin@localhost`) are addresses of a house's own network.
            if not re.fullmatch(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", name):
                raise ValueError
            return name
        return idna.encode(domain.rstrip("."), uts46=True).decode().lower()
    except (ValueError, UnicodeError):
        raise ValueError("Not a valid e-mail address: the part after the @ is not a domain name.") from None
