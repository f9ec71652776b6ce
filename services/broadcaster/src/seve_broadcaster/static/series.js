/**
 * The last ten minutes of one sensor: the lowest, highest and newest value of each second. Its size is fixed at any
 * rate; samples may arrive late and out of order. Uses no DOM and reads no clock; times are milliseconds since 1970.
 */

export const SPAN_MS = 600_000;
const WIDTH_MS = 1000;
const COUNT = SPAN_MS / WIDTH_MS + 2;

export class Series {
  #second = new Uint32Array(COUNT);
  #low = new Float64Array(COUNT);
  #high = new Float64Array(COUNT);
  #last = new Float64Array(COUNT);

  /** Add a sample. A value of null means that the sensor had none, and breaks the line. */
  add(time, value) {
    const second = Math.floor(time / WIDTH_MS);
    const at = second % COUNT;
    if (second < 0 || this.#second[at] > second) return;
    const number = value ?? NaN;
    if (this.#second[at] < second || Number.isNaN(this.#last[at])) {
      this.#second[at] = second;
      this.#low[at] = this.#high[at] = this.#last[at] = number;
    } else if (value !== null) {
      this.#low[at] = Math.min(this.#low[at], value);
      this.#high[at] = Math.max(this.#high[at], value);
      this.#last[at] = value;
    }
  }

  /** Return the time of the oldest second since `from` with a sample, or Infinity if there is none. */
  oldest(from) {
    let oldest = Infinity;
    for (const second of this.#second) {
      const time = second * WIDTH_MS;
      if (time >= from && time < oldest) oldest = time;
    }
    return oldest;
  }

  /** Return the seconds of a time range with a sample, oldest first: `{ time, low, high, last }`, NaN for null. */
  between(from, to) {
    const points = [];
    for (let second = Math.ceil(from / WIDTH_MS); second * WIDTH_MS <= to; second++) {
      const at = second % COUNT;
      if (this.#second[at] !== second) continue;
      points.push({ time: second * WIDTH_MS, low: this.#low[at], high: this.#high[at], last: this.#last[at] });
    }
    return points;
  }
}

/** Divide points into runs to be joined by a line. A null, or one of `gaps` ({ from, to }), ends a run. */
export function runs(points, gaps) {
  const cut = [];
  let run = [];
  for (const point of points) {
    const before = run.at(-1);
    if (before && gaps.some((gap) => gap.from < point.time && gap.to > before.time)) {
      cut.push(run);
      run = [];
    }
    if (!Number.isNaN(point.last)) run.push(point);
    else if (run.length) {
      cut.push(run);
      run = [];
    }
  }
  return run.length ? [...cut, run] : cut;
}

/** Return the lowest and highest value of points, or null if there is none. */
export function extent(points) {
  let low = Infinity;
  let high = -Infinity;
  for (const point of points) {
    if (point.low < low) low = point.low;
    if (point.high > high) high = point.high;
  }
  return low <= high ? { low, high } : null;
}
