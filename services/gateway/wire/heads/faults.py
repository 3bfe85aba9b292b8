"""What can be wrong with the head of a request."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """One way in which the head of a request is not acceptable."""

    MALFORMED = "not HTTP/1.x"
    AMBIGUOUS_LENGTH = "the length of the body can be read in two ways"
    BAD_HEADER = "a header field is malformed"
    BAD_HOST = "no single valid Host"
    HEAD_TOO_LARGE = "too many bytes or fields"
    TARGET_TOO_LONG = "the target is too long"
    METHOD_NOT_SUPPORTED = "the method is not served"
    UNSUPPORTED_VERSION = "another version of HTTP"


class BadRequest(Exception):
    """The head of a request is not acceptable. detail: what to say of it, None = what is always said of the fault."""

    def __init__(self, fault: Fault, detail: str | None = None) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.detail = detail
