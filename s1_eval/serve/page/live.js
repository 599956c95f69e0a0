// Questions while they are solved: chains as they grow, and a form that asks one by two methods.
import { Chain, bar } from "./chain.js";
import { h, inert, number, put, verdict } from "./dom.js";
import { tools, votes } from "./recorded.js";
import { tree } from "./tree.js";

const KEPT = 20; // questions on the page
const CHUNK = 1500; // characters that are laid out together

// One question: what was told of it, and how that looks.
class Question {
  static asked = 0;

  constructor(asked) {
    this.asked = asked;
    this.name = `question ${++Question.asked}`; // regions of two questions are told apart by it
    this.chains = [];
    this.steps = []; // what the verifier has scored: {parent, text, score, pruned, chains}
    this.shown = 0;
    this.picked = false;
    this.element = h("article", { class: "live", "aria-label": `${asked.method}: ${inert(asked.prompt).slice(0, 60)}` });
    const settings = Object.entries(asked.settings).filter(([, value]) => typeof value === "number" && value);
    this.state = h("span", { class: "soft" }, "thinking …");
    this.parts = { votes: h("div"), tree: h("div"), chains: h("div", { class: "chains" }), text: h("div") };
    this.element.append(
      h("h2", {}, asked.method, " ", this.state),
      h("p", { class: "counts" }, settings.map(([name, value]) => h("span", {}, `${name} `, h("strong", {}, String(value))))),
      h("div", { class: "question written", tabindex: 0, role: "region", "aria-label": "Question text" }, inert(asked.prompt)), ...Object.values(this.parts));
  }

  take(told) {
    const chain = this.chains[told.chain];
    if (told.event === "begun") {
      const from = told.parent === null ? null : this.chains[told.parent];
      const pieces = from ? from.pieces.filter((piece) => piece.at + piece.tokens <= told.at) : [];
      this.chains[told.chain] = {
        pieces, bar: merged(pieces), scored: from ? from.scored.filter(({ at }) => at <= told.at) : [], forked: Boolean(from), pruned: false,
      };
    } else if (told.event === "grown") {
      if (chain.pieces.at(-1)?.at >= told.at) {
        chain.pieces = chain.pieces.filter((piece) => piece.at < told.at);
        chain.bar = merged(chain.pieces);
        chain.again = true; // what is on the page is no more
      }
      const piece = { at: told.at, tokens: told.ids.length, role: told.role, origin: told.origin, text: inert(told.text) };
      if (piece.tokens) chain.pieces.push(piece) && merge(chain.bar, piece);
    } else if (told.event === "scored") this.score(chain, told);
    else if (told.event === "pruned") chain.pruned = true;
    else if (told.event === "answered") this.answered = told;
    else if (told.event === "failed") this.failed = inert(told.said);
  }

  score(chain, { at, scores }) {
    const before = chain.scored.at(-1);
    if (!scores.length || before?.at === at) return;
    const text = chain.pieces.filter((piece) => piece.at >= (before?.at ?? 0) && piece.role !== "delimiter").map((piece) => piece.text).join("").trim();
    this.steps.push({ parent: before?.step ?? null, text, score: scores.at(-1), pruned: false, chains: [] });
    chain.scored.push({ at, step: this.steps.length - 1 });
  }

  // Chains that may be shown; without a choice the one that goes on.
  draw() {
    if (this.failed) this.state.replaceChildren(h("span", { class: "bad" }, `failed: ${this.failed}`));
    if (this.answered && !this.ended) return this.end();
    if (this.ended) return;
    if (!this.picked) this.shown = Math.max(this.chains.findIndex((each) => !each.pruned), 0);
    const most = Math.max(...this.chains.map((each) => thinking(each.bar)), 1);
    this.parts.chains.replaceChildren(...this.chains.map((each, i) => this.row(i, bar(each.bar, this.asked.budget, most, each.pruned ? "given up" : null), each.pruned)));
    if (this.chains.some((each) => each.forked)) this.drawTree();
    this.write(this.chains[this.shown]);
  }

  row(i, shown, pruned) {
    return h("div", { class: `chain-row${pruned ? " pruned" : ""}` },
      this.chains.length > 1 && h("button", { type: "button", "aria-pressed": String(i === this.shown), "aria-label": `Chain ${i + 1}`, onclick: () => this.pick(i) }, String(i + 1)), shown);
  }

  pick(i) {
    this.shown = i;
    this.picked = true;
    this.text = null;
    if (this.ended) this.end();
    else this.draw();
  }

  drawTree() {
    if (this.parts.tree.contains(document.activeElement)) return; // somebody reads it
    for (const step of this.steps) [step.pruned, step.chains] = [true, []];
    this.chains.forEach((each, i) => {
      if (each.scored.length) this.steps[each.scored.at(-1).step].chains.push(i);
      if (!each.pruned) for (const { step } of each.scored) this.steps[step].pruned = false;
    });
    this.parts.tree.replaceChildren(tree(this.steps, (i) => this.pick(i)));
  }

