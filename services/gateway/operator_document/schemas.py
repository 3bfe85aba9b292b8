"""All schemas of the document, as its `components.schemas` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.gateway.operator_document.answered import ANSWERED
from services.gateway.operator_document.shapes import Schema
from services.gateway.operator_document.taken import TAKEN

SCHEMAS: Final[Mapping[str, Schema]] = {**TAKEN, **ANSWERED}
