"""What a browser shows at `/` of the operator's port: which calls there are, and how to send them. No secret, nothing about the APIs."""

from __future__ import annotations

from html import escape

from flask import Blueprint, Response, abort, request

from services.common.pages.negotiation import prefers_html
from services.common.pages.standalone import page
from services.gateway.start_page import BRAND

blueprint = Blueprint("start", __name__)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CONTENT = """\
<p>This port is the operator's. Clients of your APIs use the public one.</p>
<h2>Health</h2>
<ul>
  <li><a href="/health">/health</a>: whether the process runs</li>
  <li><a href="/ready">/ready</a>: whether it can serve, and what is missing</li>
  <li><a href="/hello">/hello</a>: the same in Tyk's format</li>
  <li><a href="/metrics">/metrics</a>: for Prometheus</li>
</ul>
<h2>What to call</h2>
<p>Every call needs the operator key, which <code>./dev up</code> writes to <code>var/gateway/operator.key</code>.</p>
<dl>
  <dt><code>/api/apis</code></dt><dd>definitions: list, create, read, replace, delete</dd>
  <dt><code>/api/keys</code></dt><dd>keys and what they open</dd>
  <dt><code>/api/hooks</code></dt><dd>webhooks</dd>
  <dt><code>/tyk/…</code></dt><dd>Tyk's gateway API</dd>
</dl>
<pre tabindex="0" role="region" aria-label="Example with curl"><code>export KEY=$(cat var/gateway/operator.key)
curl -H "authorization: $KEY" HERE/api/apis</code></pre>
<p>The command line does the same and reads the key from that file. If it is elsewhere, name the file with <code>--key-file</code>, or
give the key itself in <code>GATEHOUSE_KEY</code>.</p>
<pre tabindex="0" role="region" aria-label="Example with the command line"><code>./dev gateway --help
./dev gateway definitions list</code></pre>
<p>All calls, with what they take and answer, are at <a href="/docs">/docs</a>; <a href="/openapi.json">/openapi.json</a> and
<a href="/openapi.collection.json">/openapi.collection.json</a> (for Postman, Bruno and the like) say the same to programs.</p>
<p class="quiet">More is in <code>docs/operating.md</code>, refusals in <code>docs/errors.md</code>.</p>"""
_PAGE, _POLICY = page("The operator's port", _CONTENT, brand=BRAND)  # rendered at the start, not for the first request


@blueprint.route("/", methods=_METHODS, provide_automatic_options=False)
def start() -> Response:
    """Show the page to browsers; programs get 404, as for any unknown path."""
    if request.method not in ("GET", "HEAD") or not prefers_html(request.headers.get("Accept", "")):
        abort(404)
    here = escape(request.host_url.rstrip("/")).encode()  # not kept in the page: there would be one for every Host
    answer = Response(_PAGE.replace(b"HERE", here), content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.after_request
def vary(answer: Response) -> Response:
    answer.headers["Vary"] = "Accept"
    return answer
