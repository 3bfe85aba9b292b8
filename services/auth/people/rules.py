"""What holds for users and domains without anything being asked."""

from __future__ import annotations

WEEK_S = 7 * 24 * 3600  # lifetime of a login key where the domain does not say another
FIRST_DOMAIN = "gatehouse"  # where the first administrator is
