/**
 * The time range shown: as parameters of the address and of queries, and as marks of an axis. Pure.
 *
 * A view is `{ last: "24h" }`, which always ends now, or `{ from, to }`, milliseconds since 1970.
 */

export const SPANS = ["1h", "24h", "7d", "30d", "365d"];

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const [SECOND, MINUTE, HOUR, DAY] = [UNITS.s, UNITS.m, UNITS.h, UNITS.d];
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
];
const DAYS = [1, 2, 5, 10];
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120];
export const LEAST_MS = 5 * SECOND;
export const LONGEST_MS = 3660 * DAY;

/** Return the milliseconds of a duration such as "24h", or null for anything else. */
export function milliseconds(text) {
  const [, count, unit] = /^(\d{1,6})([smhdw])$/u.exec(text ?? "") ?? [];
  const found = Number(count) * UNITS[unit];
  return found > 0 && found <= LONGEST_MS ? found : null;
}

/** Return the view that an address names; the last 24 hours if it names none, or an invalid one. */
export function viewOf(search) {
  const words = new URLSearchParams(search);
  const [from, to] = [Date.parse(words.get("from")), Date.parse(words.get("to"))];
  if (to - from >= LEAST_MS && to - from <= LONGEST_MS) return { from, to };
  return { last: milliseconds(words.get("last")) === null ? "24h" : words.get("last") };
}

/** Return a view as parameters of the address. Queries to the server use them too, with `last` passed as `from`. */
export function wordsOf(view) {
  if (view.last) return { last: view.last };
  return { from: new Date(view.from).toISOString(), to: new Date(view.to).toISOString() };
}

/** Return the beginning and end of a view. */
export function edges(view, now) {
  return view.last ? { from: now - milliseconds(view.last), to: now } : view;
}

/** Return a view `factor` times as long, which keeps `centre` in place. */
export function zoomed({ from, to }, centre, factor) {
  const length = Math.min(LONGEST_MS, Math.max(LEAST_MS, (to - from) * factor));
  const begin = centre - ((centre - from) / (to - from)) * length;
  return { from: Math.round(begin), to: Math.round(begin + length) };
}

/** Return about `most` marks `{ time, text, strong }` at full units of local time; a strong one begins a larger unit. */
export function timeMarks({ from, to }, most) {
  const least = (to - from) / Math.max(1, most);
  const step = STEPS.find((each) => each >= least);
  if (step) return stepped(from, to, step);
  const days = DAYS.find((each) => each * DAY >= least);
  if (days) return daily(from, to, days);
  const months = MONTHS.find((each) => each * 30 * DAY >= least) ?? MONTHS.at(-1);
  return monthly(from, to, months);
}

function stepped(from, to, step) {
  const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: step < MINUTE ? "2-digit" : undefined });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const marks = [];
  const midnight = new Date(from);
  midnight.setHours(0, 0, 0, 0);
  while (midnight.getTime() <= to) {
    const begin = midnight.getTime();
    midnight.setDate(midnight.getDate() + 1);
    for (let at = begin; at < midnight.getTime() && at <= to; at += step) {
      if (at >= from) marks.push({ time: at, text: at === begin ? day.format(at) : time.format(at), strong: at === begin });
    }
  }
  return marks;
}

function daily(from, to, days) {
  const text = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const marks = [];
  const day = new Date(from);
  day.setHours(0, 0, 0, 0);
  for (; day.getTime() <= to; day.setDate(day.getDate() + 1)) {
    const number = day.getDate();
    const first = number === 1;
    const chosen = days === 1 || first || ((number - 1) % days === 0 && number + days / 2 < 31);
    if (day.getTime() >= from && chosen) marks.push({ time: day.getTime(), text: text.format(day), strong: first });
  }
  return marks;
}

function monthly(from, to, months) {
  const text = new Intl.DateTimeFormat(undefined, { month: "short" });
  const marks = [];
  const month = new Date(new Date(from).getFullYear(), 0, 1);
  for (; month.getTime() <= to; month.setMonth(month.getMonth() + months)) {
    const first = month.getMonth() === 0;
    if (month.getTime() >= from) {
      marks.push({ time: month.getTime(), text: first ? String(month.getFullYear()) : text.format(month), strong: first });
    }
  }
  return marks;
}

/** Return about `most` round values between `low` and `high`. */
export function valueMarks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const marks = [];
  for (let count = Math.ceil(low / step); count * step <= high; count++) marks.push(count * step);
  return marks;
}
