"""The version of the gateway. A module of its own, so that the command line can name it without loading a worker's parts."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
