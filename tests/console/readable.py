"""What makes any page readable, whoever looks at it and on whatever."""

from __future__ import annotations

from playwright.sync_api import Page


def check_readable(page: Page) -> None:
    """No sideways scrolling, a language, one heading and one main part, names for all that can be used, and contrast (WCAG 2.2)."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == page.locator("main").count() == 1
    nameless = page.evaluate(
        """[...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')]
           .filter(e => !(e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate(CONTRAST) == []


# the texts whose contrast to the nearest painted background is below 4.5
CONTRAST = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = value => (value /= 255) <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const luminance = colour => { const [r, g, b] = numbers(colour).map(linear); return .2126 * r + .7152 * g + .0722 * b; };
  const background = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (numbers(colour).length < 4 || numbers(colour)[3] > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const contrast = element => {
    const [low, high] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  return [...document.querySelectorAll('body *')]
    .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
    .filter(element => element.getClientRects().length && contrast(element) < 4.5)
    .map(element => element.outerHTML.slice(0, 120));
})()
"""
