// What if: other bounds, delays and targets over the past that the chart shows, decided again by flyball itself.
import * as api from "./api.js";
import { prose, at } from "./clock.js";
import { el, fill, section, text } from "./dom.js";
import { lengthOf, number, plural, span } from "./format.js";
import { changes, lastReason } from "./model.js";

const longest = 6 * 3600;
const shownDecisions = 40;

// WhatIf is the form and its answer. past says which stretch is meant, as {first, last} in seconds; answered takes the backtest, or null.
export class WhatIf {
  constructor(who, signal, past, answered) {
    Object.assign(this, { who, signal, past, answered });
    this.fields = new Map(); // by the API's name of the field
    this.targets = []; // names of the sources, in the order of their inputs
    this.targetBox = el("div", { class: "targets" });
    this.error = el("p", { class: "error", role: "alert" });
    this.result = el("div", { class: "result", role: "status" });
    this.submit = el("button", { type: "submit", class: "primary" }, "Show the different past");
    this.clear = el("button", { type: "button", hidden: true, onclick: () => this.forget() }, "Clear");
    this.form = el("form", { class: "whatif", novalidate: true, onsubmit: (event) => { event.preventDefault(); this.ask(); } },
      el("div", { class: "fields" },
        this.field("changes.min_replicas", "Min replicas", "numeric"), this.field("changes.max_replicas", "Max replicas", "numeric"),
        this.field("changes.scale_up_delay", "Scale-up delay", "text", "such as 30s"), this.field("changes.scale_down_delay", "Scale-down delay", "text", "such as 5m"), this.targetBox),
      this.error, el("p", { class: "actions" }, this.submit, this.clear));
    this.section = section("What if", el("p", { class: "quiet" }, "The load of the time above, decided again with other settings. What is left empty stays as it is. Nothing is written."),
      this.form, this.result);
  }

  field(name, label, inputmode, hint) {
    const id = `f-${name.replaceAll(/[^a-z0-9]+/gi, "-")}`;
    const input = el("input", { id, inputmode, placeholder: hint, autocomplete: "off", "aria-describedby": `${id}-error` });
    const error = el("span", { id: `${id}-error`, class: "error" });
    this.fields.set(name, { input, error });
    return el("div", { class: "field" }, el("label", { for: id }, label), input, error);
  }

  // knows takes what is in force now, to be shown where nothing is typed.
  knows(bounds, targets) {
    this.fields.get("changes.min_replicas").input.placeholder = bounds ? String(bounds.minReplicas) : "";
    this.fields.get("changes.max_replicas").input.placeholder = bounds ? String(bounds.maxReplicas) : "";
    const names = [...targets.keys()];
    if (names.join("\n") !== this.targets.join("\n")) {
      this.targets.forEach((_, i) => this.fields.delete(`changes.targets[${i}].target`));
      this.targets = names;
      fill(this.targetBox, names.map((n, i) => this.field(`changes.targets[${i}].target`, names.length === 1 ? "Target" : `Target of ${n}`, "decimal")));
    }
    names.forEach((n, i) => {
      const { value } = targets.get(n);
      this.fields.get(`changes.targets[${i}].target`).input.placeholder = value === undefined ? "" : number(value);
    });
  }

  // changes reads the form. What cannot be sent at all is said at its field, and undefined is returned.
  changes() {
    const bad = [], read = (name, parse, key, into, problem) => {
      const written = this.fields.get(name).input.value.trim();
      if (written === "") return;
      const v = parse(written);
      if (Number.isNaN(v)) bad.push({ field: name, description: problem });
      else into[key] = v;
    };
    const whole = (s) => (/^-?\d{1,9}$/.test(s) ? Number(s) : NaN), out = {};
    read("changes.min_replicas", whole, "minReplicas", out, "give a whole number");
    read("changes.max_replicas", whole, "maxReplicas", out, "give a whole number");
    const delay = (s) => (Number.isNaN(lengthOf(s)) ? NaN : `${lengthOf(s)}s`);
    read("changes.scale_up_delay", delay, "scaleUpDelay", out, "give a length of time, such as 30s or 5m");
    read("changes.scale_down_delay", delay, "scaleDownDelay", out, "give a length of time, such as 30s or 5m");
    const sent = []; // which of the inputs a target of the request is from: the API counts those that are sent
    this.targets.forEach((source, i) => {
      const one = {};
      read(`changes.targets[${i}].target`, Number, "target", one, "give a number");
      if ("target" in one) sent.push([i, { source, ...one }]);
    });
    if (sent.length > 0) out.targets = sent.map(([, t]) => t);
    this.sent = sent.map(([i]) => i);
    if (bad.length === 0) return out;
    this.complain(bad);
    return undefined;
  }

