// What an autoscaler's state amounts to: whether somebody should look at it, and why. Nothing here knows the page.
import { age, seconds } from "./format.js";

export const keyOf = (a) => `${a.namespace}/${a.name}`;
export const pathOf = (a) => `#/autoscalers/${encodeURIComponent(a.namespace)}/${encodeURIComponent(a.name)}`;
export const decisionPath = (id) => `#/decisions/${encodeURIComponent(id)}`;
export const sentence = (r) => `${r.rule}: ${r.because}`;
export const lastReason = (d) => d?.reasons?.at(-1);

const notWritten = new Set(["Contested", "Conflict", "TargetGone", "Refused", "Unreachable"]);
const noData = new Set(["no-data", "incomplete"]);
const asking = new Set(["need", "steady"]);

// late is how old a decision may be, in seconds, before that is a problem: they are made every second or two.
const late = 30;

// Kinds of problem, worst first. Advice and a pause are worth knowing, and no problem.
export const kinds = ["error", "not written", "late", "no data", "short", "at maximum", "panic"];

// problemOf says what somebody should look after, as {kind, words}; null when all is well. ageOf is how old the decision is.
export function problemOf(a, ageOf) {
  const d = a.decision;
  if (a.error) return { kind: "error", words: a.error };
  if (!d) return { kind: "error", words: "no decision yet" };
  if (notWritten.has(d.outcome?.why)) {
    return { kind: "not written", words: [d.outcome.why, d.outcome.detail].filter(Boolean).join(": ") };
  }
  if (ageOf > late) return { kind: "late", words: `no decision for ${age(ageOf)}` };
  return problemIn(d);
}

function problemIn(d) {
  const reasons = d.reasons ?? [];
  const is = (kind, r) => r && { kind, words: sentence(r) };
  return is("no data", reasons.find((r) => noData.has(r.rule) || (asking.has(r.rule) && r.absent?.length > 0))) ??
    is("short", reasons.find((r) => r.rule === "capacity")) ??
    is("at maximum", reasons.find((r) => (r.rule === "bounds" || r.rule === "schedule") && r.case === "max" && r.from > r.to)) ??
    is("panic", inPanic(d)) ?? null;
}

// inPanic is the reason that says so: the windows' own while the panic lasts, or the rule's.
function inPanic(d) {
  return d.reasons.find((r) => r.rule === "panic") ?? d.reasons.find((r) => asking.has(r.rule) && r.until);
}

// noteOf is what is no problem and still worth a word; "" when there is nothing.
export function noteOf(a) {
  if (a.decision?.outcome?.why === "NotLeader") return "standby";
  if (a.decision?.reasons?.some((r) => r.rule === "pause")) return "paused";
  if (a.inputs?.delegated) return "delegated";
  return a.mode === "Advise" ? "advice" : "";
}

export function rankOf(problem) {
  return problem ? kinds.indexOf(problem.kind) : kinds.length;
}

// loadOf is load over target on the ready pods, 1 on target; null when nothing usable was measured.
export function loadOf(a) {
  const r = a.decision?.reasons?.find((one) => asking.has(one.rule) && one.window?.value !== undefined && one.target > 0);
  if (!r) return null;
  const value = r.targetType === "Value" ? r.window.value : r.window.value / Math.max(1, a.inputs?.ready ?? 1);
  return value / r.target;
}

// usable says whether a window's value may be used.
export const usable = (w) => w?.state === "WINDOW_STATE_FRESH" && w.value !== undefined;

// oldest is the age of a window's newest sample in seconds; null when there is none.
export const oldest = (w) => seconds(w?.newestAge);

// changes counts how often a row of counts changes; what is unknown in between is no change.
export function changes(counts) {
  let n = 0, last = null;
  for (const c of counts) {
    if (c === null || c === undefined) continue;
    if (last !== null && c !== last) n++;
    last = c;
  }
  return n;
}
