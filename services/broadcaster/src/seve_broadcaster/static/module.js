/**
 * The page of one module: one chart per series, with the recorded samples and then the live ones. None is missing or
 * there twice: the stream resumes at the token of the history answer.
 */

import { access } from "./access.js";
import { draw, readInk, timeAt } from "./chart.js";
import { Log } from "./log.js";
import { Recorded, csv } from "./recorded.js";
import { Seve } from "./seve.js";
import { LEAST_MS, edges, milliseconds, viewOf, wordsOf, zoomed } from "./timeline.js";
import { describe, number, visible } from "./units.js";

const AGAIN_MS = 5000; // before a failed query is repeated
const SETTLE_MS = 1000; // before the query that fetches missed messages
const DRAG_PX = 6;
const MOST_CHARTS = 200;

const element = (id) => document.getElementById(id);
const name = new URLSearchParams(location.search).get("module") ?? "";
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const charts = new Map();

let view = viewOf(location.search);
let cursor = null;
let selection = null;
let seve = null;
let loading = 0;
let again = null;
let ahead = 0; // how far this machine's clock is ahead of the server's
let loadedAt = 0;
let painted = false;
let ink = readInk(document.body);

const now = () => Date.now() - ahead;
const log = new Log(name, () => wordsOf(view));

class Chart {
  #parts = {};

  constructor(series) {
    this.series = series;
    this.known = describe(series.sensor);
    this.element = element("chart").content.firstElementChild.cloneNode(true);
    this.canvas = this.element.querySelector("canvas");
    for (const part of ["label", "hardware", "number", "unit", "detail"]) this.#parts[part] = this.element.querySelector(`.${part}`);
    this.#parts.label.textContent = visible(this.known.label);
    this.#parts.hardware.textContent = visible(series.hardware ?? "");
    this.canvas.setAttribute("aria-label", visible([this.known.label, series.hardware].filter(Boolean).join(", ")));
    this.canvas.addEventListener("pointerdown", (event) => this.#press(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", (event) => this.#release(event));
    this.canvas.addEventListener("pointercancel", () => this.#abandon());
    this.canvas.addEventListener("pointerleave", () => !selection && point(null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  paint({ from, to }) {
    draw(this.canvas, this.series, { from, to, ink, cursor, selection, digits: this.known.digits });
    const at = cursor ?? to;
    const read = cursor === null ? this.series.points.findLast(({ count }) => count) : this.series.nearest(cursor);
    const value = number(read?.count ? read.mean : null, this.known.digits);
    this.#parts.number.textContent = value;
    this.#parts.unit.textContent = read?.count ? this.known.unit : "";
    this.#parts.detail.textContent = read ? this.#detail(read) : "";
    this.canvas.setAttribute("aria-valuemin", String(Math.round(from)));
    this.canvas.setAttribute("aria-valuemax", String(Math.round(to)));
    this.canvas.setAttribute("aria-valuenow", String(Math.round(at)));
    this.canvas.setAttribute("aria-valuetext", `${value} ${this.#parts.unit.textContent} ${this.#parts.detail.textContent}`);
  }

  #detail({ time, low, high, count }) {
    const when = moment.format(time);
    if (!this.series.width || count < 2) return when;
    return `${number(low, this.known.digits)} to ${number(high, this.known.digits)}, ${when}`;
  }

  #time(event) {
    return timeAt(event.offsetX, this.canvas.clientWidth, edges(view, now()));
  }

  #press(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pressed = { x: event.offsetX, time: this.#time(event) };
  }

  #move(event) {
    const time = this.#time(event);
    if (this.pressed && (selection || Math.abs(event.offsetX - this.pressed.x) > DRAG_PX)) {
      selection = { from: Math.min(time, this.pressed.time), to: Math.max(time, this.pressed.time) };
    }
    point(time);
  }

  #release(event) {
    const chosen = selection;
    this.#abandon();
    if (event.pointerType !== "mouse") point(this.#time(event));
    if (chosen && chosen.to - chosen.from >= LEAST_MS) show({ from: Math.round(chosen.from), to: Math.round(chosen.to) });
  }

  #abandon() {
    this.pressed = selection = null;
    repaint();
  }

  #key(event) {
    const stretch = edges(view, now());
    const at = cursor ?? stretch.to;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const found = this.series.next(at, step);
      if (found !== null && found >= stretch.from && found <= stretch.to) point(found);
    } else if (event.key === "Home") point(stretch.from);
    else if (event.key === "End" || event.key === "Escape") point(null);
    else if (event.key === "+" || event.key === "-") show(zoomed(stretch, at, event.key === "+" ? 0.5 : 2));
    else return;
    event.preventDefault();
  }
}

/** Set the cursor of all charts to `time`, or remove it with null. */
function point(time) {
  cursor = time;
  repaint();
}

function repaint() {
  if (painted) return;
  painted = true;
  requestAnimationFrame(() => {
    painted = false;
    const stretch = edges(view, now());
    for (const chart of charts.values()) chart.paint(stretch);
  });
}

