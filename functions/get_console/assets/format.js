// Numbers, money and times as people read them.
const WHOLE = new Intl.NumberFormat("en");
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [
  ["year", 365 * 86400],
  ["month", 30 * 86400],
  ["week", 7 * 86400],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

export const number = (value) => WHOLE.format(value);

/** Cents, which are never negative, as a decimal number; exact, as dividing is not. */
export function money(cents) {
  const digits = String(cents).padStart(3, "0");
  return `${WHOLE.format(BigInt(digits.slice(0, -2)))}.${digits.slice(-2)}`;
}

/** Cents from what somebody typed (12, 12.5, 1,200.50); null if it is no amount, as 0,125 is none: who knows what it means. */
export function cents(text) {
  const found = /^(\d+|[1-9]\d{0,2}(?:,\d{3})+)(?:\.(\d{1,2}))?$/.exec(text.trim());
  return found ? whole(found[1].replaceAll(",", "") + (found[2] ?? "").padEnd(2, "0")) : null;
}

/** A whole number from what somebody typed; null if it is none, or none that a number holds exactly. */
export function whole(text) {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

export const moment = (text) => MOMENT.format(new Date(text));

/** "3 minutes ago", as seen from now (milliseconds). */
export function relative(text, now = Date.now()) {
  const seconds = (new Date(text) - now) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return unit === "second" && Math.abs(seconds) < 5 ? "just now" : RELATIVE.format(Math.trunc(seconds / size), unit);
}

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** item_added → Item added */
export function words(name) {
  const text = name.replace(/[._]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
