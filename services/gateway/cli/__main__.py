"""The entry point of `./dev gateway`."""

from __future__ import annotations

from services.gateway.cli.main import main

main(prog_name="./dev gateway")
