// A search as a tree, from left to right: a step is a dot, the fuller its ring the better its score;
// what was given up is grey.
import { h, number, svg } from "./dom.js";

const ACROSS = 46, DOWN = 34, EDGE = 20, ROUND = 2 * Math.PI * 7;

// nodes: [{parent, text, score, pruned, chains}], each behind its parent. open: called with a chain.
export function tree(nodes, open, name = "The search, step by step") {
  const { depth, row, rows } = lay(nodes);
  const place = (i) => [EDGE + (depth[i] + 1) * ACROSS, EDGE + row[i] * DOWN];
  const detail = h("div", { class: "step", "aria-live": "polite" }, h("span", { class: "soft" }, "Choose a step to read it; arrow keys go along a branch."));
  const dots = nodes.map((node, i) => {
    const [x, y] = place(i);
    const score = node.score === null || node.score === undefined ? null : Math.min(Math.max(node.score, 0), 1);
    const said = `step ${depth[i] + 1}${score === null ? "" : `, score ${number(node.score, 3)}`}${node.pruned ? ", given up" : ""}${node.chains.length ? `, end of chain ${node.chains.map((c) => c + 1).join(", ")}` : ""}`;
    return svg("g", { class: `dot${node.pruned ? " pruned" : ""}${node.chains.length ? " end" : ""}`, transform: `translate(${x} ${y})`, tabindex: i ? -1 : 0, role: "button", "aria-label": said, onclick: () => choose(i), onfocus: () => read(i) },
      svg("title", {}, said),
      svg("circle", { r: 7, class: "ring" }),
      score === null ? null : svg("circle", { r: 7, class: "score", "stroke-dasharray": `${score * ROUND} ${ROUND}`, transform: "rotate(-90)" }),
      svg("circle", { r: node.chains.length ? 4 : 2, class: "core" }),
      score === null ? null : svg("text", { y: 20, "text-anchor": "middle", "aria-hidden": "true" }, score.toFixed(2).replace(/^0/, "")));
  });
  const edges = nodes.map((node, i) => {
    const [x, y] = place(i);
    const [fromX, fromY] = node.parent === null ? [EDGE, EDGE] : place(node.parent);
    return svg("path", { class: node.pruned ? "edge pruned" : "edge", d: `M${fromX} ${fromY}C${fromX + ACROSS / 2} ${fromY} ${x - ACROSS / 2} ${y} ${x} ${y}` });
  });
  const width = EDGE * 2 + (Math.max(0, ...depth) + 1) * ACROSS, height = EDGE * 2 + 10 + Math.max(rows - 1, 0) * DOWN;
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name, onkeydown: go },
    edges, svg("circle", { cx: EDGE, cy: EDGE, r: 4, class: "core" }), dots);

  function choose(i) {
    for (const dot of dots) dot.setAttribute("tabindex", -1);
    dots[i].setAttribute("tabindex", 0);
    dots[i].focus();
    read(i);
  }

  function read(i) {
    const node = nodes[i];
    for (const dot of dots) dot.classList.remove("chosen");
    dots[i].classList.add("chosen");
    detail.replaceChildren(
      h("p", { class: "soft" }, `${dots[i].getAttribute("aria-label")} `, node.chains.map((chain) => [h("button", { type: "button", onclick: () => open(chain) }, `Read chain ${chain + 1}`), " "])),
      h("pre", {}, node.text));
  }

  function go(event) {
    const i = dots.indexOf(document.activeElement);
    if (i < 0) return;
    const beside = nodes.map((_, j) => j).filter((j) => depth[j] === depth[i]).sort((a, b) => row[a] - row[b]);
    const to = {
      ArrowLeft: nodes[i].parent, ArrowRight: nodes.findIndex((node) => node.parent === i),
      ArrowUp: beside[beside.indexOf(i) - 1], ArrowDown: beside[beside.indexOf(i) + 1], Enter: i, " ": i,
    }[event.key];
    if (to === undefined || to === null || to < 0) return;
    event.preventDefault();
    choose(to);
  }

  return h("div", { class: "tree" }, h("div", { class: "branches" }, picture), detail);
}

// How deep each node is, and the row it stands in: a branch goes on in its own row, and others from it
// stand below, as near as there is room.
function lay(nodes) {
  const next = nodes.map(() => []), first = [];
  const depth = [], row = [], taken = [];
  nodes.forEach(({ parent }, i) => {
    (parent === null ? first : next[parent]).push(i);
    depth.push(parent === null ? 0 : depth[parent] + 1);
  });
  for (const each of next) each.sort((a, b) => nodes[a].pruned - nodes[b].pruned);
  const open = first.toReversed();
  while (open.length) { // not recursive: a chain may have thousands of steps
    const branch = [open.pop()];
    for (let on = next[branch[0]][0]; on !== undefined; on = next[on][0]) branch.push(on);
    const from = depth[branch[0]] - 1, to = depth[branch.at(-1)];
    let at = nodes[branch[0]].parent === null ? 0 : row[nodes[branch[0]].parent] + 1;
    while ((taken[at] ??= []).some(([start, end]) => from <= end && start <= to)) at++;
    taken[at].push([from, to]);
    for (const i of branch) {
      row[i] = at;
      open.push(...next[i].slice(1).toReversed());
    }
  }
  return { depth, row, rows: taken.length };
}
