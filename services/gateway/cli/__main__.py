"""`python -m services.gateway.cli`"""

from __future__ import annotations

from services.gateway.cli import main

main(prog_name="gatehouse")
