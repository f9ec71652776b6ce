/**
 * The card of one module: presence, time of the last message, sensors and device. Builds its elements from templates.
 * Writes text of devices as text only, never as markup. Changes the document only where a value changed.
 */

import { draw } from "./sparkline.js";
import { NOTHING, age, count, describe, number, visible } from "./units.js";

const LABEL_EVERY_MS = 5000; // trends are described to screen readers no more often than this
const WORDS = new Set(["online", "silent", "offline"]);

const natural = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const byOrder = ({ order: [one, hardware] }, { order: [other, elsewhere] }) =>
  natural.compare(one, other) || natural.compare(hardware, elsewhere);

const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class SensorRow {
  #sensor;
  #known;
  #parts = {};
  #labelled = 0;

  constructor(sensor) {
    this.#sensor = sensor;
    this.#known = describe(sensor.type);
    this.element = clone("sensor");
    for (const name of ["label", "hardware", "flag", "number", "unit"]) this.#parts[name] = this.element.querySelector(`.${name}`);
    this.canvas = this.element.querySelector("canvas");
    write(this.#parts.label, visible(this.#known.label));
    this.#parts.label.title = visible(sensor.type);
    write(this.#parts.hardware, visible(sensor.hardware ?? ""));
    this.order = [this.#known.label, sensor.hardware ?? ""];
  }

  write(now) {
    const { value, flag, at } = this.#sensor;
    const stale = this.#sensor.stale(now);
    const text = number(value, this.#known.digits);
    write(this.#parts.number, text);
    write(this.#parts.unit, text === NOTHING ? "" : this.#known.unit);
    this.element.classList.toggle("stale", stale);
    write(this.#parts.flag, visible(flag || (stale ? `${age(now - at)} old` : "")));
  }

  trace(view) {
    const points = this.#sensor.series.between(view.from, view.to);
    const least = Math.max(10 ** (1 - (this.#known.digits ?? 3)), Math.abs(this.#sensor.value ?? 0) * 0.005);
    draw(this.canvas, points, { ...view, least, stale: view.offline || this.#sensor.stale(view.to) });
    if (view.to - this.#labelled < LABEL_EVERY_MS) return;
    this.#labelled = view.to;
    this.canvas.setAttribute("aria-label", this.#describe(points));
  }

  #describe(points) {
    const values = points.filter((point) => !Number.isNaN(point.last));
    if (!values.length) return "No samples in this time";
    const low = number(Math.min(...values.map((point) => point.low)), this.#known.digits);
    const high = number(Math.max(...values.map((point) => point.high)), this.#known.digits);
    return `Between ${low} and ${high} ${this.#known.unit}`.trim();
  }
}

export class Card {
  visible = false;
  rank = 1; // rank of the module when the cards were last sorted
  due = 0; // earliest next painting, as the frame clock counts
  #module;
  #rows = new Map();
  #parts = {};
  #resized;

  constructor(module, resized) {
    this.#module = module;
    this.#resized = resized;
    this.element = clone("module");
    for (const name of ["name", "presence", "word", "heard", "device"]) this.#parts[name] = this.element.querySelector(`.${name}`);
    this.#parts.body = this.element.querySelector("tbody");
    const name = visible(module.name);
    const link = this.#parts.name.querySelector("a");
    write(link, name);
    link.href = `module.html?${new URLSearchParams({ module: module.name })}`;
    link.title = `${name}: charts`;
    this.element.querySelector("article").ariaLabel = `Module ${name}`;
    this.#parts.device.addEventListener("toggle", () => this.#writeDevice());
  }

  get name() {
    return this.#module.name;
  }

  get arrived() {
    return this.#module.arrived;
  }

  /** Return the time of the oldest sample since `from` of any sensor of the card, or Infinity if there is none. */
  oldest(from) {
    return Math.min(...[...this.#module.sensors.values()].map(({ series }) => series.oldest(from)));
  }

  /** Paint the whole card as of `view.to`. */
  paint(view) {
    this.#fitRows();
    this.#writePresence(view.to);
    for (const row of this.#rows.values()) row.write(view.to);
    this.trace(view);
    this.#writeDevice();
  }

  /** Paint the trends only. */
  trace(view) {
    const mine = { ...view, offline: this.#module.presence === "offline" };
    for (const row of this.#rows.values()) row.trace(mine);
  }

  #fitRows() {
    for (const [key, row] of this.#rows) {
      if (this.#module.sensors.has(key)) continue;
      this.#resized.unobserve(row.canvas);
      row.element.remove();
      this.#rows.delete(key);
    }
    if (this.#rows.size === this.#module.sensors.size) return;
    for (const [key, sensor] of this.#module.sensors) {
      if (this.#rows.has(key)) continue;
      const row = new SensorRow(sensor);
      const rows = [...this.#rows.values(), row].sort(byOrder);
      this.#parts.body.insertBefore(row.element, rows[rows.indexOf(row) + 1]?.element ?? null);
      this.#rows.set(key, row);
      this.#resized.observe(row.canvas);
    }
  }

  #writePresence(now) {
    const { presence, word, heard } = this.#module;
    this.element.dataset.presence = presence;
    const said = presence === "online" && word === null ? "seen" : presence; // it sends, but never reported its presence
    write(this.#parts.word, presence === "online" && word && !WORDS.has(word) ? visible(word) : said);
    const since = age(now - heard);
    write(this.#parts.heard, heard ? (since === "now" ? "heard just now" : `heard ${since} ago`) : "not heard yet");
  }

  #writeDevice() {
    if (!this.#parts.device.open) return;
    const { system, chip, logs } = this.#module;
    const facts = [
      ["Address", system.ip],
      ["MAC", system.mac],
      ["Signal", sized(system.rssi, "dBm")],
      ["Free heap", sized(system.heapFreeKb, "KiB")],
      ["Lowest heap", sized(system.heapMinFreeKb, "KiB")],
      ["Flash used", sized(system.usedKb, "KiB")],
      ["Chip", chip.model],
      ["Clock", sized(chip.cpuFreqMhz, "MHz")],
      ["Cores", chip.cores],
    ];
    const known = facts.filter(([, value]) => value !== undefined && value !== null);
    fill(this.#parts.device.querySelector("dl"), known.length ? known : [["Device", "has said nothing of itself"]], fact);
    fill(this.#parts.device.querySelector("ol"), [...logs].reverse(), logged);
  }
}

function sized(value, unit) {
  return typeof value === "number" ? `${count(value)} ${unit}` : undefined;
}

function fill(list, items, make) {
  const text = JSON.stringify(items);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren(...items.flatMap(make));
}

function fact([term, value]) {
  const [name, definition] = [document.createElement("dt"), document.createElement("dd")];
  name.textContent = term;
  definition.textContent = visible(String(value));
  definition.dir = "auto";
  return [name, definition];
}

function logged({ at, level, text }) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date(at).toLocaleTimeString();
  item.dataset.level = level.toLowerCase();
  item.append(time, ` ${visible(level)} `, visible(text));
  return [item];
}
