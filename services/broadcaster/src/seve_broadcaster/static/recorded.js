/**
 * One series: the recorded points, and the samples since. A point is `{ time, low, high, mean, count }`: a sample, or a
 * bucket of `width` milliseconds that begins at `time`. `count` is 0 if it has no number. Pure.
 *
 * Bounded: MOST points; overflow rule: drop the oldest.
 */

export const MOST = 20_000;
const ORIGIN = 978_307_200_000; // 1 January 2001, a Monday: the origin of the server's buckets

export class Recorded {
  points;
  #spacing = null;

  /** `series` is one of an answer of `/api/history`. */
  constructor(series) {
    this.sensor = series.sensor;
    this.hardware = series.hardware;
    this.width = series.width * 1000;
    this.points = series.points.map(this.width ? bucket : sample);
  }

  /** Add a live sample: merge it into its bucket; without buckets, replace a sample of the same time. */
  add(time, value) {
    const begin = this.width ? beginOf(time, this.width) : time;
    const at = this.#place(begin);
    const there = this.points[at];
    const news = sample([begin, value]);
    if (there?.time !== begin) this.points.splice(at, 0, news);
    else this.points[at] = this.width ? joined(there, news) : news;
    if (this.points.length > MOST) this.points.splice(0, this.points.length - MOST);
    this.#spacing = null;
  }

  /** Return the points of a time range, and one beyond each end, so that lines reach the edges. */
  between(from, to) {
    return this.points.slice(Math.max(0, this.#place(from) - 1), this.#place(to) + 1);
  }

  /** Return runs of points to be joined by a line. A missing number, or a silence longer than `patience`, ends a run. */
  runs(from, to) {
    const longest = this.patience;
    const runs = [];
    let last = null;
    for (const point of this.between(from, to)) {
      if (point.count === 0) last = null;
      else {
        if (last === null || point.time - last.time > longest) runs.push([]);
        runs.at(-1).push(point);
        last = point;
      }
    }
    return runs;
  }

  /** The milliseconds of silence after which a line ends. */
  get patience() {
    if (this.#spacing === null) {
      const apart = this.points.slice(1).map(({ time }, at) => time - this.points[at].time);
      this.#spacing = apart.sort((one, other) => one - other)[(apart.length - 1) >> 1] ?? 0;
    }
    return this.width ? Math.max(this.width, this.#spacing) * 1.5 : Math.max(this.#spacing * 4, 1000);
  }

  /** Return the point nearest to `time`, or null if it is further away than `patience`. */
  nearest(time) {
    const at = this.#place(time);
    const [before, after] = [this.points[at - 1], this.points[at]];
    const centre = this.width / 2;
    const off = (point) => (point ? Math.abs(point.time + centre - time) : Infinity);
    const found = off(before) <= off(after) ? before : after;
    return off(found) <= this.patience ? found : null;
  }

  /** Return the time of the next point (of a bucket, its middle) before (`step` -1) or after (1) `time`, or null. */
  next(time, step) {
    const begin = time - this.width / 2;
    const found = this.points[step > 0 ? this.#place(begin + 1) : this.#place(begin) - 1];
    return found ? found.time + this.width / 2 : null;
  }

  /** Return the index of the first point that is not before `time`. */
  #place(time) {
    let [low, high] = [0, this.points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.points[middle].time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sample([time, value]) {
  return value === null ? { time, low: NaN, high: NaN, mean: NaN, count: 0 } : { time, low: value, high: value, mean: value, count: 1 };
}

function bucket([time, low, high, mean, count]) {
  return { time, low, high, mean, count };
}

function joined(one, other) {
  if (one.count === 0 || other.count === 0) return one.count === 0 ? other : one;
  const count = one.count + other.count;
  const mean = (one.mean * one.count + other.mean * other.count) / count;
  return { time: one.time, low: Math.min(one.low, other.low), high: Math.max(one.high, other.high), mean, count };
}

/** Return the beginning of the bucket of a time: as on the server, a full unit of UTC; weeks begin on Mondays. */
export function beginOf(time, width) {
  return Math.floor((time - ORIGIN) / width) * width + ORIGIN;
}

/** Return the points of several series as CSV (RFC 4180). Names come from devices: none may begin like a formula. */
export function csv(module, all, from, to) {
  const rows = [["time", "module", "sensor", "hardware", "average", "minimum", "maximum", "samples", "seconds"]];
  for (const series of all) {
    for (const { time, low, high, mean, count } of series.points) {
      if (time < from || time >= to) continue;
      const values = count ? [mean, low, high] : ["", "", ""];
      const names = [module, series.sensor, series.hardware ?? ""].map(harmless);
      rows.push([new Date(time).toISOString(), ...names, ...values, count, series.width / 1000]);
    }
  }
  return rows.map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
}

function harmless(text) {
  return /^[=+\-@\t\r]/u.test(text) ? `'${text}` : text;
}

function quoted(value) {
  const text = String(value);
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
