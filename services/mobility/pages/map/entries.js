// Lists of nodes whose entries choose them.
import { copy, keyed, role, tell } from "./elements.js";
import { about, kind, nameOf, sign, type } from "./shapes.js";

// Puts the sign of a node's type into an element that holds an svg.
export function draw(element, type, kind) {
  const { path, classes } = sign(type, kind);
  const drawn = element.querySelector("path");
  drawn.setAttribute("d", path);
  drawn.setAttribute("class", classes);
}

// Makes the entries of `list` these nodes. chosen: the cdk_id of the one that is meant. more(node): words to add. pick(node): it was chosen.
export function fill(list, nodes, { chosen, more = () => "", pick }) {
  const make = () => {
    const element = copy("entry");
    element.querySelector("button").addEventListener("click", () => pick(element.node));
    return element;
  };
  keyed(list, nodes.map((node) => ({ id: node.cdk_id, node })), make, (element, { node }) => {
    element.node = node;
    draw(element, type(node), kind(node));
    tell(role(element, "name"), nameOf(node));
    tell(role(element, "about"), [about(node), more(node)].filter(Boolean).join(", "));
    element.querySelector("button").setAttribute("aria-pressed", String(node.cdk_id === chosen));
  });
}
