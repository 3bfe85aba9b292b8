"""One way to write a moment on every page: `<time datetime="2026-11-29T10:15:00Z">29 Nov 2026, 10:15 UTC</time>`.

`dates.js` writes the same for what a script puts into a page; a test holds the two together.
"""

from __future__ import annotations

import datetime as dt

from markupsafe import Markup

# not strftime("%b"), which follows the locale of the process
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def shown(moment: dt.datetime) -> str:
    """`29 Nov 2026, 10:15 UTC`. moment: aware."""
    utc = moment.astimezone(dt.UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}, {utc:%H:%M} UTC"


def element(moment: dt.datetime | None, otherwise: str = "never") -> Markup:
    """Write a moment as a `time` element. otherwise: what stands there when there is none."""
    if moment is None:
        return Markup("{}").format(otherwise)
    utc = moment.astimezone(dt.UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", shown(utc))
