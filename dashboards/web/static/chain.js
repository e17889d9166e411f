// The explanation of one decision: the answer, the chain of rules that leads to it, and what else is known of it.
import { at, prose, since, now } from "./clock.js";
import { copyButton, el, fill, section, text } from "./dom.js";
import { age, plural } from "./format.js";
import { decisionPath, lastReason } from "./model.js";

// answer is the count and the reason that had the last word, large: what somebody wants to know who was woken up.
export function answer(e) {
  const d = e.decision, last = lastReason(d);
  return el("div", { class: "answer", data: { verdict: verdict(d) } },
    el("p", { class: "figure" }, counts(d), el("span", { class: "unit" }, d.to === 1 && d.from === d.to ? "replica" : "replicas")),
    el("p", { class: "because" }, el("span", { class: "join" }, "because "),
      last ? [el("span", { class: "rule" }, last.rule), " ", prose(last.because)] : "no rule said anything"));
}

function counts(d) {
  return d.from === d.to ? String(d.to) : [String(d.from), arrow(), String(d.to)];
}

// arrow is read aloud as a word.
const arrow = () => [el("span", { class: "unseen" }, " to "), el("span", { "aria-hidden": "true" }, " → ")];

const verdict = (d) => d.verdict.replace("VERDICT_", "").toLowerCase();
const verdicts = { scale_up: "Scale up", scale_down: "Scale down", hold: "Hold" };

// chain is a list with a line for each rule: the count that it took, the count that it passed on, and its sentence.
export function chain(reasons) {
  return el("ol", { class: "chain" }, reasons.map((r, i) => el("li", { class: i === reasons.length - 1 ? "last" : null, data: { rule: r.rule, from: r.from, to: r.to } },
    el("span", { class: "rule" }, r.rule),
    el("span", { class: "step" }, el("span", { class: "from" }, String(r.from)), arrow(), el("span", { class: "to" }, String(r.to))),
    el("span", { class: "sentence" }, prose(r.because)))));
}

// lineOf is what the explanation's own text says on a line, so that every face of flyball says it in the same words.
function lineOf(e, start) {
  const found = e.text.match(new RegExp(`^${start}(?:, as of \\S+)?: (.*)$`, "m"));
  return found ? found[1] : "";
}

// facts are what else there is to know of the decision.
function facts(e) {
  const d = e.decision, first = e.firstTime ?? d.at;
  const rows = [
    ["Verdict", verdicts[verdict(d)] ?? verdict(d)],
    ["Outcome", prose(lineOf(e, "outcome") || d.outcome?.why || "none written down")],
    ["Since", [at(first), `, ${age(since(first))} ago`]],
    ["Confirmed", confirmed(e)],
    ["Numbers", ["as of ", at(d.at)]],
    ["Next change", next(e)],
    ["Bounds", [`${e.bounds.minReplicas} to ${e.bounds.maxReplicas}`, e.bounds.schedule ? `, by schedule ${e.bounds.schedule}` : "",
      e.bounds.until ? [" until ", at(e.bounds.until)] : ""]],
    ["Decision", el("a", { href: decisionPath(d.id), class: "id" }, d.id)],
  ];
  return el("dl", { class: "facts" }, rows.map(([k, v]) => el("div", { data: { fact: k } }, el("dt", null, k), el("dd", null, v))));
}

function confirmed(e) {
  if (!e.sameComplete) return "by every decision since; they are no longer counted";
  if (e.sameCount === 0) return "no decision since";
  return [`by ${plural(e.sameCount, "decision")} since, the last at `, at(e.lastTime)];
}

function next(e) {
  const [before, ...after] = lineOf(e, "next change").split(/\b\d\d:\d\d:\d\dZ/); // the time without its day; the answer has it whole
  const said = [before, after.length > 0 && e.nextChangeTime ? at(e.nextChangeTime) : "", ...after];
  const left = e.nextChangeTime ? (new Date(e.nextChangeTime).getTime() - now()) / 1000 : 0;
  return left > 0 ? [said, `: in ${age(left)}`] : said;
}

// counterfactuals say what would have been decided without a bound.
function counterfactuals(e) {
  if (e.counterfactuals.length === 0) return el("p", { class: "quiet without" }, "Without the bounds: the same.");
  return el("ul", { class: "without" }, e.counterfactuals.map((c) =>
    el("li", null, `without ${c.bound} ${c.value}: `, el("strong", null, plural(c.to, "replica")))));
}

// Explained is all of it. The numbers are new every few seconds, so a screen reader is told only when the count or the rule is,
// and what the reader has selected or is at stays as it is.
export class Explained {
  constructor(title) {
    this.said = el("p", { class: "unseen", "aria-live": "polite" });
    this.answer = el("div", { class: "answers" });
    this.list = el("div");
    this.more = el("div");
    this.section = section(title, this.said, this.list, this.more,
      el("p", { class: "actions" }, copyButton("Copy as text", () => this.e?.text ?? ""),
        copyButton("Copy link", () => new URL(decisionPath(this.e?.decision.id ?? ""), document.baseURI).href)));
  }

  show(e) {
    if (this.e && this.busy()) return;
    const d = e.decision;
    this.e = e;
    text(this.said, `${plural(d.to, "replica")}: ${lastReason(d)?.rule ?? ""}`);
    fill(this.answer, answer(e));
    fill(this.list, chain(d.reasons), counterfactuals(e));
    fill(this.more, facts(e));
  }

  busy() {
    const selection = getSelection();
    return this.more.contains(document.activeElement) ||
      !selection.isCollapsed && [this.answer, this.list, this.more].some((part) => selection.containsNode(part, true));
  }

  // redraw writes it again, for another time zone.
  redraw() {
    const e = this.e;
    this.e = null;
    if (e) this.show(e);
  }
}
