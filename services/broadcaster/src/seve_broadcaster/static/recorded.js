/**
 * One series as the server recorded it, and what came since. A point is `{ time, low, high, mean, count }`: a sample, or
 * a bucket of `width` milliseconds that begins at `time`. Where there was no number, `count` is 0. Pure.
 *
 * Bounded: MOST points; overflow rule: the oldest go.
 */

export const MOST = 20_000;
const ORIGIN = 978_307_200_000; // 1 January 2001, a Monday: where the server's buckets are counted from

export class Recorded {
  points;
  #spacing = null;

  /** `series` as `/api/history` answers. */
  constructor(series) {
    this.sensor = series.sensor;
    this.hardware = series.hardware;
    this.width = series.width * 1000;
    this.points = series.points.map(this.width ? bucket : sample);
  }

  /** Take in a sample that came after the answer, or instead of one. */
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

  /** The points of a stretch of time, and one beyond each of its ends, so that lines run to the edge. */
  between(from, to) {
    return this.points.slice(Math.max(0, this.#place(from) - 1), this.#place(to) + 1);
  }

  /** Runs of points that a line may join: none over a missing number, none over a silence of several usual distances. */
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

  /** Milliseconds of silence after which a line ends. */
  get patience() {
    if (this.#spacing === null) {
      const apart = this.points.slice(1).map(({ time }, at) => time - this.points[at].time);
      this.#spacing = apart.sort((one, other) => one - other)[(apart.length - 1) >> 1] ?? 0;
    }
    return this.width ? Math.max(this.width, this.#spacing) * 1.5 : Math.max(this.#spacing * 4, 1000);
  }

  /** The point that is nearest to `time`; null where the nearest is further off than a line would reach. */
  nearest(time) {
    const at = this.#place(time);
    const [before, after] = [this.points[at - 1], this.points[at]];
    const centre = this.width / 2;
    const off = (point) => (point ? Math.abs(point.time + centre - time) : Infinity);
    const found = off(before) <= off(after) ? before : after;
    return off(found) <= this.patience ? found : null;
  }

  /** The time of the next point before (`step` -1) or behind (1) `time`, its middle if it is a bucket; null if none. */
  next(time, step) {
    const begin = time - this.width / 2;
    const found = this.points[step > 0 ? this.#place(begin + 1) : this.#place(begin) - 1];
    return found ? found.time + this.width / 2 : null;
  }

  /** The place of the first point that is not before `time`. */
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

/** Where the bucket of a time begins: as the server's, on full units of UTC; weeks begin on Mondays. */
export function beginOf(time, width) {
  return Math.floor((time - ORIGIN) / width) * width + ORIGIN;
}

/** What is shown of several series, as CSV (RFC 4180). Names come from devices: none may begin like a formula. */
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