/** Show another time range, and put it into the address. */
function show(wanted) {
  view = wanted;
  history.pushState(null, "", `?${new URLSearchParams({ module: name, ...wordsOf(view) })}`);
  tell();
  load();
}

function tell() {
  for (const radio of document.querySelectorAll("input[name=last]")) radio.checked = radio.value === view.last;
  const { from, to } = edges(view, now());
  element("span").textContent = moment.formatRange(from, to);
}

/** Query the recorded samples, then follow the stream from there. Retries if there is no answer. */
async function load() {
  const mine = ++loading;
  clearTimeout(again);
  log.load();
  element("charts").setAttribute("aria-busy", "true");
  const { last, from, to } = wordsOf(view);
  const question = new URLSearchParams({ module: name, ...(last ? { from: last } : { from, to }) });
  const response = await access.ask(`api/history?${question}`);
  if (mine !== loading) return;
  element("charts").removeAttribute("aria-busy");
  if (response?.ok) {
    const answer = await response.json();
    if (mine === loading) take(answer);
  } else {
    notice(response ? (await response.text()).trim() : "The server cannot be reached.");
    if (!response || response.status >= 500) again = setTimeout(load, AGAIN_MS);
  }
}

function take(answer) {
  notice("");
  if (view.last) ahead = Math.min(Date.now() - Date.parse(answer.to), 60_000);
  loadedAt = now();
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const found = answer.series.map((series) => new Recorded(series));
  found.sort((one, other) => order.compare(describe(one.sensor).label, describe(other.sensor).label) || order.compare(one.hardware ?? "", other.hardware ?? ""));
  for (const [key, chart] of charts) if (!found.some((series) => keyOf(series) === key)) remove(key, chart);
  for (const series of found.slice(0, MOST_CHARTS)) place(series);
  element("empty").hidden = charts.size > 0;
  follow(answer.token);
  tell();
  repaint();
}

const keyOf = ({ sensor, hardware }) => `${sensor}\n${hardware ?? ""}`;

function place(series) {
  const key = keyOf(series);
  const chart = charts.get(key) ?? new Chart(series);
  chart.series = series;
  charts.set(key, chart);
  element("charts").append(chart.element);
  resized.observe(chart.canvas);
}

function remove(key, chart) {
  resized.unobserve(chart.canvas);
  chart.element.remove();
  charts.delete(key);
}

/** Follow the stream after `token`. If messages are missed, query the history again: it has them, or will soon. */
function follow(token) {
  seve?.close();
  seve = new Seve({ modules: [name], batch: true, since: token, token: () => access.token });
  seve.on("batch", ({ envelopes, snapshot }) => {
    if (!snapshot) for (const envelope of envelopes) if (envelope.kind === "measurement") add(envelope);
    repaint();
  });
  for (const missed of ["gap", "skipped"]) seve.on(missed, () => loadSoon());
  seve.on("state", async (state) => {
    connection(state);
    if (state.state === "closed" && state.code === 1008) {
      await access.again(`The server ended the connection: ${state.reason}.`);
      load();
    }
  });
  seve.connect();
}

function add({ sensorType, hardwareId, value, time }) {
  const at = Date.parse(time);
  const { from, to } = edges(view, now());
  if (at < from || (!view.last && at >= to)) return;
  const key = keyOf({ sensor: sensorType, hardware: hardwareId });
  if (charts.has(key)) charts.get(key).series.add(at, value);
  else loadSoon(); // a series that is not in the answer
}

function loadSoon() {
  clearTimeout(again);
  again = setTimeout(load, SETTLE_MS);
}

function notice(text) {
  element("notice").hidden = text === "";
  element("notice").textContent = text;
}

function connection({ state }) {
  const words = { live: view.last ? "Live" : "Connected", connecting: "Connecting…", "catching up": "Catching up…", waiting: "Disconnected; trying again" };
  element("connection").dataset.state = state;
  element("connection-text").textContent = words[state] ?? "Not connected";
}

/** Move a view that ends now. Once a quarter of it is new, query it again, so that its buckets fit. */
function tick() {
  if (!view.last) return;
  tell();
  if (selection === null) repaint();
  if (loadedAt && now() - loadedAt > milliseconds(view.last) / 4) load();
}

function save() {
  const { from, to } = edges(view, now());
  const text = csv(name, [...charts.values()].map(({ series }) => series), from, to);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `${name.replaceAll(/[^\w.-]/gu, "_")}-${new Date(from).toISOString().slice(0, 16).replaceAll(":", "")}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

const resized = new ResizeObserver(repaint);

document.title = `${visible(name)} · Sève`;
element("name").textContent = visible(name);
element("csv").addEventListener("click", save);
document.querySelector("form.tools").addEventListener("change", ({ target }) => show({ last: target.value }));
document.addEventListener("themechange", () => {
  ink = readInk(document.body);
  repaint();
});
addEventListener("popstate", () => {
  view = viewOf(location.search);
  tell();
  load();
});
addEventListener("online", () => seve?.state === "waiting" && seve.reconnect());
setInterval(tick, 1000);
tell();
load();
