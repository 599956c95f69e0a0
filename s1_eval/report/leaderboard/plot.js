// The plot: one line per series, a button for each, in the page's colours. Reads #data.
"use strict";

const STYLES = [["circle", "●"], ["rect", "■"], ["triangle", "▲"], ["rectRot", "◆"], ["star", "✱"], ["crossRot", "✖"], ["cross", "✚"]];
const series = JSON.parse(document.getElementById("data").textContent);
const axis = document.getElementById("axis");
const off = new Set();
const shape = (i) => STYLES[(i + 3 * Math.floor(i / 7)) % 7]; // no pair of colour and shape twice
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const intervals = {
  id: "intervals",
  beforeDatasetsDraw({ ctx, scales, data }) {
    data.datasets.forEach((set) => {
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
    });
  },
};

Chart.defaults.font = { family: getComputedStyle(document.body).fontFamily, size: 13 };
const chart = new Chart(document.getElementById("plot"), {
  type: "line",
  data: { datasets: [] },
  options: {
    responsive: true,
    maintainAspectRatio: false,
    animation: false,
    parsing: false,
    interaction: { mode: "nearest", intersect: true },
    plugins: {
      legend: { display: false },
      tooltip: {
        callbacks: {
          title: ([item]) => item.dataset.label,
          label: ({ raw }) => [
            raw.label,
            `${raw.y.toFixed(1)} %${raw.low === null ? "" : ` [${raw.low.toFixed(1)}, ${raw.high.toFixed(1)}]`}`,
            `${raw.x.toFixed(0)} tokens`,
          ],
        },
      },
    },
    scales: {
      x: {
        type: "logarithmic",
        title: { display: true },
        ticks: { callback: (value) => String(value) },
        afterBuildTicks: (scale) => {
          scale.ticks = [];
          for (let value = scale.min; value <= scale.max; value *= 2) scale.ticks.push({ value });
        },
      },
      y: { title: { display: true, text: "Accuracy (%), 95% interval" } },
    },
  },
  plugins: [intervals],
});

function draw() {
  const wanted = chosen();
  let leftOut = 0;
  const visible = series.filter((one, i) => {
    const listed = matches(one, `${one.name} ${one.model} ${one.task}`, wanted);
    legend.children[i].hidden = !listed;
    return listed && !off.has(i);
  });
  chart.data.datasets = visible.map((one) => {
    const i = series.indexOf(one);
    const data = one.points
      .map((point) => ({ ...point, x: point[axis.value] }))
      .filter(({ x }) => x > 0)
      .sort((a, b) => a.x - b.x);
    leftOut += one.points.length - data.length;
    return {
      label: one.name,
      data,
      borderColor: colour(`--s${i % 7}`),
      backgroundColor: colour(`--s${i % 7}`),
      pointStyle: shape(i)[0],
      pointRadius: 5,
      pointHoverRadius: 7,
      borderWidth: 2,
    };
  });
  const points = chart.data.datasets.flatMap((set) => set.data);
  const { x, y } = chart.options.scales;
  const log2 = points.map((point) => Math.log2(point.x));
  x.min = points.length ? 2 ** Math.floor(Math.min(...log2) - 0.1) : 1;
  x.max = points.length ? 2 ** Math.ceil(Math.max(...log2) + 0.1) : 2;
  y.min = Math.max(0, 10 * Math.floor(Math.min(...points.map((p) => (p.low ?? p.y) - 1), 100) / 10));
  y.max = Math.min(100, 10 * Math.ceil(Math.max(...points.map((p) => (p.high ?? p.y) + 1), 10) / 10));
  x.title.text = `${axis.selectedOptions[0].text} per question (log2 scale)`;
  for (const scale of [x, y]) {
    scale.grid = { color: colour("--lines") };
    scale.ticks.color = scale.title.color = colour("--ink");
  }
  document.getElementById("left-out").textContent = leftOut ? `Runs without any tokens (${leftOut}) are not drawn.` : "";
  chart.update();
}

const legend = document.getElementById("legend");
series.forEach((one, i) => {
  const button = document.createElement("button");
  const mark = document.createElement("span");
  mark.className = `s${i % 7}`;
  mark.ariaHidden = "true";
  mark.textContent = `${shape(i)[1]} `;
  button.type = "button";
  button.ariaPressed = "true";
  button.append(mark, one.name);
  button.addEventListener("click", () => {
    const hide = !off.delete(i);
    if (hide) off.add(i);
    button.ariaPressed = String(!hide);
    draw();
  });
  const item = document.createElement("li");
  item.append(button);
  legend.append(item);
});

axis.addEventListener("input", draw);
filters[0].form.addEventListener("input", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
