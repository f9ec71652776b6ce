/**
 * seve.js: a client of Sève's WebSocket in one ES module. No dependencies; browsers, Deno, and Node from 22 on.
 *
 *     import { Seve } from "/seve.js";
 *
 *     const seve = new Seve({ modules: ["croissance"], token: "eyJ…" });
 *     seve.on("message", ({ envelope, snapshot }) => console.log(envelope.topic, envelope.value, snapshot));
 *     seve.on("gap", ({ from, to }) => console.warn("replay no longer held", from, to));
 *     seve.connect();
 *
 * Options, all optional:
 *   url      address of the WebSocket; by default `/ws` on the server of the page
 *   modules  modules to subscribe to; `["*"]`, the default: all that the token allows; `[]`: none until `subscribe()`
 *   sensors  sensor types to receive; filters measurements only
 *   slow     "conflate" (the server's default: a slow client gets the newest of each series) or "disconnect"
 *   batch    true (default): one frame for all envelopes that arrived together; false: one frame per envelope
 *   since    an earlier `seq`: the server sends later messages instead of a snapshot
 *   token    a JWT, or a function (may be async) that returns one, called before every connection
 *
 * Methods:  on(type, listener) → a function that removes it;  connect();  reconnect() at once;  close() for good;
 *           subscribe(...modules);  unsubscribe(...modules)
 * Fields:   seq, the newest resume token (store it, and pass it as `since`);  state
 *
 * Events, each with one object:
 *   message  { envelope, seq, snapshot }       one envelope
 *   batch    { envelopes, seq, snapshot }      all envelopes of a frame; costs less at high rates
 *   gap      { from, to }                      messages of this range of the journal are lost, of all modules
 *   skipped  { from, to, count }               this client was slow, and got only the newest of each series
 *   silence  { module, silent }                a module fell silent, or sends again
 *   live     { modules }                       snapshot or replay of these is complete; live messages follow
 *   error    { code, message }                 the server refused a request; the connection stays open
 *   state    { state, retryInMs, code, reason } "connecting", "catching up", "live", "waiting", "closed"
 *
 * It guarantees what the server guarantees: after a reconnect it resumes where the connection broke, also within a
 * snapshot, so that messages, gaps and skipped ranges together are the whole stream. It does not interpret `seq`, stores
 * nothing, and gives up only if a reconnect cannot help (close code 1008).
 */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** Return the milliseconds before an attempt (from 0): doubling, half of it random, and at least `retryAfterMs`. */
export function backoff(attempt, random, retryAfterMs = 0) {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16));
  return Math.round(Math.max(retryAfterMs, ceiling / 2 + (random * ceiling) / 2));
}

function besideThePage() {
  const url = new URL("ws", globalThis.location?.href ?? "http://127.0.0.1:8080/");
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = url.hash = "";
  return url.href;
}

function pick(frame, ...names) {
  return Object.fromEntries(names.map((name) => [name, frame[name] ?? null]));
}

export class Seve {
  seq = null;
  state = "closed";

  #options;
  #listeners = new Map();
  #held = new Set(); // granted modules: after a reconnect their messages since `seq` are requested
  #fresh = new Set(); // modules not granted yet: their snapshot is requested
  #asked = []; // modules of requests without an answer, oldest first
  #answered = []; // modules whose snapshot or replay is arriving: one "live" completes all of them
  #socket = null;
  #timer = null;
  #attempt = 0;
  #retryAfterMs = 0;
  #round = 0; // changes when a connection that is being opened is no longer wanted

  constructor({ url = besideThePage(), modules = ["*"], batch = true, since = null, ...rest } = {}) {
    this.#options = { url, batch, random: Math.random, WebSocket: globalThis.WebSocket, ...rest };
    this.seq = since;
    for (const module of modules) (since === null ? this.#fresh : this.#held).add(module);
  }

  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.#listeners.get(type).delete(listener);
  }

