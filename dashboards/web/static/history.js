// What was decided, newest first. The chart marks what is here.
import * as api from "./api.js";
import { at, now, prose } from "./clock.js";
import { arrange, el, section, text } from "./dom.js";
import { plural, span } from "./format.js";
import { decisionPath, lastReason } from "./model.js";

const pageRows = 50;
const furthest = 30 * 86400; // seconds back that an older decision is looked for

export class History {
  constructor(who, signal) {
    this.who = who;
    this.signal = signal;
    this.all = new Map(); // by id
    this.lines = new Map(); // by id: what is on the page
    this.shown = pageRows;
    this.start = Infinity; // of what is known, in milliseconds
    this.onlyChanges = el("input", { type: "checkbox", onchange: () => this.draw() });
    this.onlyChanges.checked = true;
    this.list = el("ol", { class: "history" });
    this.none = el("p", { class: "quiet" }, "Nothing in the time that was looked at.");
    this.note = el("p", { class: "quiet", role: "status" });
    this.older = el("button", { type: "button", class: "more", onclick: () => this.more() }, "Older");
    this.section = section("History", el("label", { class: "check" }, this.onlyChanges, "Only changes of the count"), this.list, this.none, this.note, this.older);
  }

  // reach has everything from a time on, in milliseconds: what is older than what is known, and what has come since. The stream
  // brings that too, but for what it skipped or missed.
  async reach(start) {
    const end = now(), overlap = 10_000; // a decision is written down again when it is known what became of it
    if (this.end) await this.read(this.end - overlap, end);
    if (start < this.start) {
      await this.read(start, Math.min(this.start, end));
      this.start = start;
    }
    this.end = end;
  }

  async read(from, to) {
    const { decisions, whole } = await api.history(this.who, from, to, this.signal);
    if (!whole) text(this.note, "There are more decisions in this time than are read at once; the newest of it are left out.");
    this.add(decisions);
  }

  add(decisions) {
    for (const d of decisions) {
      const known = this.all.get(d.id);
      if (known && JSON.stringify(known.outcome) !== JSON.stringify(d.outcome)) this.lines.delete(d.id);
      this.all.set(d.id, d);
    }
    this.draw();
  }

  sorted() {
    return [...this.all.values()].sort((x, y) => (x.at < y.at ? 1 : x.at > y.at ? -1 : 0));
  }

  // marks are the decisions that changed the count, as the chart marks them.
  marks() {
    return [...this.all.values()].filter((d) => d.from !== d.to).map((d) => ({
      id: d.id, at: d.at, time: new Date(d.at).getTime() / 1000, from: d.from, to: d.to, why: lastReason(d)?.because ?? "",
    }));
  }

  draw() {
    const some = this.sorted().filter((d) => !this.onlyChanges.checked || d.from !== d.to);
    const shown = some.slice(0, this.shown);
    for (const d of shown) if (!this.lines.has(d.id)) this.lines.set(d.id, line(d));
    arrange(this.list, shown.map((d) => this.lines.get(d.id)));
    this.none.hidden = shown.length > 0;
    this.left = some.length - this.shown;
    text(this.older, this.left > 0 ? `Older: ${this.left} more` : "Look further back");
  }

  // redraw writes the lines again, for another time zone.
  redraw() {
    this.lines.clear();
    this.draw();
  }

  // more shows what is known, and when that is at an end, looks further back, twice as far each time.
  async more() {
    this.shown += pageRows;
    if (this.left > 0) {
      this.draw();
      return;
    }
    this.older.disabled = true;
    try {
      for (let back = now() - this.start; ; back *= 2) {
        const known = this.all.size;
        if (back > furthest * 1000) {
          text(this.note, `Nothing else is recorded in the ${span(furthest)} before.`);
          return;
        }
        await this.reach(this.start - back);
        if (this.all.size > known) {
          text(this.note, `${plural(this.all.size - known, "decision")} more.`);
          return;
        }
      }
    } catch (err) {
      text(this.note, `It could not be read: ${err.message}`);
    } finally {
      this.older.disabled = false;
    }
  }
}

function line(d) {
  const last = lastReason(d), way = d.to > d.from ? "up" : d.to < d.from ? "down" : "hold";
  return el("li", { data: { way } }, el("a", { href: decisionPath(d.id) }, at(d.at)),
    el("span", { class: "step" }, d.from === d.to ? String(d.to) : `${d.from} → ${d.to}`),
    el("span", { class: "sentence" }, last ? [el("span", { class: "rule" }, last.rule), " ", prose(last.because)] : "",
      d.outcome?.applied || d.from === d.to ? null : el("span", { class: "quiet" }, ` (not written: ${d.outcome?.why || "the write was under way"})`)));
}
