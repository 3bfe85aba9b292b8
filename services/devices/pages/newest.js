// The table of newest values: one row for each variable, in the order of the alphabet.
import { inOrder } from "./series.js";
import { timeElement, written } from "./values.js";

export class Newest {
  #records = new Map();

  // table: its element. address(variable): id of the card that the row leads to.
  constructor(table, address) {
    this.table = table;
    this.address = address;
  }

  get variables() { return [...this.#records.keys()].sort(); }
  get ms() { return Math.max(0, ...[...this.#records.values()].map(({ ms }) => ms)); }
  of(variable) { return this.#records.get(variable); }

  replace(records) { this.#records = new Map(records.map((record) => [record.variable, record])); }

  take(records) {
    for (const record of records) {
      const known = this.#records.get(record.variable);
      if (!known || inOrder(known, record) <= 0) this.#records.set(record.variable, record);
    }
  }

  // fresh: variables whose row says that it has just changed.
  draw(fresh = new Set()) {
    const body = this.table.tBodies[0];
    const rows = new Map([...body.rows].map((row) => [row.dataset.variable, row]));
    const wanted = this.variables;
    for (const [index, variable] of wanted.entries()) {
      const row = rows.get(variable) ?? newRow(variable, this.address(variable));
      rows.delete(variable);
      if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null); // the row with the focus stays where it is
      fill(row, this.#records.get(variable));
      if (fresh.has(variable)) shine(row);
    }
    for (const row of rows.values()) row.remove();
  }
}

function newRow(variable, address) {
  const row = document.createElement("tr");
  row.dataset.variable = variable;
  const name = document.createElement("th");
  name.scope = "row";
  const link = document.createElement("a");
  link.textContent = variable;
  link.hash = address;
  name.append(link);
  row.append(name);
  row.insertCell();
  row.insertCell();
  return row;
}

function fill(row, record) {
  const text = written(record);
  if (row.cells[1].textContent !== text) row.cells[1].textContent = text;
  const shown = row.querySelector("time");
  if (!shown || Date.parse(shown.dateTime) !== record.ms) row.cells[2].replaceChildren(timeElement(record.ms));
}

function shine(row) {
  row.classList.remove("fresh");
  requestAnimationFrame(() => requestAnimationFrame(() => row.classList.add("fresh")));
}