  connect() {
    if (this.#socket === null && this.#timer === null && this.state !== "connecting") this.#open();
  }

  reconnect() {
    this.#drop();
    this.#attempt = 0;
    this.#open();
  }

  close() {
    this.#drop();
    this.#become("closed", { code: 1000, reason: "" });
  }

  subscribe(...modules) {
    for (const module of modules) if (!this.#held.has(module)) this.#fresh.add(module);
    if (this.#socket?.readyState === 1 && (this.state === "live" || !this.#held.size)) this.#askForFresh();
  }

  unsubscribe(...modules) {
    for (const module of modules) {
      this.#held.delete(module);
      this.#fresh.delete(module);
    }
    if (modules.length && this.#socket?.readyState === 1) this.#send({ action: "unsubscribe", modules });
  }

  // ---- the connection

  async #open() {
    const round = ++this.#round;
    this.#become("connecting");
    const { token, url, WebSocket } = this.#options;
    let socket;
    try {
      const bearer = typeof token === "function" ? await token() : token;
      if (round !== this.#round) return;
      socket = bearer ? new WebSocket(url, ["seve", `bearer.${bearer}`]) : new WebSocket(url);
    } catch (error) {
      if (round === this.#round) this.#closed(1006, String(error?.message ?? error));
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#greet();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#closed(code, reason);
  }

  #greet() {
    this.#become("catching up");
    if (this.#held.size) this.#ask([...this.#held], this.seq);
    else if (this.#fresh.size) this.#askForFresh(); // else once the held modules are live, because all share one `seq`
    else this.#caughtUp();
  }

  #askForFresh() {
    const asked = this.#asked.flat();
    const modules = [...this.#fresh].filter((module) => !asked.includes(module));
    if (modules.length) this.#ask(modules, null);
  }

  #ask(modules, since) {
    const { sensors, slow, batch } = this.#options;
    this.#asked.push(modules);
    this.#send({ action: "subscribe", modules, sensors, slow, batch, since: since ?? undefined });
  }

  #send(request) {
    this.#socket.send(JSON.stringify(request));
  }

  #closed(code, reason) {
    this.#drop();
    if (code === 1008) {
      this.#become("closed", { code, reason });
      return;
    }
    const retryInMs = backoff(this.#attempt++, this.#options.random(), this.#retryAfterMs);
    this.#retryAfterMs = 0;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#open();
    }, retryInMs);
    this.#become("waiting", { retryInMs, code, reason });
  }

  #drop() {
    this.#round++;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#asked = [];
    this.#answered = [];
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  // ---- frames

  #receive(frame) {
    const { event } = frame;
    if (frame.seq) this.seq = frame.seq;
    if (event === "mqtt-batch") this.#deliver(frame, frame.data);
    else if (event === "mqtt-message") this.#deliver(frame, [frame.data]);
    else if (event === "subscribed") this.#granted(frame);
    else if (event === "live") this.#caughtUp();
    else if (event === "gap") this.#emit("gap", pick(frame, "from", "to"));
    else if (event === "skipped") this.#emit("skipped", pick(frame, "from", "to", "count"));
    else if (event === "silence") this.#emit("silence", pick(frame, "module", "silent"));
    else if (event === "closing") this.#retryAfterMs = frame.retryAfterMs;
    else if (event === "error") this.#emit("error", pick(frame, "code", "message"));
  }

  #deliver({ seq, snapshot = false }, envelopes) {
    this.#emit("batch", { envelopes, seq, snapshot });
    if (!this.#listeners.get("message")?.size) return;
    for (const envelope of envelopes) this.#emit("message", { envelope, seq, snapshot });
  }

  /** Match an answer to the oldest request it fits; earlier ones were refused. A token may allow fewer modules. */
  #granted({ modules }) {
    const fits = (asked) => asked.includes("*") || modules.every((module) => asked.includes(module));
    const at = this.#asked.findIndex(fits);
    if (at < 0) return;
    const granted = this.#asked.splice(0, at + 1).at(-1);
    for (const module of granted) if (this.#fresh.delete(module)) this.#held.add(module);
    this.#answered.push(...granted);
  }

  #caughtUp() {
    const modules = this.#answered.splice(0);
    const first = this.state !== "live";
    this.#attempt = 0;
    this.#become("live");
    this.#emit("live", { modules });
    if (first) this.#askForFresh();
  }

  // ---- events

  #become(state, detail = {}) {
    if (state === this.state && !Object.keys(detail).length) return;
    this.state = state;
    this.#emit("state", { state, ...detail });
  }

  #emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) listener(detail);
  }
}
