"""Names of header fields that need care wherever a message is written; in lower case."""

from __future__ import annotations

from typing import Final

# Written by the sender that frames a message: another sender's would tell the receiver a wrong length.
FRAMING: Final = frozenset({"connection", "content-length", "te", "trailer", "transfer-encoding", "upgrade"})
