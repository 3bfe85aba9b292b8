// How values and moments are written, the same in tables, charts and announcements.
import { shown } from "./dates.js";

const numbers = new Intl.NumberFormat("en", { maximumSignificantDigits: 15, useGrouping: false });
const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 6, useGrouping: false });
const scientific = new Intl.NumberFormat("en", { notation: "scientific", maximumSignificantDigits: 4 });

export function number(value) {
  return typeof value === "bigint" ? String(value) : numbers.format(value);
}

// With a few digits: for axes, lowest, highest, average.
export function about(value) {
  const size = Math.abs(value);
  return size >= 1e12 || (size > 0 && size < 1e-6) ? scientific.format(value) : rounded.format(value);
}

export function withUnit(text, unit) {
  if (!unit) return text;
  return /^[%°′″]/.test(unit) && unit !== "°C" && unit !== "°F" ? `${text}${unit}` : `${text} ${unit}`;
}

// "21.5 °C", "on", "true", "35.7, -78.6"; a dash when a record is an event alone.
export function written(record) {
  const { value, unit, location } = record;
  if (typeof value === "number" || typeof value === "bigint") return withUnit(number(value), unit);
  if (value !== undefined && value !== null) return withUnit(String(value), unit);
  if (location?.coordinates) return `${location.coordinates[1]}, ${location.coordinates[0]}`;
  return "–";
}

// "30 Nov 2026, 01:41:27 UTC". ms: since 1970.
export function moment(ms) {
  const date = new Date(ms);
  const text = shown(date);
  return text?.replace(" UTC", `:${String(date.getUTCSeconds()).padStart(2, "0")} UTC`) ?? "unknown";
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1000]];

// "5 min. ago"
export function ago(ms, now) {
  const distance = ms - now;
  if (Math.abs(distance) < 5000) return "just now";
  const [unit, size] = UNITS.find(([, size]) => Math.abs(distance) >= size);
  return relative.format(Math.trunc(distance / size), unit);
}

// A `time` element that says how long ago; `refresh` keeps all of them true.
export function timeElement(ms) {
  const element = document.createElement("time");
  element.dateTime = new Date(ms).toISOString();
  element.title = moment(ms);
  element.textContent = ago(ms, Date.now());
  return element;
}

export function refreshTimes(within) {
  const now = Date.now();
  for (const element of within.querySelectorAll("time[title]")) {
    const text = ago(Date.parse(element.dateTime), now);
    if (element.textContent !== text) element.textContent = text;
  }
}
