"""What the pages of a Flask service share: the style sheet, the icon, scripts, the frame of a page, how dates are written.

Each service serves them below a path of its own, so they are found behind the gateway's listen path and without a gateway. Their addresses
carry a digest of their content, so a browser keeps them for a year and never shows an old one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request

from services.common.pages import dates

FOLDER = Path(__file__).parent
LEAFLET = FOLDER / "leaflet"  # for pages with a map
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_A_YEAR = "public, max-age=31536000, immutable"


class Assets:
    """The files of a service's pages, in memory: the shared ones and its own."""

    def __init__(self, path: str, *own: Path) -> None:
        """path: below which the service serves them, such as `/pages`. own: folders with more; their names win."""
        self.path = path
        files = (file for folder in (FOLDER, *own) for file in folder.iterdir() if file.suffix in _KINDS)
        self._content = {file.name: file.read_bytes() for file in files}
        self._version = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._content.items()}

    def address(self, name: str, root: str = "") -> str:
        """Return where a browser finds a file. root: where the service is mounted, without a final slash."""
        return f"{root}{self.path}/{name}?v={self._version[name]}"

    def answer(self, name: str) -> Response:
        """Answer with a file. Raises NotFound.

        Kept for a year only when the request names this content: another process may still, or already, serve another one.
        """
        if name not in self._content:
            abort(404)
        version = self._version[name]
        answer = Response(self._content[name], content_type=_KINDS[Path(name).suffix])
        answer.headers["Cache-Control"] = _FOR_A_YEAR if request.args.get("v") == version else "no-cache"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.set_etag(version)
        answer.make_conditional(request)
        return answer


def register(app: Flask, assets: Assets) -> None:
    """Serve the files, and give the service's templates the frame (`shared/frame.html`) and the filter `moment`.

    A template that extends the frame is rendered with `asset`, such as `functools.partial(assets.address, root=…)`.
    """
    shared = Blueprint("shared", __name__, template_folder="templates")
    shared.add_url_rule(f"{assets.path}/<name>", "asset", assets.answer)
    shared.add_app_template_filter(dates.element, "moment")
    app.register_blueprint(shared)
