// CSV (RFC 4180) of what is seen, for spreadsheets and programs.
const HEAD = ["time", "variable", "value", "lowest", "highest", "unit", "group", "latitude", "longitude", "metadata"];

// Spreadsheets run a text that begins like this as a formula; an apostrophe before it keeps it a text (OWASP, CSV injection).
const FORMULA = /^[\s\u0000-\u001f]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/;

// Numbers stay numbers, negative ones too; whatever else a device sent is text.
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? String(inner) : inner)) : String(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// records: those of the API, and averages with `lowest` and `highest`.
export function csv(records) {
  const lines = [HEAD.join(",")];
  for (const record of records) {
    const { time, variable, value, lowest, highest, unit, group, location, metadata } = record;
    const [longitude, latitude] = location?.coordinates ?? [];
    lines.push([time, variable, value, lowest, highest, unit, group, latitude, longitude, metadata].map(cell).join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}

export function save(name, text) {
  // the mark says UTF-8 to spreadsheets, which else read "°C" as two wrong letters
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// A name that every file system takes.
export function fileName(...parts) {
  const words = parts.map((part) => part.normalize("NFKD").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "")).filter(Boolean);
  return `${words.join("_").slice(0, 120)}.csv`;
}
