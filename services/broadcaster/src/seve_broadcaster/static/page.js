/** The page: wires the client, the fleet, the board and the controls. No other file knows them all. */

import { access } from "./access.js";
import { Board } from "./board.js";
import { Fleet } from "./model.js";
import { Seve } from "./seve.js";
import { Status } from "./status.js";

const element = (id) => document.getElementById(id);

const fleet = new Fleet();
const clock = () => fleet.now(Date.now());
const board = new Board(fleet, element("modules"), clock);
const status = new Status(fleet, board);

element("filter").value = new URLSearchParams(location.search).get("filter") ?? "";
board.filter(element("filter").value, "all");

const { since, heard } = await access.enter((reason) => status.refused(reason));
const seve = new Seve({ modules: ["*"], batch: true, since, token: () => access.token });
let wasLive = false;
let silent = new Set(); // the silent modules: the server names all of them while the page catches up

for (const envelope of heard) take(envelope, null);

seve.on("batch", ({ envelopes, snapshot }) => {
  const news = seve.state === "live" && !snapshot;
  if (news) fleet.closeGaps(Date.parse(envelopes[0].receivedAt));
  for (const envelope of envelopes) take(envelope, news ? Date.now() : null);
});

function take(envelope, local) {
  const before = fleet.modules.get(envelope.moduleId)?.presence;
  const module = fleet.apply(envelope, local);
  if (module === null) return;
  if (local !== null && !before) module.arrived = local;
  if (local !== null && before && module.presence !== before) status.changed(module);
  board.touch(module.name);
}

function hush(module, quiet) {
  if (module === null || module.silent === quiet) return;
  module.silent = quiet;
  if (wasLive) status.changed(module);
  board.touch(module.name);
}

seve.on("silence", ({ module, silent: quiet }) => {
  if (seve.state === "live") hush(fleet.module(module), quiet);
  else if (quiet) silent.add(module);
});

seve.on("gap", () => {
  if (!wasLive) return;
  fleet.openGap();
  status.missed("gap", 1);
});

seve.on("skipped", ({ count }) => {
  fleet.thin(count, fleet.heard, clock());
  status.missed("skipped", count);
});

seve.on("live", () => {
  for (const module of fleet.modules.values()) hush(module, silent.has(module.name));
  wasLive = true;
  fleet.closeGaps(clock());
  board.tick();
});

seve.on("error", ({ message }) => status.notice(message));

async function askAgain(reason) {
  await access.again(reason);
  seve.reconnect();
}

seve.on("state", async (state) => {
  status.connection(state);
  if (state.state === "catching up") silent = new Set();
  if (state.state === "closed" && state.code === 1008) await askAgain(`The server ended the connection: ${state.reason}.`);
  if (state.code === 1006 && (await access.refused())) await askAgain("The server no longer accepts the token.");
});

element("pause").addEventListener("click", ({ currentTarget: button }) => {
  const paused = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(paused));
  button.querySelector("span").textContent = paused ? "Resume" : "Pause";
  status.pause(paused);
  if (paused) board.freeze();
  else board.thaw();
});

element("host").textContent = location.hostname;

const tools = document.querySelector("form.tools");

/** Apply the filter and put it into the address, so that a bookmark keeps it. */
function filter() {
  const words = element("filter").value.trim();
  board.filter(words, tools.elements.presence.value);
  history.replaceState(null, "", words ? `?${new URLSearchParams({ filter: words })}` : location.pathname);
  status.tick();
}

tools.addEventListener("submit", (event) => event.preventDefault());
tools.addEventListener("input", filter);

document.addEventListener("themechange", () => board.recolour());
addEventListener("online", () => seve.state === "waiting" && seve.reconnect());
setInterval(() => {
  board.tick();
  status.tick();
}, 1000);

seve.connect();
