"""What the parameters of the queue mean, and how long a turn takes.

The readers of parameters raise the refusals of the original, in its order.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import re
import statistics
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from services.tokens import refusals
from services.tokens.archive.rules import ids

EXPIRY = dt.timedelta(seconds=1800)  # a deposit later than this after its request is refused
PURGE_AFTER = dt.timedelta(days=1)
LONGEST_POLL_MS = 60_000
KEYWORD_LIMIT = 64  # characters
PACE_OF = 10  # turns that say how fast the queue is
PACE_FROM = 3  # fewer say nothing
PACE_AGE = dt.timedelta(hours=12)
COLORS = ("#ff6868", "#70ff94", "#566bef", "#ffd770", "#ee2f95", "#62e7ff")

_POSITION = re.compile(r"[0-9]{1,9}\Z").match
_ID = re.compile(r"[0-9a-f]{32}\Z").match
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?\Z").match
_SEQ = re.compile(r"([0-9]{1,18})-([0-9a-z]{1,8})\Z").match


class Turn(NamedTuple):
    """A visitor's turn that is over. deposited_at: None when it ended without keywords."""

    deposited_at: dt.datetime | None
    done_at: dt.datetime


class Update(NamedTuple):
    """What a generator says of an interaction: its position, or the number of its token."""

    interaction_id: str
    queue_position: int
    token_id: int | None


def color(turn: int) -> str:
    """Choose the colour of a request by its number, from 1."""
    return COLORS[(turn - 1) % len(COLORS)]


def read_id(text: str | None) -> str:
    """Read an interaction's id as the store knows it. Raises Refusal 400 when it is missing, 404 when no interaction can have it."""
    if not text:
        raise refusals.id_missing()
    if not _ID(text.lower()):
        raise refusals.not_found()
    return text.lower()


def read_deposit(interaction_id: str | None, keywords: str | None) -> tuple[str, list[str]]:
    """Read the id and the keywords of a deposit. Raises Refusal 400, 404."""
    if not interaction_id:
        raise refusals.id_missing()
    if not keywords:
        raise refusals.keywords_missing()
    words = read_keywords(keywords)
    return read_id(interaction_id), words


def read_keywords(text: str) -> list[str]:
    """Read three keywords, separated by one of `. , ; /`: trimmed, in lower case, Unicode NFC. Raises Refusal 400."""
    words = [unicodedata.normalize("NFC", part.strip().lower()) for part in re.split(r"[.,;/]", text)]
    if len(words) != 3 or not all(words) or any(len(word) > KEYWORD_LIMIT or "\x00" in word for word in words):
        raise refusals.three_keywords_needed()
    return words


def read_update(interaction_id: str | None, queue_position: str | None, token_id: str | None) -> Update:
    """Read what a generator says; a token wins over a position. Raises Refusal 400, 404."""
    if not interaction_id:
        raise refusals.id_missing()
    if not queue_position and not token_id:
        raise refusals.position_or_token_required()
    position, number = 0, None
    if not token_id:
        if not _POSITION(queue_position or ""):
            raise refusals.invalid_queue_position()
        position = int(queue_position or "")
    else:
        number = ids.decode(token_id)
        if number is None:
            number = -1  # no token has it; whether the interaction exists is asked first
    if not _ID(interaction_id.lower()):
        raise refusals.interaction_not_found()
    return Update(interaction_id.lower(), position, number)


def read_timeout(text: str | None) -> float:
    """Read the seconds to wait: the longest time for what is not a number, and everything else limited to 0 … 60."""
    if not text or not _NUMBER(text):
        return LONGEST_POLL_MS / 1000
    return min(max(float(text), 0.0), LONGEST_POLL_MS) / 1000


def write_seq(number: int, epoch: int) -> str:
    """Write the `seq` of a change, opaque to clients: its number, a dash, the epoch of the store."""
    return f"{number}-{ids.encode(epoch)}"


def read_seq(text: str, epoch: int) -> int:
    """Read the number of a change. A `seq` of another store means "from the beginning" (0). Raises Refusal 400."""
    match = _SEQ(text)
    if not match:
        raise refusals.invalid_since()
    return int(match[1]) if match[2] == ids.encode(epoch) else 0


def read_date(text: str | None) -> dt.datetime | None:
    """Read a date as JavaScript's `Date.parse` does: a year, a month, ISO 8601, a date of e-mail; without a zone it is UTC. None: no limit.

    Raises Refusal 400.
    """
    if not text or text == "0":
        return None
    text = text.strip()
    if re.fullmatch(r"\d{4}", text):
        text += "-01-01"
    elif re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    text = re.sub(r" (\d{2}:?\d{2})$", r"+\1", text) if "T" in text else text  # a `+` that the query turned into a space
    try:
        moment = _moment(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise refusals.invalid_timestamp() from None


def _moment(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return email.utils.parsedate_to_datetime(text)


def pace(turns: Sequence[Turn], now: dt.datetime) -> tuple[float | None, int]:
    """Return the median of the seconds that the last turns took (None when they are too few), and how many turns count."""
    spent = durations(turns, now)
    return (round(statistics.median(spent), 1) if len(spent) >= PACE_FROM else None), len(spent)


def durations(turns: Sequence[Turn], now: dt.datetime) -> list[float]:
    """List the seconds that each turn took, the newest first; idle time between visitors does not count.

    A turn begins when its keywords are there and the turn before is over. turns: the newest first; when the oldest began is not known,
    unless there was none before. Turns that ended more than `PACE_AGE` ago say nothing about now, nor do those that ended before they
    began: the clock was put back meanwhile.
    """
    spent = []
    for turn, before in itertools.zip_longest(turns[:PACE_OF], turns[1:]):
        if turn.deposited_at is None or now - turn.done_at > PACE_AGE:
            continue
        began = turn.deposited_at if before is None else max(turn.deposited_at, before.done_at)
        if began <= turn.done_at:
            spent.append((turn.done_at - began).total_seconds())
    return spent
