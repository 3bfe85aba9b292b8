// Small helpers for the document.
export const part = (id) => document.getElementById(id);

// Writes a text where it differs: a screen reader is not told the same twice.
export function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes the children of `parent` those of `items`, in this order; an element stays the same for the same id, so the focus stays, too.
// make(item): a new element. update(element, item): after each call.
export function keyed(parent, items, make, update) {
  const known = new Map([...parent.children].map((element) => [element.dataset.id, element]));
  const wanted = items.map((item) => {
    const element = known.get(String(item.id)) ?? make(item);
    element.dataset.id = item.id;
    update(element, item);
    known.delete(String(item.id));
    return element;
  });
  for (const element of known.values()) element.remove();
  for (const [place, element] of wanted.entries()) {
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  }
}

// Makes a copy of a template's first element.
export const copy = (id) => part(id).content.firstElementChild.cloneNode(true);
export const role = (element, name) => element.querySelector(`[data-role="${name}"]`);

// Lets a button's work run once at a time, and tells what went wrong. work: async; its errors are told in `told` by `explain`.
export async function once(button, told, explain, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  tell(told, "");
  try {
    await work();
  } catch (error) {
    tell(told, explain(error));
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
