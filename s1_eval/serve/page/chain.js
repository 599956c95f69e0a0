// One chain of thought: its text with forced tokens marked and mathematics set, its budget bar, search
// in it, and steps from one forced token to the next.
import { h, number, say } from "./dom.js";
import { findMaths, whenSeen } from "./maths.js";

const CHUNK = 1500; // characters that are laid out together, and only near the screen

// segments: [{role, origin, text, tokens}]. skip: characters at the begin that are shown elsewhere.
export class Chain {
  constructor(segments, name, skip = 0) {
    this.segments = place(segments);
    this.text = this.segments.map(({ text }) => text).join("");
    this.forced = this.segments.filter((each) => each.origin === "forced" && each.text && each.end > skip);
    this.maths = findMaths(this.text).filter((found) => this.segments.some((each) => each.start <= found.start && found.end <= each.end));
    this.hits = [];
    this.at = -1; // of forced tokens
    this.hit = -1;
    this.chunks = cut(this.text, this.maths, skip).map(([start, end]) => ({ start, end, element: h("div", { class: "chunk" }) }));
    this.element = h("div", { class: "chain", tabindex: 0, role: "region", "aria-label": name }, this.chunks.map((chunk) => chunk.element));
    this.chunks.forEach((chunk) => this.draw(chunk));
    const near = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
      target.chunk.near = isIntersecting;
      if (isIntersecting && target.chunk.stale) this.draw(target.chunk);
    }));
    for (const chunk of this.chunks) near.observe(Object.assign(chunk.element, { chunk }));
  }

  draw(chunk) {
    const inside = ({ start, end }) => end > chunk.start && start < chunk.end;
    const parts = this.segments.filter(inside).map((segment) => {
      const start = Math.max(segment.start, chunk.start), end = Math.min(segment.end, chunk.end);
      const children = this.pieces(start, end);
      return segment.origin === "forced"
        ? h("mark", { class: segment.role, "data-at": segment.start }, children)
        : h("span", { class: segment.role }, children);
    });
    chunk.element.replaceChildren(...parts);
    chunk.stale = false;
    chunk.element.style.containIntrinsicSize = `auto ${Math.ceil((chunk.end - chunk.start) / 70) * 1.6}em`;
    whenSeen(chunk.element);
  }

  // The text from start to end, with its hits marked; a formula that a hit lies in stays as written.
  pieces(start, end) {
    const found = [];
    let at = start;
    const upTo = (to) => { if (to > at) found.push(this.text.slice(at, to)); at = Math.max(at, to); };
    const hits = this.hits.filter((hit) => hit.end > start && hit.start < end);
    const free = this.maths.filter((each) => each.start >= start && each.end <= end && !hits.some((hit) => hit.end > each.start && hit.start < each.end));
    for (const each of [...hits, ...free].sort((a, b) => a.start - b.start)) {
      const from = Math.max(each.start, at), to = Math.min(each.end, end);
      if (to <= from) continue;
      upTo(from);
      const shown = h("span", { class: each.source === undefined ? "hit" : "maths", "data-hit": each.source === undefined ? each.start : null }, this.text.slice(from, to));
      shown.formula = each;
      found.push(shown);
      at = to;
    }
    upTo(end);
    return found;
  }

  // How often a text is found, whatever its case.
  search(text) {
    const before = new Set(this.hits.map((hit) => this.chunkAt(hit.start)));
    const pattern = text && new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu");
    this.hits = [];
    this.hit = -1;
    const from = this.chunks[0]?.start ?? 0;
    for (const found of text ? this.text.matchAll(pattern) : []) {
      if (found.index >= from) this.hits.push({ start: found.index, end: found.index + found[0].length });
      if (this.hits.length === 2000) break; // more are no help, and slow
    }
    const now = new Set(this.hits.map((hit) => this.chunkAt(hit.start)));
    for (const chunk of new Set([...before, ...now])) chunk.near ? this.draw(chunk) : (chunk.stale = true);
    return this.hits.length;
  }

  chunkAt(at) {
    return this.chunks.findLast((chunk) => chunk.start <= at) ?? this.chunks[0];
  }

  nextHit(by = 1) {
    if (!this.hits.length) return;
    this.hit = (this.hit + by + this.hits.length) % this.hits.length;
    const { start } = this.hits[this.hit], chunk = this.chunkAt(start);
    if (chunk.stale) this.draw(chunk);
    this.show(`[data-hit="${start}"]`);
    say(`found ${this.hit + 1} of ${this.hits.length}`);
  }

  nextForced(by = 1) {
    if (!this.forced.length) return say("nothing is forced in this chain");
    this.at = Math.min(Math.max(this.at + by, 0), this.forced.length - 1);
    this.show(`[data-at="${this.forced[this.at].start}"]`);
    say(`forced ${this.at + 1} of ${this.forced.length}: ${this.forced[this.at].text}`);
  }

  show(selector) {
    for (const each of this.element.querySelectorAll(".here")) each.classList.remove("here");
    const found = this.element.querySelector(selector);
    found?.classList.add("here");
    found?.scrollIntoView({ block: "center" });
  }
}

