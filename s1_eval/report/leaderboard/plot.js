// The plot model of curves.py, drawn by Chart.js: for each model and task one whole panel, and small
// ones by method where some curves have to stay grey. Reads #data.
"use strict";

const model = JSON.parse(document.getElementById("data").textContent);
const SHAPES = { circle: ["circle", "●"], square: ["rect", "■"], triangle: ["triangle", "▲"], diamond: ["rectRot", "◆"], cross: ["crossRot", "✖"] };
const MOST = Object.keys(model.colours).length;
const axis = document.getElementById("axis");
const plots = document.getElementById("plots");
const legend = document.getElementById("legend");
const wide = matchMedia("(min-width: 48rem)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const best = (curve) => Math.max(0, ...curve.points.map((point) => point.accuracy));
const several = model.groups.length > 1;
let pointed = null; // the curve that the pointer or the focus is on

// The same rule as in curves.py: the best get a colour, and keep the one that they have.
function coloured(curves, among = () => true) {
  const chosen = curves.filter(among).sort((a, b) => best(b) - best(a)).slice(0, MOST);
  const kept = new Set(chosen.map((curve) => curve.colour));
  const free = Object.keys(model.colours).filter((name) => !kept.has(name));
  return curves.map((curve) => ({
    ...curve,
    of: curve.of ?? curve,
    colour: !chosen.includes(curve) ? "rest" : curve.colour === "rest" ? free.shift() : curve.colour,
  }));
}

// Where labels go that want to stand at `wanted`: `gap` apart, between `low` and `high`.
function spread(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const places = [];
  let least = low;
  for (const i of order) least = (places[i] = Math.max(wanted[i], least)) + gap;
  let most = high;
  for (const i of order.reverse()) most = (places[i] = Math.min(places[i], most)) - gap;
  return places;
}

function wrapped(ctx, text, width) {
  const lines = [""];
  for (const word of text.split(/(?<=[ _])/)) {
    const longer = lines.at(-1) + word;
    if (lines.at(-1) && ctx.measureText(longer).width > width && lines.length < 3) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => {
    while (ctx.measureText(line).width > width) line = `${line.replace(/…$/, "").slice(0, -1)}…`;
    return line;
  });
}

const marks = {
  id: "marks",
  // 95% intervals of what is coloured or pointed at.
  beforeDatasetsDraw({ ctx, scales, data }) {
    for (const set of data.datasets) {
      if (!set.bars) continue;
      ctx.strokeStyle = set.borderColor;
      ctx.lineWidth = 1;
      for (const { x, low, high } of set.data) {
        if (low === null) continue;
        const at = scales.x.getPixelForValue(x);
        const [top, bottom] = [high, low].map((value) => scales.y.getPixelForValue(value));
        ctx.beginPath();
        for (const [from, y, to, end] of [[at, top, at, bottom], [at - 3, top, at + 3, top], [at - 3, bottom, at + 3, bottom]]) {
          ctx.moveTo(from, y);
          ctx.lineTo(to, end);
        }
        ctx.stroke();
      }
    }
  },
  // The names of coloured curves beside their ends, none on another.
  afterDatasetsDraw(chart) {
    const { ctx, chartArea, scales, data, options } = chart;
    const room = options.layout.padding.right;
    chart.labels = [];
    if (!room) return;
    const named = data.datasets.filter((set) => set.bars && set.data.length);
    ctx.font = `12px ${Chart.defaults.font.family}`;
    ctx.textBaseline = "middle";
    const texts = named.map((set) => wrapped(ctx, set.label, room - 24));
    const ends = named.map((set) => scales.y.getPixelForValue(set.data.at(-1).y));
    const gap = 15 * Math.max(1, ...texts.map((lines) => lines.length)) + 3;
    const places = spread(ends, gap, chartArea.top + gap / 2, chartArea.bottom - gap / 2);
    named.forEach((set, i) => {
      ctx.strokeStyle = ctx.fillStyle = set.borderColor;
      ctx.lineWidth = 0.7;
      ctx.beginPath();
      ctx.moveTo(scales.x.getPixelForValue(set.data.at(-1).x) + 8, ends[i]);
      ctx.lineTo(chartArea.right + 18, places[i]);
      ctx.stroke();
      texts[i].forEach((line, n) => {
        const y = places[i] + 15 * (n - (texts[i].length - 1) / 2);
        ctx.fillText(line, chartArea.right + 22, y);
        chart.labels.push({ x: chartArea.right + 22, y: y - 7, width: ctx.measureText(line).width, height: 14 });
      });
    });
  },
};

// 1024, 0.0313, 537M.
function amount(value) {
  if (value < 1e6) return String(Number.isInteger(value) ? value : Number(value.toPrecision(3)));
  return value.toLocaleString("en", { notation: value < 1e15 ? "compact" : "scientific", maximumSignificantDigits: 3 });
}

Chart.defaults.font = { family: getComputedStyle(document.body).fontFamily, size: 13 };

function made(canvas, whole) {
  return new Chart(canvas, {
    type: "line",
    data: { datasets: [] },
    options: {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      parsing: false,
      layout: { padding: { right: 0, top: 6 } },
      interaction: { mode: "nearest", intersect: true },
      onHover: (_, [found], chart) => whole && point(found ? chart.data.datasets[found.datasetIndex].of : null),
      plugins: {
        legend: { display: false },
        tooltip: {
          callbacks: {
            title: ([item]) => item.dataset.label,
            label: ({ raw }) => [
              raw.label,
              `${raw.y.toFixed(1)} %${raw.low === null ? "" : ` [${raw.low.toFixed(1)}, ${raw.high.toFixed(1)}]`}`,
              `${amount(Number(raw.x.toPrecision(4)))}, ${axis.selectedOptions[0].text}`,
            ],
          },
        },
      },
      scales: {
        x: {
          type: "logarithmic",
          title: { display: whole },
          ticks: { callback: amount, maxRotation: 0, autoSkip: true, font: { size: whole ? 13 : 11 } },
          afterBuildTicks: (scale) => {
            scale.ticks = [];
            for (let value = scale.min; value <= scale.max; value *= 2) scale.ticks.push({ value });
          },
        },
        y: { title: { display: whole, text: "Accuracy (%), 95% interval" }, ticks: { maxTicksLimit: whole ? 11 : 5, font: { size: whole ? 13 : 11 } } },
      },
    },
    plugins: [marks],
  });
}

function point(curve) {
  if (curve === pointed) return;
  pointed = curve;
  draw();
}

// Draws curves, whole or small; the number of runs that the axis does not show.
function fill(chart, curves, whole) {
  let leftOut = 0;
  chart.data.datasets = curves.map((curve) => {
    const on = curve.points.map((each) => ({ ...each, x: each.at[axis.value], y: each.accuracy })).filter(({ x }) => x > 0);
    leftOut += curve.points.length - on.length;
    const line = on.filter((each) => !each.reference).sort((a, b) => a.x - b.x);
    const here = pointed === curve.of;
    const strong = here || curve.colour !== "rest";
    const ink = here && curve.colour === "rest" ? colour("ink") : colour(curve.colour);
    return {
      of: curve.of,
      label: curve.name,
      data: line.length ? line : on,
      bars: strong,
      order: here ? 0 : strong ? 1 : 2,
      borderColor: strong ? ink : `${ink}99`,
      backgroundColor: curve.varied && line.length ? ink : "transparent",
      pointBorderColor: strong ? ink : `${ink}99`,
      pointStyle: SHAPES[model.colours[curve.colour] ?? "circle"][0],
      pointRadius: (curve.varied ? 5 : 7) - (strong ? 0 : 2) - (whole ? 0 : 1.5),
      pointHoverRadius: 7,
      borderDash: curve.enforced ? [5, 4] : [],
      borderWidth: strong ? 2 : 1,
    };
  });
  const points = chart.data.datasets.flatMap((set) => set.data);
  const { x, y } = chart.options.scales;
  const log2 = points.map((each) => Math.log2(each.x));
  x.min = points.length ? 2 ** Math.floor(Math.min(...log2) - 0.1) : 1;
  x.max = points.length ? 2 ** Math.ceil(Math.max(...log2) + 0.1) : 2;
  y.min = Math.max(0, 10 * Math.floor(Math.min(...points.map((p) => (p.low ?? p.y) - 1), 100) / 10));
  y.max = Math.min(100, 10 * Math.ceil(Math.max(...points.map((p) => (p.high ?? p.y) + 1), 10) / 10));
  x.title.text = `${model.axes.find(({ name }) => name === axis.value).title} (log2 scale)`;
  for (const scale of [x, y]) {
    scale.grid = { color: colour("lines") };
    scale.ticks.color = scale.title.color = colour("ink");
  }
  chart.options.layout.padding.right = whole && wide.matches ? 170 : 0;
  chart.update();
  return leftOut;
}

function element(tag, properties = {}, ...children) {
  const found = Object.assign(document.createElement(tag), properties);
  found.append(...children);
  return found;
}

function figure(whole, label) {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const caption = element("figcaption");
  const box = element("figure", { className: whole ? "panel" : "panel small" }, caption, element("div", { className: "canvas" }, canvas));
  return { box, caption, canvas };
}

const panels = model.groups.map((group) => {
  const { box, caption, canvas } = figure(true, `Accuracy against compute, ${group.title}, one line per series; the same numbers stand in the table of runs below`);
  if (several) caption.append(group.title);
  const names = element("p", { className: "names" }); // where there is no room beside the curves
  box.append(names);
  const small = element("div", { className: "smalls" });
  plots.append(box, small);
  return { ...group, box, names, small, canvas, parts: new Map() };
});
panels[0].chart = made(panels[0].canvas, true);
const chart = panels[0].chart;

// All others are made when they come near to what is seen: a board may have hundreds.
const watch = new IntersectionObserver((entries) => {
  const near = panels.filter((panel) => !panel.chart && entries.some((each) => each.isIntersecting && each.target === panel.box));
  for (const panel of near) panel.chart = made(panel.canvas, true);
  if (near.length) draw();
}, { rootMargin: "50%" });
panels.slice(1).forEach((panel) => watch.observe(panel.box));

// The panel of one method, made when it is first needed.
function part(panel, family) {
  if (!panel.parts.has(family)) {
    const one = figure(false, `${family}, ${panel.title}: accuracy against compute`);
    one.canvas.id = `part-${panels.indexOf(panel)}-${panel.parts.size}`;
    panel.small.append(one.box);
    panel.parts.set(family, { ...one, chart: made(one.canvas, false) });
  }
  return panel.parts.get(family);
}

const mark = (name) => `${SHAPES[model.colours[name] ?? "circle"][1]} `;
const named = (curve, text) => element("span", { className: curve.colour }, mark(curve.colour), text);

function draw() {
  const wanted = chosen();
  const off = new Set(state.all("hide"));
  axis.value = model.axes.some(({ name }) => name === state.read("axis")) ? state.read("axis") : model.axes[0].name;
  let leftOut = 0;
  const colours = new Map();
  for (const panel of panels) {
    const listed = panel.curves.filter((one) => matches(one, `${one.name} ${one.model} ${one.task}`, wanted));
    const visible = coloured(listed.filter((one) => !off.has(full(one))));
    visible.forEach((one) => colours.set(one.of, one.colour));
    listed.forEach((one) => colours.has(one) || colours.set(one, "rest"));
    panel.box.hidden = several && !visible.length;
    panel.small.hidden = !panel.chart;
    if (!panel.chart) continue;
    leftOut += fill(panel.chart, visible, true);
    panel.names.replaceChildren(...visible.filter((one) => one.colour !== "rest").map((one) => named(one, one.name)));
    const families = visible.length > MOST ? [...new Set(visible.map((one) => one.family))] : [];
    panel.small.hidden = families.length < 2;
    for (const [family, { box }] of panel.parts) box.hidden = !families.includes(family);
    if (families.length < 2) continue;
    for (const family of families) {
      const { box, caption, chart } = part(panel, family);
      box.hidden = false;
      const own = coloured(visible, (one) => one.family === family);
      caption.replaceChildren(element("strong", {}, family), ...own.filter((one) => one.colour !== "rest").map((one) => named(one, one.name.replace(family, "").trim() || "one run")));
      fill(chart, own, false);
    }
  }
  for (const item of legend.children) {
    const name = colours.get(item.curve);
    item.hidden = name === undefined;
    if (item.hidden) continue;
    const [button] = item.children;
    button.ariaPressed = String(!off.has(full(item.curve)));
    button.firstChild.className = name;
    button.firstChild.textContent = mark(name);
  }
  document.getElementById("left-out").textContent = leftOut ? `Runs without an amount of it (${leftOut}) are not drawn.` : "";
}

const full = (curve) => (several ? `${curve.model}: ${curve.task}: ${curve.name}` : curve.name);

for (const curve of model.groups.flatMap((group) => group.curves)) {
  const button = element("button", { type: "button" }, element("span", { ariaHidden: "true" }), full(curve));
  button.addEventListener("click", () => {
    const off = new Set(state.all("hide"));
    if (!off.delete(full(curve))) off.add(full(curve));
    state.write("hide", [...off]);
  });
  for (const on of ["pointerenter", "focus"]) button.addEventListener(on, () => point(curve));
  for (const away of ["pointerleave", "blur"]) button.addEventListener(away, () => point(null));
  legend.append(Object.assign(element("li", {}, button), { curve }));
}

axis.addEventListener("input", () => state.write("axis", axis.value));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
wide.addEventListener("change", draw);
state.shows.push(draw);
draw();
