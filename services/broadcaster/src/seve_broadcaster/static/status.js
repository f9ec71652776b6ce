/** Shows the state of the page: connection, counts, rate, missed messages; and announces changes to screen readers. */

import { MOST_MODULES, MOST_SENSORS } from "./model.js";
import { age, count, visible } from "./units.js";

const ANNOUNCE_EVERY_MS = 5000;
const element = (id) => document.getElementById(id);
const plural = (amount, one, many) => `${count(amount)} ${amount === 1 ? one : many}`;

function write(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

export class Status {
  #fleet;
  #board;
  #counted = 0;
  #countedAt = performance.now();
  #paused = null;
  #state = { state: "connecting" };
  #retryAt = 0;
  #missed = { gap: 0, skipped: 0 };
  #changes = new Map();
  #announcedAt = -Infinity;

  constructor(fleet, board) {
    this.#fleet = fleet;
    this.#board = board;
  }

  connection(state) {
    this.#state = state;
    this.#retryAt = performance.now() + (state.retryInMs ?? 0);
    this.#writeConnection();
  }

  pause(paused) {
    this.#paused = paused ? this.#fleet.messages : null;
    document.documentElement.toggleAttribute("data-paused", paused);
    this.#writeConnection();
    this.tick();
  }

  refused(reason) {
    this.notice(reason);
  }

  notice(text) {
    element("notice").hidden = false;
    write("notice", text);
  }

  /** Note missed messages: add a line at the top of the list, and update the totals above it. */
  missed(kind, amount) {
    this.#missed[kind] += amount;
    const { gap, skipped } = this.#missed;
    const parts = [gap && plural(gap, "gap", "gaps"), skipped && plural(skipped, "message skipped", "messages skipped")];
    write("missed-text", parts.filter(Boolean).join(" · "));
    element("missed").hidden = false;
    const item = document.createElement("li");
    const what = kind === "gap" ? "the server no longer holds what came meanwhile" : `${count(amount)} skipped: this page was slow`;
    item.textContent = `${new Date().toLocaleTimeString()} · ${what}`;
    element("missed-list").prepend(item);
    if (element("missed-list").children.length > 50) element("missed-list").lastChild.remove();
  }

  /** Note a change of presence: it is announced soon, together with others that happen meanwhile. */
  changed(module) {
    this.#changes.set(module.name, module.presence);
  }

  tick() {
    this.#writeCounts();
    if (this.#fleet.refused) this.notice(this.#beyond());
    if (this.#state.state === "waiting") this.#writeConnection();
    if (this.#paused === null) this.#writeRate();
    else write("rate", `${plural(this.#fleet.messages - this.#paused, "message", "messages")} since the pause`);
    this.#announce();
  }

  #beyond() {
    const room = `${count(MOST_MODULES)} modules and ${count(MOST_SENSORS)} sensors`;
    return `This page has room for ${room}; ${plural(this.#fleet.refused, "message", "messages")} of others found none.`;
  }

  #writeConnection() {
    const { state, reason, code } = this.#state;
    const seconds = Math.ceil(Math.max(0, this.#retryAt - performance.now()) / 1000);
    element("connection").dataset.state = this.#paused !== null && state === "live" ? "paused" : state;
    element("connection").title = reason || (code && code !== 1000 ? `Closed with code ${code}` : "");
    const words = {
      connecting: "Connecting…",
      "catching up": "Catching up…",
      live: this.#paused === null ? "Live" : "Paused",
      waiting: seconds > 3 ? "Connection lost, trying again soon" : "Reconnecting…",
      closed: reason || "Disconnected",
    };
    write("connection-text", words[state]);
  }

  #writeCounts() {
    const counts = { all: this.#fleet.modules.size, online: 0, silent: 0, offline: 0 };
    for (const module of this.#fleet.modules.values()) counts[module.presence]++;
    for (const [name, amount] of Object.entries(counts)) write(`count-${name}`, count(amount));
    element("empty").hidden = counts.all > 0 || this.#state.state !== "live";
    element("unmatched").hidden = counts.all === 0 || this.#board.shown > 0;
    write("span", `Trends: last ${age(this.#board.span)}`);
  }

  #writeRate() {
    const now = performance.now();
    const seconds = (now - this.#countedAt) / 1000;
    if (seconds < 0.9) return;
    const rate = (this.#fleet.messages - this.#counted) / seconds;
    [this.#counted, this.#countedAt] = [this.#fleet.messages, now];
    write("rate", `${rate >= 10 ? count(Math.round(rate)) : rate.toFixed(1)} msg/s`);
  }

  #announce() {
    const now = performance.now();
    if (!this.#changes.size || now - this.#announcedAt < ANNOUNCE_EVERY_MS) return;
    this.#announcedAt = now;
    const [[name, presence]] = this.#changes;
    const text = this.#changes.size === 1 ? `${visible(name)} is ${presence}` : `${count(this.#changes.size)} modules changed presence`;
    this.#changes.clear();
    write("announcements", text);
  }
}
