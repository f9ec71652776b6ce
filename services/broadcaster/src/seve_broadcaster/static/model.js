/**
 * The state of the fleet: modules with their sensors, presence and logs, updated by envelopes in the order they arrive.
 * Bounded: envelopes of modules and sensors above the bounds are ignored, and counted.
 * Uses no DOM and reads no clock; times are milliseconds since 1970. Names come from devices and are not trusted: they
 * are keys of Maps, never of objects.
 */

import { SPAN_MS, Series } from "./series.js";

export const MOST_MODULES = 2000;
export const MOST_SENSORS = 5000; // of all modules together: 16.5 KiB each
export const MOST_TEXT = 2000; // characters of any text that a device sent
const LOGS = 20;
const MARKS = 50;
const AFTER_THE_WILL_MS = 2000; // a last will may arrive earlier, by this much, than messages that its device sent before

class Sensor {
  value = null;
  status = null;
  config = null;
  taken = ""; // time of the current value, as text with microseconds
  at = 0; // the same in milliseconds; 0 if there is no value
  pace = null; // smoothed milliseconds between samples
  series = new Series();

  constructor(type, hardware) {
    this.type = type;
    this.hardware = hardware;
  }

  /** Add a sample. As in snapshots, the current value is the latest by time, or the last to arrive among equal times. */
  sample(value, taken) {
    const at = Date.parse(taken);
    this.series.add(at, value);
    if (taken < this.taken) return;
    if (this.at && at > this.at) {
      const apart = at - this.at;
      this.pace = this.pace === null ? apart : this.pace + (apart - this.pace) / 8;
    }
    this.taken = taken;
    this.at = at;
    this.value = value;
  }

  /** Return "disabled", or a status other than "ok"; else an empty text. */
  get flag() {
    if (this.config?.enabled === false) return "disabled";
    return this.status && this.status.toLowerCase() !== "ok" ? this.status : "";
  }

  /** Return whether the sensor was silent for several times its interval: the configured one, or else the usual one. */
  stale(now) {
    const usual = this.config?.interval ? this.config.interval * 1000 : (this.pace ?? SPAN_MS / 4);
    return this.at > 0 && now - this.at > Math.max(10_000, 4 * usual);
  }
}

class Module {
  heard = 0;
  arrived = 0; // time of its first message, if that came after the page had caught up
  word = null; // presence that the device itself reported
  wordAt = 0;
  spokeAt = 0; // time of the newest message of another kind than presence
  silent = false;
  told = new Set(); // kinds that were received
  system = {};
  chip = {};
  logs = [];
  sensors = new Map();
  #types = new Map(); // sensors by type: one status message may name thousands of types
  #room;

  constructor(name, room) {
    this.name = name;
    this.#room = room;
  }

  /** Return "online", "silent" or "offline". Messages sent after the last will outweigh it. */
  get presence() {
    if (this.word === "offline" && this.spokeAt <= this.wordAt + AFTER_THE_WILL_MS) return "offline";
    return this.silent ? "silent" : "online";
  }

  /** Return the rank on the page: 0 with a known problem, 1 online, 2 offline. */
  get rank() {
    const { presence } = this;
    if (presence !== "online") return presence === "silent" ? 0 : 2;
    for (const sensor of this.sensors.values()) if (sensor.flag) return 0;
    return 1;
  }

