/** The log of one module: its lines of the time range shown, filtered by text and level, newest first. */

import { access } from "./access.js";
import { visible } from "./units.js";

const element = (id) => document.getElementById(id);
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

export class Log {
  #module;
  #stretch;
  #asked = 0;

  /** `stretch` is a function that returns the time range shown, as parameters of a query. */
  constructor(module, stretch) {
    this.#module = module;
    this.#stretch = stretch;
    element("log").addEventListener("toggle", () => this.load());
    element("log-search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
  }

  /** Query the server, if the log is open. */
  async load() {
    if (!element("log").open) return;
    const mine = ++this.#asked;
    const { last, from, to } = this.#stretch();
    const words = new URLSearchParams({ module: this.#module, ...(last ? { from: last } : { from, to }) });
    for (const [name, value] of new FormData(element("log-search"))) if (value.trim()) words.set(name, value.trim());
    const response = await access.ask(`api/logs?${words}`);
    if (mine !== this.#asked) return;
    if (response?.ok) this.#show(await response.json());
    else element("log-said").textContent = response ? (await response.text()).trim() : "The server cannot be reached.";
  }

  #show({ lines, more }) {
    const said = lines.length === 0 ? "No lines in this time." : more ? `The newest ${lines.length} lines; there are more.` : "";
    element("log-said").textContent = said;
    element("log-lines").replaceChildren(...lines.map(line));
  }
}

function line({ time, level, message }) {
  const item = document.createElement("li");
  const when = document.createElement("time");
  when.dateTime = time;
  when.textContent = moment.format(Date.parse(time));
  item.dataset.level = (level ?? "").toLowerCase();
  item.append(when, ` ${visible(level ?? "")} `, visible(message));
  return item;
}
