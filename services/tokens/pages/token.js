// How a token is shown: as an image, in which nothing runs and nothing is fetched, with links to keep it.
export const root = document.documentElement.dataset.root;

export function show(token, image, svg, png) {
  const url = URL.createObjectURL(new Blob([token.svg], { type: "image/svg+xml" }));
  image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
  image.addEventListener("error", () => URL.revokeObjectURL(url), { once: true });
  image.alt = `Token of the words ${token.keywords.join(", ")}`;
  image.src = url;
  for (const [link, kind] of [[svg, "svg"], [png, "png"]]) {
    link.href = `${root}${kind}?id=${encodeURIComponent(token.id)}&download`;
    link.setAttribute("aria-label", `Download as ${kind.toUpperCase()}: ${token.keywords.join(", ")}`);
  }
}
