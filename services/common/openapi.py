"""`python -m services.common.openapi SERVICE`: write the service's OpenAPI document to `services/SERVICE/openapi.json`.

The file is the contract of the service; a contract test compares it with what the code says.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from flask import Flask


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of an application made by `create_app`."""
    found: dict[str, Any] = app.extensions["api"].document()
    return found


def text(app: Flask) -> str:
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


def snapshot(service: str) -> Path:
    return Path(__file__).resolve().parents[1] / service / "openapi.json"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m services.common.openapi SERVICE\n")
        return 2
    app = importlib.import_module(f"services.{arguments[0]}.app").describe()
    snapshot(arguments[0]).write_text(text(app))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
