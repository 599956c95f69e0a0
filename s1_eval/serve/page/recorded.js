// Recorded runs: the list of runs, a run's questions, a question with its chains.
import { Chain, bar, common } from "./chain.js";
import { get, h, link, number, put, verdict } from "./dom.js";
import { whenSeen, findMaths } from "./maths.js";
import { tree } from "./tree.js";

const epochOf = (row) => (row.epoch > 1 ? `, epoch ${row.epoch}` : "");
const rowLink = (run, row, query) => link(["run", run.id, row.sample_id, row.epoch], query);

export async function runs(main) {
  const found = await get("runs");
  put(main, h("h1", {}, "Recorded runs"), table(
    ["Run", "Rows", "Right", "Wrong", "No answer", "Mean thinking tokens"],
    found.map((run) => [
      [h("a", { href: link(["run", run.id]) }, run.label), h("span", { class: "span" }, `${run.model} on ${run.task}`)],
      run.planned && run.rows < run.planned ? `${number(run.rows)} of ${number(run.planned)}` : number(run.rows),
      ...["right", "wrong", "no answer"].map((name) => number(run.verdicts[name] ?? 0)),
      tenth(run.thinking_tokens),
    ]), 1));
  return "Recorded runs";
}

export async function run(main, [id], query) {
  const from = Number(query.from) || 0;
  const { run, total, rows } = await get(`runs/${id}/rows`, { ...query, from });
  const go = (changed) => { location.hash = link(["run", id], { ...query, from: null, ...changed }); };
  const pick = h("select", { name: "only", onchange: (event) => go({ only: event.target.value }) },
    ["", "right", "wrong", "no answer", "not graded"].map((name) => h("option", { value: name, selected: name === (query.only ?? "") }, name ? `${name} (${number(run.verdicts[name] ?? 0)})` : `all (${number(run.rows)})`)));
  const unfinished = run.planned && run.rows < run.planned;
  put(main, 
    h("h1", {}, run.label),
    h("p", { class: "soft" }, `${run.model} on ${run.task}, ${run.harness}, run ${run.id}. ${number(run.rows)}${run.planned ? ` of ${number(run.planned)}` : ""} rows${unfinished ? ": the run is not finished" : ""}.`),
    curves(run),
    h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); go({ find: event.target.elements.find.value }); } },
      h("label", {}, "Verdict", pick),
      h("label", {}, "Id, target or answer", h("input", { name: "find", type: "search", value: query.find ?? "" })),
      h("button", { type: "submit" }, "Find")),
    total ? table(["Question", "Verdict", "Target", "Answer", "Thinking tokens", "Thinking ended"], rows.map((row) => [
      h("a", { href: rowLink(run, row, { only: query.only }) }, row.name || "(no id)", epochOf(row)), verdict(row.verdict), row.target, row.answer || "–", number(row.thinking_tokens), row.exit_reason]), 4)
      : h("p", {}, "No row is like that."),
    pager(total, from, rows.length, (at) => link(["run", id], { ...query, from: at })));
  return run.label;
}

function pager(total, from, shown, to) {
  if (shown === total) return null;
  return h("nav", { class: "pager", "aria-label": "Parts of the list" },
    from > 0 && h("a", { href: to(Math.max(0, from - 500)) }, "← before"),
    h("span", {}, `${number(from + 1)} to ${number(from + shown)} of ${number(total)}`),
    from + shown < total && h("a", { href: to(from + shown) }, "behind →"));
}

// pass@k, maj@k and the advice, which take the numbers of all rows: asked for when opened.
function curves(run) {
  const part = (name, path, show) => {
    const inside = h("div", {});
    return h("details", { ontoggle: async () => {
      if (inside.childElementCount) return;
      inside.replaceChildren(h("p", { class: "soft" }, "Reading all rows …"));
      inside.replaceChildren(await get(`runs/${run.id}/${path}`).then(show, (error) => h("p", {}, error.message)));
    } }, h("summary", {}, name), inside);
  };
  return h("div", {}, part("At k: pass@k, maj@k, best-of-k", "at-k", atK), part("Advice: which budget a question deserves", "advice", advice));
}

