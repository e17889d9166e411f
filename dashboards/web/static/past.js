// The part of a page that shows the past of an autoscaler: a range to choose, the chart, and its queries to copy.
import { clockTime, now } from "./clock.js";
import { Chart } from "./chart.js";
import { copyButton, el, section, text } from "./dom.js";
import { span } from "./format.js";
import * as series from "./series.js";

export const ranges = { "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400 };

// Past asks for the series again and again, the more seldom the longer they are. until is a fixed end in seconds, or null for now.
export class Past {
  constructor({ who, signal, history, targets, range, until, chosen, loaded }) {
    Object.assign(this, { who, signal, history, targets, until, loaded });
    this.length = ranges[range] ?? ranges["15m"];
    this.backtest = null;
    this.chart = new Chart(until);
    this.buttons = Object.entries(ranges).map(([name, length]) => el("button", {
      type: "button", "aria-pressed": String(length === this.length), onclick: () => {
        this.length = length;
        this.buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
        chosen?.(name);
        this.load();
      },
    }, name));
    this.note = el("p", { class: "quiet" });
    this.section = section(until === null ? "The past" : "Around it", el("div", { class: "range", role: "group", "aria-label": "Range" }, this.buttons),
      this.chart.element, this.note, el("p", { class: "actions" },
        copyButton("Copy as PromQL", () => Object.values(series.queries(who, series.stepOf(this.length))).join("\n"))));
  }

  async load() {
    clearTimeout(this.timer);
    const turn = (this.turn ?? 0) + 1;
    this.turn = turn;
    const end = this.until === null ? now() / 1000 : Math.min(now() / 1000, this.until + this.length / 3);
    try {
      const past = await series.load(this.who, this.length, end, this.signal);
      await this.history.reach(past.first * 1000);
      if (turn !== this.turn) return; // another range was chosen meanwhile
      this.past = past;
      for (const [name, s] of past.sources) {
        this.targets.set(name, { ...this.targets.get(name), value: s.target.findLast((v) => v !== null) ?? this.targets.get(name)?.value });
      }
      for (const d of this.history.all.values()) learn(this.targets, d);
      this.draw();
      this.loaded?.();
    } catch (err) {
      if (this.signal.aborted || turn !== this.turn) return;
      text(this.note, `The past could not be read: ${err.message}`);
    }
    if (!this.signal.aborted) this.timer = setTimeout(() => (document.hidden ? this.again() : this.load()), Math.max(2, this.length / 300) * 1000);
  }

  again() {
    document.addEventListener("visibilitychange", () => this.load(), { once: true, signal: this.signal });
  }

  draw() {
    if (!this.past) return;
    this.chart.other = this.backtest ? series.different(this.past, this.backtest) : null;
    this.chart.show(this.past, this.history.marks(), this.targets);
    const known = this.chart.known(), early = known !== null && known > this.past.first + 2 * this.past.step;
    text(this.note, `${early ? `Nothing is stored of the time before ${clockTime(known * 1000)}. ` : ""}` +
      `${this.past.step > 2 ? `Each point is the highest value of its ${span(this.past.step)}. ` : ""}` +
      "Triangles are decisions that changed the count; click one to see why. Shaded: panic. A gap is a time of which nothing is stored.");
  }

  compare(backtest) {
    this.backtest = backtest;
    this.draw();
  }

  dispose() {
    clearTimeout(this.timer);
    this.chart.dispose();
  }
}

// learn takes from a decision's reasons what its sources' targets are.
export function learn(targets, d) {
  for (const r of d.reasons ?? []) {
    if (!r.source || r.target === undefined) continue;
    const known = targets.get(r.source);
    targets.set(r.source, { value: known?.value ?? r.target, type: known?.type ?? r.targetType });
  }
}
