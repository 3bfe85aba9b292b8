"""Tokens where clients put them: as HTML into pages, as images and documents. Whatever was sent, no script runs and nothing is fetched."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.support.processes import running
from tests.support.stores import SQLite
from tests.support.svg_attacks import ATTACKS, ELEMENTS, ORDINARY, SVG, svg, trees
from tests.system.test_tokens_pages import CHROMIUM
from tests.system.test_tokens_service import Client, environment

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

ORIGIN = "http://page.test"
PLAIN = ORDINARY[0]

# contexts in which a text is parsed; in the first ones it must be the same tree as in XML
SAME = ["div", "svg", "template", "g", "foreignObject", "p", "td", "button", "a"]
OTHER = ["table", "tr", "select", "math", "mtext", "annotation", "title", "desc", "style", "frame", "fragment", "document", "noscript"]

HARNESS = """
window.hits = [];
window.alert = (value) => { window.hits.push(`alert ${value}`); };
window.containers = [];
const SVG = "http://www.w3.org/2000/svg", MATH = "http://www.w3.org/1998/Math/MathML";
function fresh(context) {
  const host = document.body.appendChild(document.createElement("div"));
  const inside = (html, selector) => { host.innerHTML = html; return host.querySelector(selector); };
  switch (context) {
    case "svg": return inside("<svg></svg>", "svg");
    case "g": return inside("<svg><g></g></svg>", "g");
    case "foreignObject": case "title": case "desc": case "style": return inside(`<svg><${context}></${context}></svg>`, context);
    case "td": case "tr": return inside("<table><tr><td></td></tr></table>", context);
    case "math": return inside("<math></math>", "math");
    case "mtext": return inside("<math><mtext></mtext></math>", "mtext");
    case "annotation": return inside('<math><annotation-xml encoding="text/html"></annotation-xml></math>', "annotation-xml");
    default: return inside(`<${context}></${context}>`, context);
  }
}
function insert(text, context) {
  if (context === "frame") {
    const frame = document.body.appendChild(document.createElement("iframe"));
    frame.srcdoc = "<script>window.alert = (value) => parent.alert(value)<\\/script>" + text;
    window.containers.push(frame);
    return null;
  }
  if (context === "fragment") {
    const host = document.body.appendChild(document.createElement("div"));
    host.append(document.createRange().createContextualFragment(text));
    return host;
  }
  if (context === "document") {
    const read = new DOMParser().parseFromString(text, "text/html");
    const host = document.body.appendChild(document.createElement("div"));
    host.append(...document.adoptNode(read.body).childNodes);
    return host;
  }
  const host = fresh(context);
  host.innerHTML = text;
  if (context === "template") {
    document.body.append(document.importNode(host.content, true));
    return host.content;
  }
  return host;
}
function tree(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE) return { other: node.nodeType };
  const attributes = [...node.attributes].map((one) => `${one.namespaceURI}|${one.localName}|${one.value}`).sort();
  return { name: `${node.namespaceURI}|${node.localName}`, attributes, inside: [...node.childNodes].map(tree) };
}
function offences(root, names, strict) {
  const found = [];
  const lower = names.map((name) => name.toLowerCase());
  for (const element of root.querySelectorAll("*")) {
    const name = element.localName;
    const known = strict ? names.includes(name) && element.namespaceURI === SVG : lower.includes(name.toLowerCase());
    if (!known) found.push(`element ${element.tagName}`);
    for (const { name, value } of element.attributes) {
      if (/^on/i.test(name)) found.push(`attribute ${name}`);
      if (/href|src/i.test(name) && !/^[ \\t\\n]*#|^data:image\\/(png|jpeg|gif|webp);/i.test(value)) found.push(`${name} ${value}`);
    }
    if (element.localName === "a") element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
  }
  return found;
}
async function settle() {
  document.body.offsetWidth;
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((done) => {
      const image = new Image();
      image.onload = image.onerror = done;
      image.src = `/turn?${turn}-${performance.now()}`;
    });
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
}
window.test = async ([texts, context, names, strict]) => {
  const found = [];
  for (const text of texts) {
    const host = insert(text, context);
    if (!host) continue;
    found.push(...offences(host, names, strict));
    if (!strict) continue;
    const xml = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    const first = JSON.stringify(tree(xml));
    if (host.childNodes.length !== 1 || JSON.stringify(tree(host.firstChild)) !== first) found.push("another tree than in XML");
    if (context === "template") continue;
    for (let turn = 0; turn < 3; turn++) host.innerHTML = host.innerHTML;
    if (JSON.stringify(tree(host.firstChild)) !== first) found.push("another tree after it was written and read again");
  }
  if (context === "frame") {
    const read = (frame) => frame.contentDocument.URL === "about:srcdoc" && frame.contentDocument.readyState === "complete";
    await Promise.all(window.containers.map((frame) => read(frame) || new Promise((done) => { frame.onload = done; })));
    for (const frame of window.containers) found.push(...offences(frame.contentDocument.body, names, false));
  }
  await settle();
  return [...found, ...window.hits];
};
window.documents = async ([count]) => {
  const found = [];
  for (let number = 0; number < count; number++) {
    const frame = document.createElement("iframe");
    const loaded = new Promise((done) => { frame.onload = done; });
    frame.src = `/image/${number}.svg`;
    document.body.append(frame);
    await loaded;
    const root = frame.contentDocument.documentElement;
    if (root.namespaceURI !== SVG || frame.contentDocument.querySelector("parsererror")) found.push(`not an SVG: ${number}`);
    if (frame.contentWindow.hits?.length) found.push(...frame.contentWindow.hits);
  }
  await settle();
  return found;
};
"""


class Foreign:
    """A page of somebody else that shows tokens, and everything that it asks the network for."""

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context()
        self._context.add_init_script("window.hits = []; window.alert = (value) => { window.hits.push(`alert ${value}`); };")
        self._page: Page = self._context.new_page()
        self._asked: list[str] = []
        self._images: list[str] = []
        self._context.route("**/*", self._answer)
        self._page.on("dialog", self._dialog)

    def close(self) -> None:
        self._context.close()

    def _dialog(self, dialog: Any) -> None:
        self._asked.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            route.fulfill(body=f"<!doctype html><body><script>{HARNESS}</script></body>", content_type="text/html; charset=utf-8")
        elif path.startswith("/image/"):
            number = int(path.removeprefix("/image/").removesuffix(".svg"))
            route.fulfill(body=self._images[number], content_type="image/svg+xml; charset=utf-8")
        else:
            if not path.startswith("/turn?"):
                self._asked.append(route.request.url)
            route.abort()

    def inserted(self, texts: list[str], context: str, *, strict: bool) -> list[str]:
        """What went wrong when the texts were inserted there. strict: the tree must be that of XML."""
        self._asked.clear()
        self._page.goto(f"{ORIGIN}/")
        found: list[str] = self._page.evaluate("(given) => window.test(given)", [texts, context, sorted(ELEMENTS), strict])
        return found + self._asked

    def opened(self, texts: list[str]) -> list[str]:
        """What went wrong when the texts were opened as documents of their own, without any header that protects."""
        self._asked.clear()
        self._images = texts
        self._page.goto(f"{ORIGIN}/")
        found: list[str] = self._page.evaluate("(given) => window.documents(given)", [len(texts)])
        return found + self._asked


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def foreign(browser: Browser) -> Iterator[Foreign]:
    page = Foreign(browser)
    yield page
    page.close()


class Archive:
    """A running service and its database."""

    def __init__(self, url: str, path: str) -> None:
        self.url = url
        self._path = path
        self._client = Client(url, "generator")

    def put(self, text: str) -> str | None:
        """The token's id; None when it is refused."""
        body = {"svg": text, "generated": "2026-01-01T00:00:00Z", "keywords": ["a", "b", "c"]}
        status, answer = self._client.send("PUT", "/token", body)
        assert status in (200, 400), (status, answer)
        return json.loads(answer)["id"] if status == 200 else None

    def accepted(self, texts: list[str]) -> list[str]:
        """What the service shows of those texts that it lets in."""
        return [self.shown(token) for text in texts if (token := self.put(text))]

    def old(self, texts: list[str]) -> list[str]:
        """What the service shows of these texts when they are in its store since a time in which nothing was checked."""
        tokens = [self.put(PLAIN) for _ in texts]
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as connection:
            numbers = [row[0] for row in connection.execute("SELECT id FROM tokens ORDER BY id DESC LIMIT ?", [len(texts)])][::-1]
            connection.executemany("UPDATE tokens SET svg = ?, rules = 0 WHERE id = ?", zip(texts, numbers, strict=True))
            connection.commit()
        return [self.shown(token) for token in tokens if token]

    def shown(self, token: str) -> str:
        status, body = self._client.get("/svg", id=token)
        assert status == 200
        text = body.decode()
        assert self._client.json("/token", id=token)["svg"] == text
        return text


@pytest.fixture(scope="module")
def archive(sqlite: SQLite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder, database = tmp_path_factory.mktemp("tokens"), sqlite.new_database()
    with running("tokens", environment(database, folder), folder) as (url, _):
        yield Archive(url, database.removeprefix("sqlite:///"))


def assert_harmless(foreign: Foreign, texts: list[str], contexts: list[str]) -> None:
    for context in contexts:
        if foreign.inserted(texts, context, strict=context in SAME):
            alone = {text: foreign.inserted([text], context, strict=context in SAME) for text in texts}
            guilty = {text: found for text, found in alone.items() if found}
            raise AssertionError(f"in {context}: {guilty or 'only together'}")
    assert foreign.opened(texts) == []


@pytest.mark.parametrize(
    ("text", "context", "seen"),
    [
        (f'<s:svg xmlns:s="{SVG}" xmlns="{SVG}"><style><!--</style><img src=x onerror=alert(1)>--></style></s:svg>', "div", "alert 1"),
        (svg("<style><!--</style><p><img src=y onerror=alert(2)></p>--></style><p/>"), "table", "element P"),
        (svg('<animate onbegin="alert(1)" begin="0s"/>'), "svg", "alert 1"),
        (svg('<a href="javascript:alert(1)"/>'), "div", "alert 1"),
        (
            svg("<rect style='background:url(http://evil.test/a)'/><style>svg{background:url(http://evil.test/b)}</style>"),
            "div",
            "evil.test/b",
        ),
        ("<script>alert(1)</script>", "fragment", "alert 1"),
        (svg("<script>alert(1)</script>"), "frame", "alert 1"),
        (svg("<g viewbox='1'/><p/>"), "div", "another tree"),
        (svg("<text><![CDATA[a]]></text>"), "div", "another tree"),
    ],
)
def test_what_happens_is_seen(foreign: Foreign, text: str, context: str, seen: str) -> None:
    """The other tests would pass for everything if the page saw nothing."""
    assert any(seen in one for one in foreign.inserted([text], context, strict=context in SAME))


def test_what_happens_in_a_document_is_seen(foreign: Foreign) -> None:
    assert foreign.opened([svg("<script>alert(1)</script>")]) == ["alert 1"]


@pytest.mark.timeout(300)
def test_what_is_let_in_is_harmless(archive: Archive, foreign: Foreign) -> None:
    shown = archive.accepted([*ATTACKS, *ORDINARY])
    assert len(shown) > 30
    assert_harmless(foreign, shown, SAME + OTHER)


@pytest.mark.timeout(300)
def test_what_was_let_in_long_ago_is_harmless(archive: Archive, foreign: Foreign) -> None:
    shown = archive.old([*ATTACKS, *ORDINARY])
    assert len(ATTACKS) >= 60 and len(shown) == len(ATTACKS) + len(ORDINARY)
    assert all(archive.put(text) for text in shown)
    assert_harmless(foreign, shown, SAME + OTHER)


@pytest.mark.timeout(300)
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(trees(), min_size=25, max_size=25))
def test_no_tree_is_harmful(archive: Archive, foreign: Foreign, texts: list[str]) -> None:
    assert_harmless(foreign, archive.accepted(texts) + archive.old(texts), ["div", "svg", "template", "table", "math", "frame", "fragment"])


def test_ordinary_pictures_look_as_before(archive: Archive, browser: Browser) -> None:
    """All but the last, which moves."""
    page = browser.new_page(viewport={"width": 300, "height": 250})
    for text in ORDINARY[:-1]:
        (shown,) = archive.accepted([text])
        looks = [screenshot(page, one) for one in (text, shown, svg("", 'viewBox="0 0 90 60"'))]
        assert looks[0] == looks[1] != looks[2]
    page.close()


def screenshot(page: Page, text: str) -> bytes:
    page.set_content(f'<img width="270" src="data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}">')
    page.wait_for_function("document.images[0].complete && document.images[0].naturalWidth > 0")
    return page.screenshot()


def test_the_archive_shows_an_image(archive: Archive, browser: Browser) -> None:
    """The service's own pages put no token's text into themselves."""
    archive.old([f'<s:svg xmlns:s="{SVG}" viewBox="0 0 4 3"><s:rect width="4" height="3"/></s:svg>'])
    page = browser.new_page()
    page.goto(f"{archive.url}/")
    image = page.locator("#grid li img").first
    expect(image).to_have_attribute("src", re.compile("blob:"))
    page.wait_for_function("document.querySelector('#grid img').naturalWidth > 0")
    assert page.locator("svg").count() == 0
    page.close()