  /** Return the sensor, or null if there is no room for it. It replaces one known only from status or config. */
  sensor(type, hardware) {
    const key = keyOf(type, hardware);
    if (!this.sensors.has(key)) {
      if (this.#room.sensors <= 0) {
        this.#room.refused++;
        return null;
      }
      this.#room.sensors--;
      const sensor = new Sensor(type, hardware);
      const [spoken] = this.ofType(type);
      if (spoken) Object.assign(sensor, { status: spoken.status, config: spoken.config });
      if (spoken?.at === 0 && this.sensors.delete(keyOf(type, null))) {
        this.#types.get(type).delete(spoken);
        this.#room.sensors++;
      }
      this.sensors.set(key, sensor);
      if (!this.#types.has(type)) this.#types.set(type, new Set());
      this.#types.get(type).add(sensor);
    }
    return this.sensors.get(key);
  }

  /** Return the sensors of a type with any hardware: status and config name only the type. */
  ofType(type) {
    return [...(this.#types.get(type) ?? [])];
  }

  /** Set the status or the configuration of all sensors of a type. */
  tell(type, news) {
    const known = this.ofType(type);
    for (const sensor of known.length ? known : [this.sensor(type, null)]) if (sensor) Object.assign(sensor, news);
  }
}

function keyOf(type, hardware) {
  return `${type}\n${hardware ?? ""}`;
}

/** Shorten a text to MOST_TEXT characters. Return anything but a text unchanged. */
function cut(text) {
  return typeof text === "string" && text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}

const isObject = (body) => body !== null && typeof body === "object" && !Array.isArray(body);

/** Copy the named fields that the body has. */
function update(target, body, names) {
  if (isObject(body)) for (const name of names) if (name in body) target[name] = typeof body[name] === "object" ? null : cut(body[name]);
}

/** Return the fields of a sensor's configuration that the page uses. */
function configured(body) {
  return isObject(body) ? { interval: Number(body.interval) || null, enabled: body.enabled } : null;
}

const APPLY = {
  measurement(module, { sensorType, hardwareId, value, time, receivedAt }) {
    module.sensor(sensorType, hardwareId)?.sample(value, time < receivedAt ? time : receivedAt);
  },
  presence(module, { metadata }, heard) {
    if (heard < module.wordAt || typeof metadata?.status !== "string") return;
    module.word = cut(metadata.status);
    module.wordAt = heard;
  },
  "system.status"(module, { metadata }) {
    const { memory, flash } = metadata ?? {};
    update(module.system, metadata, ["ip", "mac", "rssi"]);
    update(module.system, memory, ["heapFreeKb", "heapMinFreeKb"]);
    update(module.system, flash, ["usedKb"]);
  },
  "system.config"(module, envelope) {
    APPLY["system.status"](module, envelope);
  },
  "hardware.config"(module, { metadata }) {
    update(module.chip, metadata?.chip, ["model", "cpuFreqMhz", "cores"]);
  },
  "sensors.status"(module, { metadata }) {
    if (!isObject(metadata)) return;
    for (const [type, body] of Object.entries(metadata)) {
      module.tell(type, { status: typeof body?.status === "string" ? cut(body.status) : null });
    }
  },
  "sensors.config"(module, { metadata }) {
    if (!isObject(metadata)) return;
    for (const [type, body] of Object.entries(metadata)) module.tell(type, { config: configured(body) });
  },
  log(module, { metadata }, heard) {
    const { level, msg } = isObject(metadata) ? metadata : { msg: metadata };
    const text = typeof msg === "string" ? msg : (JSON.stringify(msg) ?? "");
    module.logs.push({ at: heard, level: cut(String(level ?? "")), text: cut(text) });
    if (module.logs.length > LOGS) module.logs.shift();
  },
  other() {},
};

export class Fleet {
  modules = new Map();
  messages = 0;
  gaps = []; // { from, to }: time ranges in which messages are missing
  thinned = []; // { from, to, count }: time ranges of which only the newest message of each series arrived
  heard = 0; // newest time of receipt so far
  #ahead = null; // how far this machine's clock is ahead of the server's
  #room = { sensors: MOST_SENSORS, refused: 0 };
  #open = []; // beginnings of gaps that have no end yet

  /** The number of envelopes that were ignored, in part or as a whole, because of a bound. */
  get refused() {
    return this.#room.refused;
  }

  /**
   * Apply an envelope; return its module, or null if there is no room. `local` is this machine's time for a live message,
   * and null for one of a snapshot or replay.
   */
  apply(envelope, local = null) {
    const heard = Date.parse(envelope.receivedAt);
    this.messages++;
    this.heard = Math.max(this.heard, heard);
    const module = this.module(envelope.moduleId);
    if (module === null) {
      this.#room.refused++;
      return null;
    }
    const { kind, retained } = envelope;
    if (!retained) {
      module.heard = Math.max(module.heard, heard);
      if (kind !== "presence") module.spokeAt = Math.max(module.spokeAt, heard);
    }
    if (local !== null) this.#align(local - heard);
    if (retained && kind !== "measurement" && module.told.has(kind)) return module; // retained by the broker: old
    module.told.add(kind);
    APPLY[kind]?.(module, envelope, heard);
    return module;
  }

  /** Return the module of a name, or null if there is no room for another one. */
  module(name) {
    if (!this.modules.has(name) && this.modules.size < MOST_MODULES) this.modules.set(name, new Module(name, this.#room));
    return this.modules.get(name) ?? null;
  }

  /** Return the estimated time of the server's clock. */
  now(local) {
    return Math.max(local - (this.#ahead ?? 0), this.heard);
  }

  /** Begin a gap at the newest time of receipt; `closeGaps` ends it. */
  openGap() {
    if (this.heard) this.#open.push(this.heard);
  }

  closeGaps(now) {
    for (const from of this.#open) this.#mark(this.gaps, { from, to: now });
    this.#open = [];
  }

  thin(count, from, now) {
    this.#mark(this.thinned, { from, to: now, count });
  }

  #mark(marks, mark) {
    marks.push(mark);
    if (marks.length > MARKS) marks.shift();
  }

  #align(ahead) {
    if (this.#ahead === null || ahead < this.#ahead) this.#ahead = ahead;
    else this.#ahead += (ahead - this.#ahead) / 1000;
  }
}