  async ask() {
    this.complain([]);
    const wanted = this.changes(), past = this.past();
    if (!wanted || !past) return;
    if (Object.keys(wanted).length === 0) {
      text(this.error, "Nothing is different yet: give at least one setting.");
      return;
    }
    const start = Math.max(past.first, past.last - longest);
    this.submit.disabled = true;
    text(this.submit, "Deciding again …");
    try {
      const b = await api.backtest(this.who, {
        startTime: new Date(start * 1000).toISOString(), endTime: new Date(past.last * 1000).toISOString(), changes: wanted,
      }, this.signal);
      this.answered(b);
      this.clear.hidden = false;
      fill(this.result, this.words(b, past.last - start < past.last - past.first));
    } catch (err) {
      if (this.signal.aborted) return;
      const fields = (err.fields ?? []).map((f) => ({ ...f, field: this.mine(f.field) }));
      if (!this.complain(fields)) text(this.error, err.message);
    } finally {
      this.submit.disabled = false;
      text(this.submit, "Show the different past");
    }
  }

  // mine is the name of the field that a problem belongs to: the API's target 0 may be the form's target 1.
  mine(field) {
    return field.replace(/^changes\.targets\[(\d+)\].*/, (_, i) => `changes.targets[${this.sent[i]}].target`);
  }

  // complain says problems at their fields and goes to the first; false when one has no field here.
  complain(problems) {
    text(this.error, "");
    for (const [name, { input, error }] of this.fields) {
      const said = problems.filter((p) => p.field === name).map((p) => p.description).join("; ");
      text(error, said);
      if (said) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    const first = problems.find((p) => this.fields.has(p.field));
    if (first) this.fields.get(first.field).input.focus();
    return Boolean(first);
  }

  forget() {
    this.complain([]);
    for (const { input } of this.fields.values()) input.value = "";
    fill(this.result);
    this.clear.hidden = true;
    this.answered(null);
  }

  words(b, cut) {
    if (b.steps.length === 0) return el("p", null, "Nothing is known of this time, so nothing can be said of it.");
    const was = b.wasReplicaSeconds / 3600, other = b.replicaSeconds / 3600;
    const parts = was > 0 && other !== was ? ` (${other > was ? "+" : "−"}${number(Math.abs(other / was - 1) * 100)} %)` : "";
    const first = Math.min(...b.steps.map((s) => new Date(s.at).getTime())), last = Math.max(...b.steps.map((s) => new Date(s.at).getTime()));
    return [
      el("dl", { class: "compare" },
        el("div", null, el("dt", null, "Replica-hours"), el("dd", null, `${number(was)} → `, el("strong", null, number(other)), parts)),
        el("div", null, el("dt", null, "Changes of the count"), el("dd", null, `${changes(b.steps.map((s) => s.was))} → `, el("strong", null, String(changes([b.steps[0].was, ...b.steps.map((s) => s.to)]))))),
        el("div", null, el("dt", null, "Most at once"), el("dd", null, `${most(b.steps, "was")} → `, el("strong", null, String(most(b.steps, "to")))))),
      el("p", { class: "quiet" }, `Of ${plural(b.steps.length, "decision")} over ${span((last - first) / 1000)}.`,
        cut ? ` At most ${span(longest)} are decided again, the last of the chart.` : "",
        b.unknownSteps > 0 ? ` ${b.unknownSteps} more would have been due at times of which nothing is known.` : ""),
      this.decisions(b),
    ];
  }

  decisions(b) {
    const some = b.decisions.filter((d) => d.from !== d.to), left = some.length - shownDecisions + b.leftOutDecisions;
    if (some.length === 0) return el("p", null, "The count would never have changed.");
    return el("details", null, el("summary", null, "The decisions that would have changed the count"),
      el("ol", { class: "history" }, some.slice(0, shownDecisions).map((d) => el("li", { data: { way: d.to > d.from ? "up" : "down" } },
        at(d.at), el("span", { class: "step" }, `${d.from} → ${d.to}`),
        el("span", { class: "sentence" }, el("span", { class: "rule" }, lastReason(d)?.rule ?? ""), " ", prose(lastReason(d)?.because ?? ""))))),
      left > 0 ? el("p", { class: "quiet" }, `${left} more are not shown.`) : null);
  }
}

const most = (steps, key) => steps.reduce((m, s) => Math.max(m, s[key]), 0);