  // Text at the end of what is there, in parts that are laid out where they are seen.
  write(chain) {
    if (!chain) return;
    if (!this.text || chain.again || this.text.chain !== chain) {
      chain.again = false;
      this.text = { chain, done: 0, size: 0, box: h("div", { class: "chain growing", tabindex: 0, role: "region", "aria-label": `Chain ${this.shown + 1} of ${this.name}` }) };
      this.parts.text.replaceChildren(this.text.box);
    }
    const { box } = this.text;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    for (; this.text.done < chain.pieces.length; this.text.done++) {
      const { role, origin, text } = chain.pieces[this.text.done];
      const last = box.lastElementChild;
      const line = this.text.size > CHUNK ? text.indexOf("\n") : -1;
      if (line >= 0) append(last, role, origin, text.slice(0, line + 1));
      const next = !last || line >= 0 || this.text.size > 3 * CHUNK;
      append(next ? box.appendChild(h("div", { class: "chunk" })) : last, role, origin, text.slice(line + 1));
      this.text.size = (next ? 0 : this.text.size) + text.length;
    }
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  // What the record says holds, whatever was told before.
  end() {
    const { record, winner } = this.answered;
    if (!this.ended && !this.picked) this.shown = winner ?? this.answered.chosen[0] ?? 0;
    this.ended = true;
    const traces = record.traces.map((trace) => trace.segments.map((each) => ({ role: each.role, origin: each.origin, text: inert(each.text), tokens: each.ids.length })));
    const trace = record.traces[this.shown], exit = trace?.exit_reason ?? record.exit_reason;
    this.state.replaceChildren(`${short(this.answered.answer) || "no answer"} `, record.correct === null ? "" : verdict(record.correct ? "right" : record.answered ? "wrong" : "no answer"),
      ` ${number(record.thinking_tokens)} thinking tokens, ${number(record.generated_tokens)} generated, thinking ended: ${exit}`);
    const groups = grouped(record, winner);
    this.parts.votes.replaceChildren(groups.length ? votes(groups, (i) => this.pick(i), this.shown) : "");
    const most = Math.max(...traces.map(thinking), 1);
    this.parts.chains.replaceChildren(...traces.map((each, i) => this.row(i, bar(each, this.asked.budget, most, record.traces[i].exit_reason), record.traces[i].exit_reason === "pruned")));
    const place = this.answered.chains; // of each trace, the chain that was told of
    if (this.steps.length && this.chains.some((each) => each.forked)) {
      this.drawTree();
      this.parts.tree.replaceChildren(tree(this.steps.map((step) => ({ ...step, chains: step.chains.map((i) => place.indexOf(i)).filter((i) => i >= 0) })), (i) => this.pick(i)));
    }
    const chain = new Chain(traces[this.shown] ?? [], `Chain ${this.shown + 1} of ${this.name}`);
    this.parts.text.replaceChildren(tools(chain, {}), chain.element);
  }
}

const thinking = (pieces) => pieces.reduce((sum, each) => sum + (each.role === "thinking" ? each.tokens : 0), 0);

// Pieces as the parts of a bar.
function merged(pieces) {
  const parts = [];
  for (const piece of pieces) merge(parts, piece);
  return parts;
}

function merge(parts, { role, origin, tokens }) {
  const last = parts.at(-1);
  if (last?.role === role && last.origin === origin) last.tokens += tokens;
  else parts.push({ role, origin, tokens });
}

function append(part, role, origin, text) {
  const last = part.lastElementChild;
  if (!text) return;
  if (last?.dataset.origin === origin && last.className === role) last.firstChild.appendData(text);
  else part.append(h(origin === "forced" ? "mark" : "span", { class: role, "data-origin": origin }, text));
}

// A long answer by the last that it puts into a box, else by its end.
function short(answer) {
  const text = inert(answer).trim(), box = text.lastIndexOf("\\boxed{");
  return text.length <= 120 ? text : box >= 0 ? text.slice(box).slice(0, 120) : `… ${text.slice(-120)}`;
}

function grouped(record, winner) {
  const groups = new Map();
  (record.sample_groups ?? []).forEach((group, i) => {
    if (!groups.has(group)) groups.set(group, { group: group < 0 ? null : group, answer: short(record.sample_answers[i]), chains: [], right: record.sample_correct?.[i] ?? null, won: false, score: null });
    const vote = groups.get(group);
    vote.chains.push(i);
    vote.won ||= i === winner;
    if (record.sample_scores) vote.score = (vote.score ?? 0) + record.sample_scores[i];
  });
  return [...groups.values()].sort((a, b) => b.chains.length - a.chains.length);
}

// What the server tells, one event after the other, until `signal` ends it.
async function watch(take, ready, key, signal) {
  const response = await fetch("events", { signal, headers: key ? { authorization: `Bearer ${key}` } : {} });
  if (!response.ok) throw Object.assign(new Error(response.status === 401 ? "this server asks for an API key" : `the server answered ${response.status}`), { refused: true });
  ready(); // nothing that is asked from here on is missed
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server has ended the stream");
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) if (block.startsWith("data: ")) take(JSON.parse(block.slice(6)));
  }
}

