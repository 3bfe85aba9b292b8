"""`./dev gateway`"""

from __future__ import annotations

from services.gateway.cli import main

main(prog_name="./dev gateway")
