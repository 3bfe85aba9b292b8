"""Answers that are kept for the next who asks the same."""

from __future__ import annotations

from typing import Final, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

MOST: Final = 4096


class Remembered(dict[Asked, Answer]):
    """Answers by what was asked; bounded in number and size, because strangers ask.

    most: how many; then all go at once, because keeping an order of use would cost every question more than it saves. largest: a longer
    question or answer is not kept.
    """

    __slots__ = ("largest", "most")

    def __init__(self, most: int = MOST, largest: int = 2048) -> None:
        super().__init__()
        self.most = most
        self.largest = largest

    def keep(self, asked: Asked, answer: Answer, size: int = 0) -> Answer:
        """Remember an answer, and return it. size: of what is kept, in bytes or characters, where strangers say how long it is."""
        if size <= self.largest:
            if len(self) >= self.most:
                self.clear()
            self[asked] = answer
        return answer