export async function live(main, parts, query, keys, { about, signal }) {
  const { model, methods } = about.live;
  const questions = new Map(), dirty = new Set();
  const sides = [h("div", { class: "column" }), h("div", { class: "column" })];
  const others = h("div", { class: "others" });
  const said = h("p", { role: "alert", class: "bad", hidden: true });
  const trouble = (text) => { said.hidden = !text; said.textContent = text; };
  let mine = [];
  let watching = null;

  const take = (told) => {
    let question = questions.get(told.question);
    if (told.event === "asked") {
      const before = question; // told once more, after the stream was cut
      question = new Question(told);
      questions.set(told.question, question);
      const side = mine.findIndex((id) => told.question.startsWith(`${id}-`));
      if (before) before.element.replaceWith(question.element);
      else if (side >= 0) sides[side].replaceChildren(question.element);
      else others.prepend(question.element);
      const old = [...questions.entries()].filter(([, each]) => others.contains(each.element)).slice(0, -KEPT);
      for (const [, each] of old) each.element.remove();
      for (const [id, each] of questions) if (!each.element.isConnected) questions.delete(id);
    } else question?.take(told);
    if (question) dirty.add(question);
    if (dirty.size === 1) setTimeout(() => requestAnimationFrame(draw), 60);
  };
  const draw = () => {
    for (const question of dirty) question.draw();
    dirty.clear();
  };
  const connect = (key) => watching ??= new Promise((ready, failed) => {
    watch(take, ready, key, signal).catch((error) => {
      watching = null;
      failed(error);
      if (signal.aborted) return;
      trouble(error.refused ? error.message : `${error.message}: trying again`);
      if (!error.refused) setTimeout(() => signal.aborted || connect(key).then(() => trouble(""), () => {}), 2000);
    });
  });

  const needs = (name) => methods[name].map((setting) => `${setting}=4`).join(" ");
  const names = Object.keys(methods);
  const side = (title, i, first) => {
    const settings = h("input", { name: `settings${i}`, placeholder: "num_ignores=2 max_thinking_tokens=256", value: needs(first) });
    return h("fieldset", {}, h("legend", {}, title),
      h("label", {}, "Method", h("select", { name: `method${i}`, onchange: (event) => { settings.value = needs(event.target.value); } }, names.map((name) => h("option", { selected: name === first }, name)))),
      h("label", {}, "Settings", settings));
  };
  const form = h("form", { class: "ask", onsubmit: (event) => { event.preventDefault(); ask(form.elements); } },
    h("label", { class: "wide" }, "Question", h("textarea", { name: "question", rows: 4, required: true })),
    side("Left", 0, names.includes("plain") ? "plain" : names[0]), side("Right", 1, names.includes("budget_forcing") ? "budget_forcing" : names.at(-1)),
    h("div", { class: "filters" },
      h("label", {}, "Temperature", h("input", { name: "temperature", type: "number", min: 0, max: 2, step: "any", placeholder: "the server's" })),
      h("label", {}, "Right answer, if you know it", h("input", { name: "target" })),
      h("label", {}, "API key, if it asks for one", h("input", { name: "key", type: "password", autocomplete: "off" })),
      h("button", { type: "submit" }, "Ask both")));

  async function ask(fields) {
    trouble("");
    const key = fields.key.value;
    try {
      const bodies = [0, 1].map((i) => body(fields, i));
      await connect(key);
      mine = bodies.map(({ s1_eval: { sample_id } }) => sample_id);
      await Promise.all(bodies.map((each, i) => post(each, key).catch((error) => { sides[i].replaceChildren(h("p", { class: "bad" }, `${each.model}: ${error.message}`)); })));
    } catch (error) {
      trouble(error.message);
    }
  }

  function body(fields, i) {
    const settings = {};
    for (const pair of fields[`settings${i}`].value.split(/\s+/).filter(Boolean)) {
      const [, name, value] = pair.match(/^(\w+)=(.*)$/) ?? [];
      if (!name) throw new Error(`${pair}: write settings as NAME=VALUE, with blanks between them`);
      settings[name] = plain(value);
    }
    const id = `page-${crypto.getRandomValues(new Uint32Array(2)).join("")}-${i}`;
    const target = fields.target.value;
    return {
      model: `${model}:${fields[`method${i}`].value}`,
      messages: [{ role: "user", content: fields.question.value }],
      ...(fields.temperature.value ? { temperature: Number(fields.temperature.value) } : {}),
      s1_eval: { ...settings, sample_id: id, ...(target ? { target } : {}) },
    };
  }

  put(main, h("h1", {}, `Watch ${model} think`), form, said, h("div", { class: "beside mine" }, sides), h("h2", {}, "What others ask"), others);
  connect().catch(() => {}); // said already
  return "Live";
}

function plain(value) {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

async function post(body, key) {
  const response = await fetch("v1/chat/completions", {
    method: "POST", body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}) },
  });
  if (response.ok) return;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error?.message ?? `the server answered ${response.status}`);
}
