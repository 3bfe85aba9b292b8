// The records of one variable that the page holds, oldest first. Each has `ms`, its time in milliseconds, and `number`, what a chart draws.

export function prepared(record) {
  record.ms = Date.parse(record.time);
  const { value } = record;
  record.number = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : typeof value === "boolean" ? Number(value) : null;
  return record;
}

// Ids grow in the order of arrival, which decides among records of one moment.
export const inOrder = (one, other) => one.ms - other.ms || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);

export class Series {
  #records = [];
  #ids = new Map();
  #columns = null;

  get records() { return this.#records; }
  get length() { return this.#records.length; }
  get newest() { return this.#records.at(-1); }

  replace(records) {
    this.#records = records.map((record) => (record.ms === undefined ? prepared(record) : record)).sort(inOrder);
    this.#ids = new Map(this.#records.map((record) => [record.id, record]));
    this.#columns = null;
  }

  // Takes in records that may be there already, and lets go of those before `from`. Says how many are new.
  merge(records, from) {
    let added = 0;
    let ordered = true;
    for (const record of records) {
      const known = this.#ids.get(record.id);
      if (known) {
        ordered &&= known.ms === record.ms;
        Object.assign(known, record);
        continue;
      }
      ordered &&= !this.newest || inOrder(this.newest, record) < 0;
      this.#records.push(record);
      this.#ids.set(record.id, record);
      added += 1;
    }
    if (!ordered) this.#records.sort(inOrder);
    const old = this.#records.findIndex((record) => record.ms >= from);
    for (const record of this.#records.splice(0, old < 0 ? this.#records.length : old)) this.#ids.delete(record.id);
    this.#columns = null;
    return added;
  }

  // [milliseconds, numbers], as the charts want them.
  columns() {
    this.#columns ??= [this.#records.map((record) => record.ms), this.#records.map((record) => record.number)];
    return this.#columns;
  }

  // "numbers", "booleans" or "texts": what kind of picture suits them.
  kind() {
    if (this.#records.some(({ value }) => typeof value === "number" || typeof value === "bigint")) return "numbers";
    return this.#records.some(({ value }) => typeof value === "boolean") ? "booleans" : "texts";
  }
}

// {count, lowest, highest} of a column; nulls are left out.
export function extremes(column) {
  let count = 0, lowest = Infinity, highest = -Infinity;
  for (const value of column) {
    if (value === null) continue;
    count += 1;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return { count, lowest, highest };
}