const tenth = (value) => number(value, 1, 1);
const estimate = ({ value, low, high, note }) => value === null ? `– ${note ?? ""}`
  : [tenth(value), low !== null && h("span", { class: "span" }, `[${tenth(low)}, ${tenth(high)}]`)];

function atK(found) {
  const names = Object.keys(found.at[0].metrics);
  return h("div", {}, h("p", { class: "soft" }, `${found.questions} questions, ${found.samples} samples each; percent, 95% intervals over questions.${found.missing ? ` ${found.missing} rows are missing.` : ""}`),
    table(["k", ...names, "Generated tokens"], found.at.map((at) => [String(at.k), ...names.map((name) => estimate(at.metrics[name])), number(at.generated_tokens)]), 1));
}

function advice(found) {
  return h("div", {}, found.map((each) => h("section", {}, h("h2", {}, `${each.varied}${each.held ? `, ${each.held}` : ""}: ${each.questions} questions`),
    h("ul", {}, each.said.map((said) => h("li", {}, said))),
    table(["Policy", "Accuracy %", each.at], each.curves.flatMap((curve) => curve.spots.map((spot) => [spot.name ? `${curve.policy}: ${spot.name}` : curve.policy, estimate(spot.accuracy), estimate(spot.cost)])), 1),
    each.notes.map((note) => h("p", { class: "soft" }, note)))));
}

// A question with its chains; query: chain, with (run:epoch), with_chain, only.
export async function question(main, [id, sample, epoch = "1"], query, keys) {
  const { only } = query;
  const row = await get(`runs/${id}/row`, { sample, epoch, only });
  const go = (changed) => { location.hash = link(["run", id, sample, epoch], { ...query, ...changed }); };
  const open = (chain) => go({ chain });
  const step = (to, text, key) => to
    ? h("a", { href: rowLink(row.run, to, { only, with: query.with?.replace(/:\d+$/, ":1") }), title: `key ${key}`, rel: key === "j" ? "next" : "prev" }, text)
    : h("span", { class: "soft" }, text);
  put(main, 
    h("nav", { class: "steps", "aria-label": "Questions" },
      h("a", { href: link(["run", id], { only }) }, row.run.label),
      step(row.previous, "← previous", "k"), step(row.next, "next →", "j")),
    h("h1", {}, row.name || "(no id)", epochOf(row), only && h("span", { class: "soft" }, ` among ${only}`)),
    asked(row));
  keys.j = () => row.next && (location.hash = rowLink(row.run, row.next, { only, with: query.with }));
  keys.k = () => row.previous && (location.hash = rowLink(row.run, row.previous, { only, with: query.with }));

  const others = row.others.filter((each) => each.run.id !== id || each.epoch !== row.epoch);
  const beside = others.find((each) => `${each.run.id}:${each.epoch}` === query.with);
  if (others.length) {
    put(main, h("form", { class: "filters" }, h("label", {}, "Side by side with",
      h("select", { name: "with", onchange: (event) => go({ with: event.target.value, with_chain: null }) },
        h("option", { value: "" }, "nothing"),
        others.map((each) => h("option", { value: `${each.run.id}:${each.epoch}`, selected: each === beside }, `${each.run.label}${epochOf(each)} (${each.verdict})`))))));
  }
  const columns = [column(row, Number(query.chain ?? row.shown), open)];
  if (beside) {
    const other = await get(`runs/${beside.run.id}/row`, { sample, epoch: beside.epoch });
    columns.push(column(other, Number(query.with_chain ?? other.shown), (chain) => go({ with_chain: chain })));
  }
  await show(main, columns, keys);
  return `${row.name} · ${row.run.label}`;
}

