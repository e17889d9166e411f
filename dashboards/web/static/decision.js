// One decision, by its id: what events, alerts and logs link to.
import * as api from "./api.js";
import { at } from "./clock.js";
import { Explained } from "./chain.js";
import { el, fill, text } from "./dom.js";
import { History } from "./history.js";
import { Inputs } from "./inputs.js";
import { keyOf, pathOf } from "./model.js";
import { Past, learn } from "./past.js";

export function show(main, [id], query, ctx) {
  ctx.title("Decision");
  const head = el("h1", { tabindex: "-1" }, "Decision"), sub = el("p", { class: "summary" }), note = el("p", { class: "note", role: "status" }, "Reading the decision …");
  fill(main, el("div", { class: "page-head" }, el("p", { class: "crumb" }, el("a", { href: "#/" }, "Fleet")), head, sub), note);
  let view = null;
  api.explanationOf(id, ctx.signal).then((e) => {
    const d = e.decision;
    ctx.title(`Decision of ${keyOf(d)}`);
    fill(head, "Decision of ", el("a", { href: pathOf(d) }, keyOf(d)));
    view = new View(e, query, ctx, sub);
    note.remove();
    main.append(...view.elements());
    view.past.load();
  }, (err) => {
    if (!ctx.signal.aborted) text(note, `This decision cannot be shown: ${err.message}`);
  });
  return Object.assign(() => view?.past.dispose(), { redraw: () => view?.redraw() });
}

class View {
  constructor(e, query, { replaceQuery, signal }, sub) {
    const d = e.decision, targets = new Map();
    Object.assign(this, { e, sub, targets });
    learn(targets, d);
    this.explained = new Explained("Why");
    this.inputs = new Inputs();
    this.history = new History(d, signal);
    this.past = new Past({
      who: d, signal, history: this.history, targets, range: query.get("range"), until: new Date(d.at).getTime() / 1000,
      chosen: (range) => replaceQuery({ range }), loaded: () => this.inputs.show(e.inputs, targets, d.at),
    });
    this.redraw();
  }

  elements() {
    return [this.explained.answer, el("div", { class: "grid" }, this.explained.section, this.past.section), this.inputs.section, this.history.section];
  }

  redraw() {
    const d = this.e.decision;
    fill(this.sub, at(d.at), ` · ${d.target.kind}/${d.target.name} · `, el("a", { href: pathOf(d) }, "what holds now"));
    this.explained.redraw();
    this.explained.show(this.e);
    this.inputs.show(this.e.inputs, this.targets, d.at);
    this.history.redraw();
    this.past.chart.restyle();
  }
}
