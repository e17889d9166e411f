// The past as two charts over the same time: load against its target, and replicas with the decisions marked.
import uPlot from "./vendor/uPlot.esm.js";
import { axisTime, clockTime, isLocal } from "./clock.js";
import { el, fill, scrolls, text } from "./dom.js";
import { number } from "./format.js";
import { decisionPath } from "./model.js";

const stepped = uPlot.paths.stepped({ align: 1 });
const reach = 14; // how near to a mark a click must be, in CSS pixels
const tableRows = 60;

// Lines of the upper and of the lower chart: what they are called, and how they are drawn.
const loadLines = [
  { key: "stable", label: "stable window", colour: "--load", width: 2 },
  { key: "panic", label: "panic window", colour: "--load", width: 1, dash: [2, 3] },
  { key: "limit", label: "target", colour: "--ink-soft", width: 1.5, dash: [6, 4], stepped: true },
];
const countLines = [
  { key: "ready", label: "ready", colour: "--ready", width: 0, stepped: true, filled: "--ready-fill" },
  { key: "replicas", label: "replicas", colour: "--count", width: 2, stepped: true },
  { key: "wanted", label: "wanted", colour: "--wanted", width: 1.5, dash: [4, 3], stepped: true },
  { key: "min", label: "min", colour: "--bound", width: 1, dash: [1, 3], stepped: true },
  { key: "max", label: "max", colour: "--bound", width: 1, dash: [1, 3], stepped: true },
  { key: "other", label: "what if", colour: "--other", width: 2.5, stepped: true },
];

const tableLines = ["stable", "panic", "limit", "replicas", "wanted", "other", "ready", "min", "max"];

const colours = new Map();