function asked(row) {
  const text = row.question !== null ? h("div", { class: "question", tabindex: 0, role: "region", "aria-label": "Question text" }, ...written(row.question))
    : h("p", { class: "soft" }, row.secret
      ? "The authors of this benchmark ask that no question is ever published, so records do not hold it. Where S1_EVAL_DATA names a folder with its data, it is shown from there."
      : "The record does not hold the question, and the data of its benchmark is not at hand: S1_EVAL_DATA names a folder that has it.");
  return h("section", { class: "asked", "aria-label": "Question" }, text,
    h("dl", { class: "facts" },
      h("dt", {}, "Target"), h("dd", {}, h("strong", {}, ...written(row.target))),
      h("dt", {}, "Answer"), h("dd", {}, h("strong", {}, ...(row.answer ? written(row.answer) : ["none"])), " ", verdict(row.verdict), row.rule && h("span", { class: "soft" }, ` ${row.rule}`))));
}

// Text with its mathematics set.
function written(text) {
  const found = [];
  let at = 0;
  for (const formula of findMaths(text)) {
    const shown = h("span", { class: "maths" }, text.slice(formula.start, formula.end));
    shown.formula = formula;
    found.push(text.slice(at, formula.start), shown);
    at = formula.end;
  }
  const whole = h("span", { class: "written" }, found, text.slice(at));
  whenSeen(whole);
  return [whole];
}

// What stands above a chain: its row's facts, votes and tree. open: shows another chain.
function column(row, number, open) {
  return { row, number: Math.min(Math.max(number, 0), Math.max(row.chains.length - 1, 0)) || 0, open };
}

async function show(main, columns, keys) {
  const texts = await Promise.all(columns.map(({ row, number: chain }) => row.withheld || !row.chains.length
    ? [] : get(`runs/${row.run.id}/chain`, { sample: row.sample_id, epoch: row.epoch, chain })));
  const whole = texts.map((segments) => segments.map((each) => each.text).join(""));
  const alike = columns.length === 2 ? common(...whole) : 0;
  const skip = alike > 80 ? alike : 0;
  const chains = texts.map((segments, i) => new Chain(segments, `Chain ${columns[i].number + 1}, ${columns[i].row.run.label}`, skip));
  const most = Math.max(...columns.flatMap(({ row }) => row.chains.map(({ segments }) => segments.filter(({ role }) => role === "thinking").reduce((sum, { tokens }) => sum + (tokens ?? 0), 0))), 0);
  if (skip) {
    const folded = h("details", { class: "folded" }, h("summary", {}, `The first ${number(skip)} characters of both are the same`));
    folded.addEventListener("toggle", () => folded.childElementCount > 1 || folded.append(new Chain(firstOf(texts[0], skip), "What both begin with").element));
    put(main, folded);
  }
  put(main, h("div", { class: columns.length > 1 ? "beside" : "" }, columns.map((each, i) => h("section", { class: "column", "aria-label": each.row.run.label }, head(each, most, columns.length > 1), chains[i].text
    ? [tools(chains[i], i ? {} : keys), chains[i].element]
    : h("p", { class: "soft" }, each.row.withheld ? "Texts of this run are shown on the machine itself alone: they repeat its questions." : "The log holds no text of this row.")))));
}

function firstOf(segments, length) {
  let left = length;
  return segments.map((each) => {
    const text = each.text.slice(0, Math.max(left, 0));
    left -= each.text.length;
    return { ...each, text };
  }).filter(({ text }) => text);
}

