/**
 * Orders the cards, filters them, and paints each at most five times per second: only visible cards, and only within a
 * time budget per frame. So the cost of painting does not depend on the message rate.
 */

import { Card } from "./card.js";
import { SPAN_MS } from "./series.js";
import { readInk } from "./sparkline.js";
import { describe } from "./units.js";

const REPAINT_MS = 200;
const BUDGET_MS = 8;
const SPANS = Array.from({ length: SPAN_MS / 60_000 }, (_, at) => (at + 1) * 60_000);

const natural = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Problems first, offline modules last; then those that appeared while the page is open, newest first; then by name. */
function inOrder(one, other) {
  return (
    one.rank - other.rank ||
    other.arrived - one.arrived ||
    natural.compare(one.name, other.name) ||
    (one.name < other.name ? -1 : 1)
  );
}

export class Board {
  span = SPANS[0];
  shown = 0;
  #fleet;
  #list;
  #cards = new Map();
  #order = [];
  #dirty = new Set();
  #filter = { words: [], presence: "all" };
  #frozen = null;
  #ink;
  #frame = 0;
  #clock;
  #seen;
  #resized;
  #byElement = new WeakMap();

  constructor(fleet, list, clock) {
    this.#fleet = fleet;
    this.#list = list;
    this.#clock = clock;
    this.#ink = readInk(list);
    this.#seen = new IntersectionObserver((entries) => this.#sight(entries), { rootMargin: "150px" });
    this.#resized = new ResizeObserver((entries) => this.#resize(entries));
  }

  /** Schedule a module to be painted, because it has changed. */
  touch(name) {
    this.#dirty.add(name);
    this.#schedule();
  }

  /** Once per second: repaint ages and time axes, sort the cards, and filter again, since presence may have changed. */
  tick() {
    if (this.#frozen !== null) return;
    const now = this.#clock();
    this.#widen(now);
    for (const card of this.#cards.values()) if (card.visible) this.#dirty.add(card.name);
    this.#arrange();
    this.refilter();
    this.#schedule();
  }

  filter(text, presence) {
    this.#filter = { words: text.toLowerCase().split(/\s+/u).filter(Boolean), presence };
    this.refilter();
  }

  refilter() {
    this.shown = 0;
    for (const [name, card] of this.#cards) {
      const shown = this.#matches(this.#fleet.modules.get(name));
      if (card.element.hidden === shown) card.element.hidden = !shown;
      this.shown += shown;
    }
  }

  /** Stop painting until `thaw`. Messages that arrive meanwhile are kept, and shown then. */
  freeze() {
    for (const card of this.#cards.values()) card.paint(this.#view());
    this.#frozen = this.#clock();
  }

  thaw() {
    this.#frozen = null;
    for (const name of this.#cards.keys()) this.#dirty.add(name);
    this.tick();
  }

  recolour() {
    this.#ink = readInk(this.#list);
    for (const card of this.#cards.values()) if (card.visible) card.trace(this.#view());
  }

  // ---- painting

  #schedule() {
    if (!this.#frame && this.#frozen === null) this.#frame = requestAnimationFrame((time) => this.#paint(time));
  }

  #view() {
    const to = this.#frozen ?? this.#clock();
    return { from: to - this.span, to, gaps: this.#fleet.gaps, thinned: this.#fleet.thinned, ink: this.#ink };
  }

  #paint(time) {
    this.#frame = 0;
    if (this.#frozen !== null) return;
    this.#addCards();
    const view = this.#view();
    const end = performance.now() + BUDGET_MS;
    for (const name of this.#dirty) {
      const card = this.#cards.get(name);
      if (!card.visible) this.#dirty.delete(name);
      if (!card.visible || card.due > time) continue;
      card.paint(view);
      card.due = time + REPAINT_MS;
      this.#dirty.delete(name);
      if (performance.now() > end) break;
    }
    if (this.#dirty.size) this.#schedule();
  }

  #addCards() {
    for (const name of this.#dirty) {
      if (this.#cards.has(name)) continue;
      const card = new Card(this.#fleet.modules.get(name), this.#resized);
      this.#cards.set(name, card);
      this.#byElement.set(card.element, card);
      card.rank = this.#fleet.modules.get(name).rank;
      const at = this.#place(card);
      this.#list.insertBefore(card.element, this.#order[at]?.element ?? null);
      this.#order.splice(at, 0, card);
      card.element.hidden = !this.#matches(this.#fleet.modules.get(name));
      this.#seen.observe(card.element);
    }
  }

  /** Sort the cards, unless one of them has the focus. */
  #arrange() {
    for (const card of this.#order) card.rank = this.#fleet.modules.get(card.name).rank;
    const order = [...this.#order].sort(inOrder);
    if (order.every((card, at) => card === this.#order[at]) || this.#list.querySelector(":focus")) return;
    let next = null;
    for (const { element } of order.toReversed()) {
      if (element.nextElementSibling !== next) this.#list.insertBefore(element, next);
      next = element;
    }
    this.#order = order;
  }

  #place(card) {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (inOrder(this.#order[middle], card) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // ---- visibility

  #sight(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.#byElement.get(target);
      card.visible = isIntersecting;
      if (isIntersecting && this.#frozen === null) this.touch(card.name);
      else if (isIntersecting) card.trace(this.#view());
    }
  }

  #resize(entries) {
    const scale = Math.max(1, devicePixelRatio);
    for (const { target, contentRect } of entries) {
      target.dataset.scale = String(scale);
      target.width = Math.round(contentRect.width * scale);
      target.height = Math.round(contentRect.height * scale);
      const card = this.#byElement.get(target.closest(".module"));
      if (card?.visible) card.trace(this.#view());
    }
  }

  #matches(module) {
    const { words, presence } = this.#filter;
    if (presence !== "all" && module.presence !== presence) return false;
    if (!words.length) return true;
    const sensors = [...module.sensors.values()].map(({ type }) => `${type} ${describe(type).label}`);
    const text = `${module.name} ${sensors.join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }

  /** Widen the time window to the oldest sample of the visible cards. It never shrinks. */
  #widen(now) {
    for (const card of this.#cards.values()) {
      if (this.span === SPAN_MS) return;
      if (card.visible) this.span = Math.max(this.span, SPANS.find((span) => span >= now - card.oldest(now - SPAN_MS)) ?? 0);
    }
  }
}
