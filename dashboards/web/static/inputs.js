// What a decision was made from: counts of the target, and a row for each window of each source.
import { at } from "./clock.js";
import { el, fill, scrolls, section, text } from "./dom.js";
import { number, percent, plural, seconds, span, word } from "./format.js";
import { oldest } from "./model.js";

// Inputs shows them. targets has each source's target and type, as far as they are known.
export class Inputs {
  constructor() {
    this.counts = el("p", { class: "summary" });
    this.table = el("table", { class: "inputs" });
    const heads = ["Window", "Value", "Target", "Newest sample", "Coverage", "Exporters", "State"];
    this.head = el("thead", null, el("tr", null, heads.map((h, i) => el("th", { scope: "col", class: i > 0 && i < 6 ? "n" : null }, h))));
    this.section = section("Inputs", this.counts, scrolls("Windows of the sources", this.table));
  }

  show(inputs, targets, when) {
    if (!inputs) {
      text(this.counts, "Nothing is known of what it was made from.");
      fill(this.table);
      return;
    }
    fill(this.counts, `${plural(inputs.replicas, "replica")}, ${inputs.ready} ready, ${inputs.starting} starting, ${inputs.unschedulable} unschedulable`,
      inputs.quota ? `; quota ${inputs.quota.name} admits ${inputs.quota.most} by ${inputs.quota.resource}` : "",
      inputs.delegated ? "; somebody else writes the count on this advice" : "", "; as of ", at(when));
    fill(this.table, this.head, inputs.sources.map((s) => el("tbody", null, rows(s, targets.get(s.source)))));
  }
}

function rows(s, target) {
  const name = el("tr", null, el("th", { scope: "rowgroup", colspan: "7", class: "source" }, s.source));
  const windows = [["stable", s.stable], ["panic", s.panic]].filter(([, w]) => w);
  if (s.error || windows.length === 0) return [name, el("tr", { data: { bad: "1" } }, el("td", { colspan: "7" }, s.error || "no window"))];
  const whole = (w) => w.state === "WINDOW_STATE_FRESH" && w.silent === 0 && w.coverage >= 0.95;
  return [name, ...windows.map(([kind, w]) => el("tr", { data: whole(w) ? {} : { bad: "1" } },
    el("td", null, `${kind}, ${span(seconds(w.range))}`),
    el("td", { class: "n" }, w.value === undefined ? "no data" : number(w.value)),
    el("td", { class: "n" }, targetWords(target)),
    el("td", { class: "n" }, oldest(w) === null ? "no sample" : `${span(oldest(w))} ago`),
    el("td", { class: "n" }, w.expected === 0 && w.coverage === 0 ? "nobody expected" : percent(w.coverage)),
    el("td", { class: "n" }, `${w.reporting} of ${w.expected}`),
    el("td", null, word(w.state, "WINDOW_STATE_"), w.silent > 0 ? `; ${w.silent} silent for up to ${span(seconds(w.silentFor))}` : "")))];
}

export function targetWords(target) {
  if (!target || target.value === undefined) return "";
  return target.type === "AverageValue" ? `${number(target.value)} per pod` : number(target.value);
}