function head({ row, number: chain, open }, most, named) {
  const shown = row.chains[chain];
  const parts = [
    ["Thinking ended", shown?.exit_reason ?? row.exit_reason], ["Answer ended", shown?.answer_exit ?? row.answer_exit],
    ["Thinking tokens", row.thinking_tokens], ["Forced", row.forced_tokens], ["Generated", row.generated_tokens],
    ["Read by the verifier", row.verifier_tokens || null], ["Ends ignored", row.num_ignores_used || null], ["Error", row.error], ["Limit", row.limit],
  ].filter(([, value]) => value !== null && value !== undefined);
  const several = row.chains.length > 1;
  return [
    named && h("h2", {}, row.run.label, " ", verdict(row.verdict)),
    h("p", { class: "counts" }, parts.map(([name, value]) => h("span", {}, `${name} `, h("strong", {}, typeof value === "number" ? number(value) : value)))),
    row.votes.length > 0 && votes(row.votes, open, chain),
    row.tree && h("details", { class: "search", open: true }, h("summary", {}, "The search"), row.tree.length ? tree(row.tree, open) : h("p", { class: "soft" }, "It has too many steps for a picture: read its chains.")),
    several && h("form", { class: "filters" }, h("label", {}, "Chain",
      h("select", { name: "chain", onchange: (event) => open(event.target.value) }, row.chains.map((each, i) => h("option", { value: i, selected: i === chain }, described(each, i)))))),
    shown && bar(shown.segments, row.budget, most, shown.exit_reason),
  ];
}

function described(chain, i) {
  const answer = chain.answer ? `: ${chain.answer.slice(0, 40)}` : "";
  return `${i + 1}${answer}${chain.right === true ? " ✓" : ""}${chain.score === null ? "" : ` (${number(chain.score, 3)})`}${chain.exit_reason === "pruned" ? " given up" : ""}`;
}

export function votes(groups, open, shown) {
  const all = groups.reduce((sum, { chains }) => sum + chains.length, 0);
  return h("div", { class: "votes" }, h("h2", {}, "Votes"), h("ul", {}, groups.map((vote) => h("li", { class: vote.won ? "won" : "" },
    h("span", { class: "answer" }, vote.group === null ? "can't be read" : vote.answer, " ", vote.right === null ? null : verdict(vote.right ? "right" : "wrong"), vote.won && h("span", { class: "soft" }, " chosen")),
    h("meter", { min: 0, max: all, value: vote.chains.length, "aria-label": `${vote.chains.length} of ${all} chains` }),
    h("span", {}, `${vote.chains.length} of ${all}${vote.score === null ? "" : `, score ${number(vote.score, 3)}`}`),
    h("span", { class: "of" }, vote.chains.map((chain) => h("button", { type: "button", "aria-pressed": String(chain === shown), onclick: () => open(chain) }, String(chain + 1))))))));
}

// Search in a chain, and the way from one forced token to the next.
export function tools(chain, keys) {
  const count = h("span", { class: "soft" });
  const field = h("input", { type: "search", "aria-label": "Search in the chain", placeholder: "Search", oninput: () => {
    const found = chain.search(field.value);
    count.textContent = field.value ? `${number(found)} found` : "";
    if (found) chain.nextHit();
  }, onkeydown: (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    chain.nextHit(event.shiftKey ? -1 : 1);
  } });
  Object.assign(keys, { n: () => chain.nextForced(), p: () => chain.nextForced(-1), "/": () => field.focus() });
  return h("div", { class: "tools" },
    h("button", { type: "button", title: "key p", onclick: () => chain.nextForced(-1), disabled: !chain.forced.length }, "← forced"),
    h("button", { type: "button", title: "key n", onclick: () => chain.nextForced(), disabled: !chain.forced.length }, "next forced →"),
    h("span", { class: "soft" }, `${number(chain.forced.length)} forced`), field, count);
}

function table(headings, rows, texts) {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": { k: "At k", Policy: "Policies" }[headings[0]] ?? `${headings[0]}s` },
    h("table", {}, h("thead", {}, h("tr", {}, headings.map((name, i) => h("th", { scope: "col", class: i < texts ? "text" : "" }, name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => i ? h("td", { class: i < texts ? "text" : "" }, cell) : h("th", { scope: "row", class: "text" }, cell)))))));
}
