/**
 * What is known of the fleet: modules, their sensors, presence and logs, made from envelopes in the order they arrive.
 * Bounded: what finds no room is left out, and counted.
 * No DOM and no clock of its own; times are milliseconds since 1970. Names come from devices: they are keys of Maps,
 * never of objects, and nothing here trusts them.
 */

import { SPAN_MS, Series } from "./series.js";

export const MOST_MODULES = 2000;
export const MOST_SENSORS = 5000; // of all modules together: 16.5 KiB each
export const MOST_TEXT = 2000; // characters of any text that a device sent
const LOGS = 20;
const MARKS = 50;
const AFTER_THE_WILL_MS = 2000; // a last will may overtake, by this much, what its device said before

class Sensor {
  value = null;
  status = null;
  config = null;
  taken = ""; // when the current value was taken, as text of microseconds
  at = 0; // the same in milliseconds; 0: there is no value
  pace = null; // smoothed milliseconds between samples
  series = new Series();

  constructor(type, hardware) {
    this.type = type;
    this.hardware = hardware;
  }

  /** A sample. The current value is the latest, of equal times the last that came: as in the server's snapshots. */
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

  /** What a person should know of the sensor: that it is disabled, or a status that is not "ok"; else nothing. */
  get flag() {
    if (this.config?.enabled === false) return "disabled";
    return this.status && this.status.toLowerCase() !== "ok" ? this.status : "";
  }

  /** Whether the sensor is overdue: several times its own pace, or its configured interval, has passed in silence. */
  stale(now) {
    const usual = this.config?.interval ? this.config.interval * 1000 : (this.pace ?? SPAN_MS / 4);
    return this.at > 0 && now - this.at > Math.max(10_000, 4 * usual);
  }
}

class Module {
  heard = 0;
  arrived = 0; // when it was first heard, if that was after the page had caught up
  word = null; // what the device itself said of its presence
  wordAt = 0;
  spokeAt = 0; // newest message of another kind than presence
  silent = false;
  told = new Set(); // kinds of which something came
  system = {};
  chip = {};
  logs = [];
  sensors = new Map();
  #types = new Map(); // the sensors of each type: a status may name thousands of types at once
  #room;

  constructor(name, room) {
    this.name = name;
    this.#room = room;
  }

  /** "online", "silent" or "offline". What a device says after its last will outweighs the will. */
  get presence() {
    if (this.word === "offline" && this.spokeAt <= this.wordAt + AFTER_THE_WILL_MS) return "offline";
    return this.silent ? "silent" : "online";
  }

  /** 0: something is wrong here, as far as is known; 1: online; 2: offline. */
  get rank() {
    const { presence } = this;
    if (presence !== "online") return presence === "silent" ? 0 : 2;
    for (const sensor of this.sensors.values()) if (sensor.flag) return 0;
    return 1;
  }

  /** The sensor that samples come from, null where there is no room for one. It takes the place of one only spoken of. */
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

  /** Sensors of a type whatever their hardware, since status and config name the type alone. */
  ofType(type) {
    return [...(this.#types.get(type) ?? [])];
  }

  /** Hear of the sensors of a type: its status, or its configuration. */
  tell(type, news) {
    const known = this.ofType(type);
    for (const sensor of known.length ? known : [this.sensor(type, null)]) if (sensor) Object.assign(sensor, news);
  }
}

function keyOf(type, hardware) {
  return `${type}\n${hardware ?? ""}`;
}

/** A text as it is kept: cut where it is longer than anybody reads. Anything but a text stays as it is. */
function cut(text) {
  return typeof text === "string" && text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}

const isObject = (body) => body !== null && typeof body === "object" && !Array.isArray(body);

/** Take over the fields of a body that are known here and present there. */
function update(target, body, names) {
  if (isObject(body)) for (const name of names) if (name in body) target[name] = typeof body[name] === "object" ? null : cut(body[name]);
}

/** Of a sensor's configuration what is used here: nothing else of it is kept. */
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
  gaps = []; // { from, to }: times between which messages are missing
  thinned = []; // { from, to, count }: times between which only the newest of each series came
  heard = 0; // newest time of receipt seen
  #ahead = null; // how far this machine's clock is ahead of the server's
  #room = { sensors: MOST_SENSORS, refused: 0 };
  #open = []; // beginnings of gaps whose end is still to come

  /** Envelopes, in part or as a whole, that found no room. */
  get refused() {
    return this.#room.refused;
  }

  /** Take in one envelope; gives the module it belongs to, or null. `local` is this machine's clock, for news only. */
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
    if (retained && kind !== "measurement" && module.told.has(kind)) return module; // replayed by the broker: old news
    module.told.add(kind);
    APPLY[kind]?.(module, envelope, heard);
    return module;
  }

  /** The module of a name, null where there is no room for one more. */
  module(name) {
    if (!this.modules.has(name) && this.modules.size < MOST_MODULES) this.modules.set(name, new Module(name, this.#room));
    return this.modules.get(name) ?? null;
  }

  /** The server's clock, as near as this side can know it. */
  now(local) {
    return Math.max(local - (this.#ahead ?? 0), this.heard);
  }

  /** Messages are missing, from the newest received until `closeGaps`. */
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
