/** The log of one module: lines of the stretch of time that is shown, found by text and level, the newest first. */

import { access } from "./access.js";
import { visible } from "./units.js";

const element = (id) => document.getElementById(id);
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

export class Log {
  #module;
  #stretch;
  #asked = 0;

  /** `stretch` gives the words for the stretch of time that is shown. */
  constructor(module, stretch) {
    this.#module = module;
    this.#stretch = stretch;
    element("log").addEventListener("toggle", () => this.load());
    element("log-search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
  }

  /** Ask, if the log is open. */
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