// colour is what a custom property comes to now; the canvas knows no light-dark().
function colour(name) {
  if (!colours.has(name)) {
    const probe = el("span", { hidden: true });
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

// Chart draws what series.js loads. It is given data; it asks for none.
export class Chart {
  // focus is the moment that the page is about, in seconds; null for none.
  constructor(focus) {
    colours.clear(); // the theme may have changed while no chart was shown
    this.focus = focus;
    this.past = null;
    this.source = "";
    this.marks = [];
    this.other = null;
    this.types = new Map();
    this.upper = el("div", { class: "plot" });
    this.lower = el("div", { class: "plot" });
    this.readUpper = el("ul", { class: "legend" });
    this.readLower = el("ul", { class: "legend" });
    this.choose = el("select", { "aria-label": "Source", onchange: () => { this.source = this.choose.value; this.draw(); } });
    this.what = el("p", { class: "source-name" });
    this.picture = el("div", { class: "picture", role: "img" }, this.what, this.readUpper, this.upper, this.readLower, this.lower);
    this.rows = el("tbody");
    this.tableHead = el("tr");
    this.table = el("details", { class: "as-table", ontoggle: () => this.writeTable() }, el("summary", null, "As a table"),
      scrolls("The chart as a table", el("table", null, el("caption", { class: "unseen" }, "Load and replicas over time"), el("thead", null, this.tableHead), this.rows)));
    this.element = el("div", { class: "chart" }, this.choose, this.picture, this.table);
    this.choose.hidden = true;
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(this.picture);
  }

  dispose() {
    this.resized.disconnect();
    this.plots?.forEach((p) => p.destroy());
  }

  // show takes a past, the decisions to mark, and the types of the sources' targets by name.
  show(past, marks, types) {
    this.past = past;
    this.marks = marks;
    this.types = types;
    const names = [...past.sources.keys()];
    if (!names.includes(this.source)) this.source = names[0] ?? "";
    fill(this.choose, names.map((n) => el("option", { value: n }, n)));
    this.choose.value = this.source;
    this.choose.hidden = names.length < 2;
    this.draw();
  }

  // compare adds a different past, on the grid of the real one; null takes it away.
  compare(row) {
    this.other = row;
    this.draw();
  }

  // known is the first time of which anything is stored, in seconds; null for none.
  known() {
    const p = this.past, i = p.times.findIndex((_, at) => p.replicas[at] !== null || p.wanted[at] !== null);
    return i < 0 ? null : p.times[i];
  }

  // begin is where the charts start. When most of the time has nothing stored of it, that part is not drawn.
  begin() {
    const p = this.past, known = this.known();
    return known !== null && known > (p.first + p.last) / 2 ? Math.max(p.first, Math.min(known - 2 * p.step, p.last - 60)) : p.first;
  }

  // limit is what the target allows: for a target per pod, that times the ready pods, so that it compares with the load.
  limit() {
    const { target } = this.past.sources.get(this.source) ?? {};
    if (!target) return this.past.times.map(() => null);
    if (this.perPod()) return target.map((t, i) => (t === null || this.past.ready[i] === null ? null : t * this.past.ready[i]));
    return target;
  }

  perPod() {
    return this.types.get(this.source)?.type === "AverageValue";
  }

  draw() {
    const p = this.past;
    if (!p || this.upper.clientWidth === 0) return;
    const s = p.sources.get(this.source) ?? { stable: p.times.map(() => null), panic: p.times.map(() => null) };
    this.data = { ...p, ...s, limit: this.limit(), other: this.other ?? p.times.map(() => null) };
    text(this.what, this.source ? `Load: ${this.source}` : "No source is recorded in this time.");
    this.plots ??= [this.plot(this.upper, loadLines, this.readUpper, 0.58), this.plot(this.lower, countLines, this.readLower, 1)];
    for (const plot of this.plots) plot.setData([p.times, ...plot.lines.map((l) => this.data[l.key])]);
    this.picture.setAttribute("aria-label", this.summary());
    for (const plot of this.plots) this.read(plot, plot.cursor.left >= 0 ? plot.cursor.idx : null);
    this.writeTable();
  }

  plot(into, lines, legend, tall) {
    const axis = { stroke: () => colour("--ink-soft"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const counts = lines === countLines;
    const u = new uPlot({
      width: into.clientWidth, height: this.height(tall), legend: { show: false },
      tzDate: (t) => (isLocal() ? new Date(t * 1000) : uPlot.tzDate(new Date(t * 1000), "Etc/UTC")), padding: [8, 28, 0, 0],
      cursor: { sync: { key: "flyball" }, y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => [this.begin(), this.past.last] }, y: { range: (_u, _min, max) => [0, Math.max(max * 1.12, counts ? 2 : 0) || 1] } },
      axes: [
        { ...axis, space: 80, values: (v, at) => at.map((t) => axisTime(t * 1000, v.scales.x.max - v.scales.x.min < 240)), size: 26 },
        { ...axis, size: 52, space: 28, values: (_u, at) => at.map((v) => number(v)), incrs: counts ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined },
      ],
      series: [{}, ...lines.map((l) => ({
        label: l.label, stroke: () => colour(l.colour), width: l.width, dash: l.dash, paths: l.stepped ? stepped : undefined,
        fill: l.filled ? () => colour(l.filled) : undefined, points: { show: false }, spanGaps: false,
      }))],
      hooks: {
        drawClear: [(v) => this.shade(v)], draw: counts ? [(v) => this.mark(v)] : [],
        setCursor: [(v) => this.read(v, v.cursor.idx)],
      },
    }, [[0], ...lines.map(() => [null])], into);
    Object.assign(u, { lines, readout: legend, tall });
    if (counts) this.listen(u);
    return u;
  }

  height(tall) {
    return Math.round(tall * Math.min(260, Math.max(170, this.picture.clientWidth * 0.3)));
  }

  resize() {
    if (!this.plots) this.draw();
    else for (const p of this.plots) p.setSize({ width: p.root.parentElement.clientWidth, height: this.height(p.tall) });
  }

  // restyle draws with the colours of another theme, and times of another zone.
  restyle() {
    colours.clear();
    this.plots?.forEach((p) => p.redraw(false, true));
    this.draw();
  }

  // shade marks the time in panic, and the moment that the page is about.
  shade(u) {
    const panic = this.past?.panic ?? [], { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = colour("--panic-fill");
    for (let i = 0; i < panic.length; i++) {
      if (panic[i] !== 1) continue;
      const start = i;
      while (panic[i + 1] === 1) i++;
      const left = u.valToPos(this.past.times[start], "x", true);
      const right = u.valToPos(this.past.times[i] + this.past.step, "x", true);
      ctx.fillRect(left, bbox.top, Math.max(2, Math.min(right, bbox.left + bbox.width) - left), bbox.height);
    }
    if (this.focus) {
      const x = u.valToPos(this.focus, "x", true);
      ctx.fillStyle = colour("--accent");
      ctx.fillRect(x - devicePixelRatio / 2, bbox.top, devicePixelRatio, bbox.height);
    }
    ctx.restore();
  }

  // mark draws a triangle for each decision that changed the count.
  mark(u) {
    const { ctx, bbox } = u, marks = this.inSight(u);
    const size = Math.max(2 * devicePixelRatio, Math.min(4.5 * devicePixelRatio, bbox.width / marks.length / 3)); // many are small, so that the lines stay seen
    ctx.save();
    for (const d of marks) {
      const x = u.valToPos(d.time, "x", true), y = u.valToPos(d.to, "y", true), way = d.to > d.from ? -1 : 1;
      ctx.beginPath();
      ctx.moveTo(x, y + way * size);
      ctx.lineTo(x - size, y - way * size);
      ctx.lineTo(x + size, y - way * size);
      ctx.closePath();
      ctx.fillStyle = colour(d.to > d.from ? "--up" : "--down");
      ctx.strokeStyle = colour("--panel");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.stroke();
      ctx.fill();
    }
    ctx.restore();
  }

  inSight(u) {
    return this.marks.filter((d) => d.time >= u.scales.x.min && d.time <= u.scales.x.max);
  }

  nearest(u, x, y) {
    const away = (d) => Math.hypot(u.valToPos(d.time, "x") - x, u.valToPos(d.to, "y") - y);
    const near = this.inSight(u).filter((d) => away(d) < reach).sort((a, b) => away(a) - away(b));
    return near[0];
  }

  listen(u) {
    u.over.addEventListener("click", (event) => {
      const d = this.nearest(u, event.offsetX, event.offsetY);
      if (d) location.hash = decisionPath(d.id);
    });
    u.over.addEventListener("mousemove", (event) => {
      const d = this.nearest(u, event.offsetX, event.offsetY);
      u.over.style.cursor = d ? "pointer" : "";
      u.over.title = d ? `${clockTime(d.at)}: ${d.from} → ${d.to}, ${d.why}` : "";
    });
  }

  // read writes the values under the cursor next to the names, or the last ones.
  read(u, at) {
    if (!this.data?.times.length || !u.lines) return;
    const items = u.lines.filter((l) => this.data[l.key].some((v) => v !== null)).map((l) => {
      const row = this.data[l.key], i = at ?? lastKnown(row);
      return el("li", { data: { line: l.key } }, el("span", { class: "swatch" }), this.nameOf(l), " ", el("b", null, number(row[i])));
    });
    fill(u.readout, el("li", { class: "when" }, axisTime(this.data.times[at ?? this.data.times.length - 1] * 1000, true)), items);
  }

  nameOf(l) {
    return l.key === "limit" && this.perPod() ? "target × ready" : l.label;
  }

  summary() {
    const extent = (row) => {
      const known = row.filter((v) => v !== null);
      return known.length === 0 ? "no data" : `${number(Math.min(...known))} to ${number(Math.max(...known))}`;
    };
    return `From ${clockTime(this.past.first * 1000)} to ${clockTime(this.past.last * 1000)}: load ${extent(this.data.stable)}, ` +
      `target ${extent(this.data.limit)}, replicas ${extent(this.data.replicas)}, wanted ${extent(this.data.wanted)}` +
      (this.other ? `, what if ${extent(this.data.other)}` : "") + ". The same as a table follows.";
  }

  writeTable() {
    if (!this.table.open || !this.data) return;
    const named = new Map([...loadLines, ...countLines].map((l) => [l.key, l]));
    const lines = tableLines.filter((key) => key !== "other" || this.other).map((key) => named.get(key));
    fill(this.tableHead, el("th", { scope: "col" }, "Time"), lines.map((l) => el("th", { scope: "col", class: "n" }, this.nameOf(l))));
    const { times } = this.data, first = times.findIndex((t) => t >= this.begin()), every = Math.ceil((times.length - first) / tableRows), rows = [];
    for (let i = times.length - 1; i >= first; i -= every) {
      rows.push(el("tr", null, el("th", { scope: "row" }, clockTime(times[i] * 1000)), lines.map((l) =>
        el("td", { class: "n", data: { line: l.key } }, number(this.data[l.key][i])))));
    }
    fill(this.rows, rows);
  }
}

function lastKnown(row) {
  for (let i = row.length - 1; i >= 0; i--) if (row[i] !== null) return i;
  return row.length - 1;
}
