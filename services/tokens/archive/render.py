"""Draw an SVG from the standard input as a PNG on the standard output: a program of its own, within limits that the kernel enforces.

    python render.py WIDTH SECONDS MEGABYTES < token.svg > token.png

It imports nothing of the service, and opens no file and no connection for an SVG. Exit status 0: drawn. 3: no library that draws is
installed. Anything else, also a signal: this SVG cannot be drawn within the limits.
"""

from __future__ import annotations

import resource
import sys
from xml.parsers import expat

NO_RENDERER = 3
FALLBACK = (100.0, 100.0)  # user units of an SVG without a size
TALLEST = 4  # times the width


def limit(seconds: int, megabytes: int) -> None:
    """Limit processor time, memory and written bytes; write no core file."""
    memory = megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))


def size(text: bytes) -> tuple[float, float]:
    """Read width and height in user units: from the viewBox, otherwise from the attributes. Raises ValueError."""
    root: dict[str, str] = {}
    parser = expat.ParserCreate()

    def start(_: str, attributes: dict[str, str]) -> None:
        if not root:
            root.update({"": "", **attributes})

    parser.StartElementHandler = start
    parser.Parse(text, True)
    box = root.get("viewBox", "").replace(",", " ").split()
    found = (float(box[2]), float(box[3])) if len(box) == 4 else (_units(root.get("width")), _units(root.get("height")))
    width, height = (given or other for given, other in zip(found, FALLBACK, strict=True))
    if not (0 < width < 1e9 and 0 < height <= TALLEST * width):
        raise ValueError("no usable size")
    return width, height


def _units(text: str | None) -> float:
    text = (text or "").strip().removesuffix("px")
    try:
        return float(text)
    except ValueError:
        return 0.0


def main(arguments: list[str]) -> int:
    width, seconds, megabytes = map(int, arguments)
    try:
        import cairosvg
    except (ImportError, OSError):
        return NO_RENDERER
    limit(seconds, megabytes)
    text = sys.stdin.buffer.read()
    units = size(text)
    height = max(1, round(width * units[1] / units[0]))
    png = cairosvg.svg2png(
        bytestring=text,
        parent_width=units[0],
        parent_height=units[1],
        output_width=width,
        output_height=height,
        background_color="white",
        unsafe=False,  # nothing is fetched, no entity is read
    )
    sys.stdout.buffer.write(png)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
