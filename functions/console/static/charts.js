// Charts of the figures that stand in a table beside them. The library comes when a page has a chart.
"use strict";

const HEIGHT = 220; // pixels
const SERIES = ["--review", "--caution"];
const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const units = {
  usd: (value) => `$${Number(value.toPrecision(3))}`,
  share: (value) => `${Number((100 * value).toFixed(1))}%`,
  count: (value) => value.toLocaleString(root.lang),
};

let library;
const loaded = (chart) => (library ??= new Promise((resolve, reject) => {
  const style = { rel: "stylesheet", href: chart.dataset.style };
  const script = { src: chart.dataset.plotter, onload: resolve, onerror: reject };
  document.head.append(Object.assign(document.createElement("link"), style), Object.assign(document.createElement("script"), script));
}));

function axis(words, label) {
  const grid = { stroke: colour("--hairline"), width: 1 };
  return { stroke: colour("--muted"), font: "12px system-ui", grid, ticks: grid, values: (_, at) => at.map(words), label, labelFont: "12px system-ui", labelSize: label ? 20 : 0 };
}

// Columns: a value of each series for each of the labels.
function columns({ labels, series, unit }) {
  const size = [0.7 / series.length, 40];
  const filled = series.map(({ name }, at) => ({
    label: name,
    fill: colour(SERIES[at]),
    stroke: colour(SERIES[at]),
    paths: uPlot.paths.bars({ size, align: series.length > 1 ? 2 * at - 1 : 0 }),
    points: { show: false },
  }));
  return {
    data: [labels.map((_, at) => at), ...series.map((one) => one.values)],
    scales: { x: { time: false, range: [-0.5, labels.length - 0.5] }, y: { range: { min: { soft: 0, mode: 1 }, max: { pad: 0.1 } } } },
    axes: [{ ...axis((at) => labels[at] ?? ""), incrs: [1, 2, 7, 14, 30] }, { ...axis(units[unit]), size: 64 }],
    series: [{}, ...filled],
    legend: { show: series.length > 1, live: false },
  };
}

// Points: each with its name, which stands on the side where there is room.
function points({ labels, x, y, names }) {
  const room = (values, least) => () => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const pad = Math.max((high - low) * 0.2, least);
    return [low - pad, high + pad];
  };
  const order = x.map((_, at) => at).sort((a, b) => x[a] - x[b]);
  const name = (u) => {
    for (const at of order) {
      const label = Object.assign(document.createElement("span"), { className: "point", textContent: labels[at] });
      const left = u.valToPos(x[at], "x");
      u.over.append(label);
      const start = left < u.over.clientWidth / 2 ? left + 10 : left - 10 - label.offsetWidth;
      label.style.left = `${Math.max(0, Math.min(start, u.over.clientWidth - label.offsetWidth))}px`;
      label.style.top = `${u.valToPos(y[at], "y") - label.offsetHeight / 2 - (left > 10 + label.offsetWidth || left < u.over.clientWidth / 2 ? 0 : 16)}px`;
    }
  };
  const dots = { show: true, size: 10, fill: colour("--review"), stroke: colour("--review") };
  return {
    data: [order.map((at) => x[at]), order.map((at) => y[at])],
    scales: { x: { time: false, range: room(x, 0.01) }, y: { range: room(y, 0.01) } },
    axes: [axis(units.usd, names[0]), { ...axis(units.share, names[1]), size: 56 }],
    series: [{}, { paths: () => null, points: dots }],
    legend: { show: false },
    hooks: { ready: [name] },
  };
}

function draw(chart) {
  const given = JSON.parse(chart.dataset.chart);
  const { data, ...options } = (given.kind === "points" ? points : columns)(given);
  chart.dataset.drawn = chart.clientWidth;
  chart.replaceChildren();
  new uPlot({ cursor: { show: false }, ...options, width: chart.clientWidth, height: HEIGHT }, data, chart);
}

const all = () => document.querySelectorAll("[data-chart]");
const watched = new ResizeObserver((seen) => {
  for (const { target } of seen) if (target.clientWidth !== Number(target.dataset.drawn)) draw(target);
});
on("htmx:load", async ({ detail: { elt } }) => {
  const charts = elt.querySelectorAll("[data-chart]");
  if (charts.length === 0) return;
  await loaded(charts[0]);
  for (const chart of charts) {
    chart.dataset.drawn = 0; // is shown, and thereby has a width
    watched.observe(chart);
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all().forEach(draw));