function place(segments) {
  let at = 0;
  return segments.map((segment) => ({ ...segment, start: at, end: (at += segment.text.length) }));
}

// [start, end] of parts that begin lines where lines allow it, and never part a formula.
function cut(text, maths, skip) {
  const found = [];
  let start = skip, formula = 0;
  while (start < text.length) {
    let end = start + CHUNK >= text.length ? text.length : text.indexOf("\n", start + CHUNK) + 1;
    if (end === 0 || end > start + 3 * CHUNK) end = Math.min(start + 3 * CHUNK, text.length);
    while (formula < maths.length && maths[formula].end <= end) formula++;
    if (formula < maths.length && maths[formula].start < end && maths[formula].start > start) end = maths[formula].start;
    if (isHalf(text, end)) end--;
    found.push([start, end]);
    start = end;
  }
  return found;
}

const isHalf = (text, at) => /[\uDC00-\uDFFF]/.test(text[at] ?? "") && /[\uD800-\uDBFF]/.test(text[at - 1] ?? "");

// Thinking against its budget: sampled tokens fill the bar, forced ones are marks in it. most: what the
// whole bar stands for where there is no budget.
export function bar(segments, budget, most, ended) {
  const size = (each) => each.tokens ?? each.text?.length ?? 0;
  const thinking = segments.filter((each) => each.role === "thinking");
  const used = thinking.reduce((sum, each) => sum + size(each), 0);
  const whole = Math.max(budget ?? most ?? used, used, 1);
  const waits = thinking.filter((each) => each.origin === "forced").length;
  const known = segments.every((each) => Number.isInteger(each.tokens));
  const unit = known ? "thinking tokens" : "characters of thinking";
  const said = `${number(used)}${budget ? ` of ${number(budget)}` : ""} ${unit}${waits ? `, ${waits} forced` : ""}${ended ? `, ended: ${ended}` : ""}`;
  const parts = thinking.map((each) => {
    const part = h("span", { class: each.origin === "forced" ? "wait" : "filled" });
    part.style.width = `${(100 * size(each)) / whole}%`;
    return part;
  });
  return h("div", { class: "budget" },
    h("div", { class: `bar${budget ? " capped" : ""}${ended === "budget" ? " full" : ""}`, role: "img", "aria-label": said }, parts),
    h("span", { class: budget && used > budget ? "bad" : "soft", "aria-hidden": "true" }, said));
}

// The characters that two texts begin with alike, up to the last whole line of them.
export function common(one, other) {
  const most = Math.min(one.length, other.length);
  let low = 0, high = most;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (one.slice(low, middle) === other.slice(low, middle)) low = middle;
    else high = middle - 1;
  }
  if (low === one.length && low === other.length) return low;
  return low ? one.lastIndexOf("\n", low - 1) + 1 : 0;
}
