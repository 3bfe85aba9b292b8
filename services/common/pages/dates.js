// One way to write a moment on every page; the same as dates.py.
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

// "29 Nov 2026, 10:15 UTC"; null for what is not a date.
export function shown(moment) {
  if (Number.isNaN(moment.valueOf())) return null;
  const day = `${moment.getUTCDate()} ${MONTHS[moment.getUTCMonth()]} ${moment.getUTCFullYear()}`;
  return `${day}, ${two(moment.getUTCHours())}:${two(moment.getUTCMinutes())} UTC`;
}
