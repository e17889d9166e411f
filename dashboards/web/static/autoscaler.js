// One autoscaler: the answer first, then why, the past, what if, the inputs and the history.
import * as api from "./api.js";
import { since } from "./clock.js";
import { Explained } from "./chain.js";
import { el, fill, section, text } from "./dom.js";
import { findingList } from "./findings.js";
import { History } from "./history.js";
import { Inputs } from "./inputs.js";
import { onDecision } from "./live.js";
import { keyOf, noteOf, problemOf } from "./model.js";
import { Past, learn } from "./past.js";
import { WhatIf } from "./whatif.js";

const every = 3000;

export function show(main, [namespace, name], query, ctx) {
  const who = { namespace, name };
  ctx.title(`${namespace}/${name}`);
  const view = new View(who, query, ctx);
  fill(main, view.elements());
  view.load();
  view.past.load();
  const stop = onDecision((d) => { if (keyOf(d) === keyOf(who)) view.told(d); });
  return Object.assign(() => {
    stop();
    clearTimeout(view.timer);
    clearTimeout(view.soon);
    view.past.dispose();
  }, { redraw: () => view.redraw() });
}

class View {
  constructor(who, query, { replaceQuery, signal }) {
    Object.assign(this, { who, signal });
    this.targets = new Map(); // by source: value and type
    this.sub = el("p", { class: "summary" });
    this.problem = el("p", { class: "problem", hidden: true });
    this.error = el("p", { class: "error", role: "alert" });
    this.explained = new Explained("Why");
    this.inputs = new Inputs();
    this.history = new History(who, signal);
    this.past = new Past({
      who, signal, history: this.history, targets: this.targets, range: query.get("range"), until: null,
      chosen: (range) => replaceQuery({ range }), loaded: () => this.learnt(),
    });
    this.whatIf = new WhatIf(who, signal, () => this.past.past, (b) => this.past.compare(b));
    this.findings = section("Findings", el("p", { class: "quiet" }, "Reading …"));
    this.findings.hidden = true;
    this.grid = el("div", { class: "grid", hidden: true }, this.explained.section, this.past.section, this.whatIf.section, this.inputs.section);
    this.history.section.hidden = true;
    this.turn = 0;
  }

  elements() {
    return [
      el("div", { class: "page-head" }, el("p", { class: "crumb" }, el("a", { href: "#/" }, "Fleet")),
        el("h1", { tabindex: "-1" }, el("span", { class: "ns" }, `${this.who.namespace}/`), this.who.name), this.sub),
      this.error, this.explained.answer, this.problem,
      this.grid, this.history.section, this.findings,
    ];
  }

  // load asks for the state and its explanation, again and again. The last one asked for is the one that counts.
  async load() {
    const turn = ++this.turn;
    if (!document.hidden) {
      const [state, explanation] = await Promise.allSettled([api.autoscaler(this.who, this.signal), api.explanation(this.who, this.signal)]);
      if (this.signal.aborted || turn !== this.turn) return; // another has been asked for since, which has its own time to come
      const failed = [explanation, state].find((r) => r.status === "rejected");
      text(this.error, failed ? `${this.e ? "What is shown is no longer kept up to date: " : ""}${failed.reason.message}` : "");
      if (state.status === "fulfilled") this.state(state.value);
      if (explanation.status === "fulfilled") this.explain(explanation.value);
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), every);
  }

  // known shows the parts that have nothing to say of an autoscaler that there is not.
  known() {
    this.grid.hidden = this.history.section.hidden = false;
  }

  state(a) {
    this.known();
    this.a = a;
    const note = noteOf(a);
    text(this.sub, [`${a.target.kind}/${a.target.name}`, `strategy ${a.strategy}`, `mode ${a.mode}`, note && note !== "advice" ? note : ""].filter(Boolean).join(" · "));
    const problem = problemOf(a, a.decision ? since(a.decision.at) : 0);
    this.problem.hidden = !problem;
    if (problem) fill(this.problem, el("span", { class: "kind" }, problem.kind), problem.kind === "error" || problem.kind === "not written" || problem.kind === "late" ? problem.words : meaning[problem.kind]);
    this.inputs.show(a.inputs, this.targets, a.decision?.at);
    this.whatIf.knows(a.bounds, this.targets);
  }

  explain(e) {
    this.known();
    if (!this.e) this.lint();
    this.e = e;
    learn(this.targets, e.decision);
    this.explained.show(e);
  }

  // learnt is called when the chart has found out more of the targets.
  learnt() {
    if (this.a) this.state(this.a);
  }

  // told is a decision that the stream brought. The explanation of it is asked for a moment later, once for those that come together.
  told(d) {
    this.history.add([d]);
    this.soon ||= setTimeout(() => {
      this.soon = 0;
      this.load();
    }, 150);
  }

  async lint() {
    try {
      const list = await api.findings(this.who, this.signal);
      this.findings.replaceChildren(this.findings.firstElementChild, findingList(list));
      this.findings.hidden = list.length === 0;
    } catch { /* the page of findings says what is wrong with them */ }
  }

  redraw() {
    this.explained.redraw();
    this.history.redraw();
    this.past.chart.restyle();
    if (this.a) this.state(this.a);
  }
}

// meaning says what a problem means for somebody who was woken up; the chain has the numbers.
const meaning = {
  "no data": "some or all data are missing, so the count is held or raised, never lowered",
  short: "more replicas are wanted than the cluster takes",
  "at maximum": "the load asks for more than the upper bound allows",
  panic: "the load rose far above what the ready pods carry; until that is over, nothing is lowered",
};

