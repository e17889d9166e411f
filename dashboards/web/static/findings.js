// What lint says of the autoscalers that there are, worst first.
import * as api from "./api.js";
import { el, fill, text } from "./dom.js";
import { plural, word } from "./format.js";
import { keyOf, pathOf } from "./model.js";

const severities = ["SEVERITY_ERROR", "SEVERITY_WARNING", "SEVERITY_NOTE"];
const severity = (f) => word(f.severity, "SEVERITY_");

export function show(main, _parts, query, { title, replaceQuery, signal }) {
  title("Findings");
  let all = null, error = "";
  const count = el("p", { class: "summary", role: "status" });
  const search = el("input", {
    type: "search", id: "search", placeholder: "Search", "aria-label": "Search findings", value: query.get("q") ?? "",
    autocomplete: "off", spellcheck: "false", oninput: () => change(),
  });
  const notes = el("input", { type: "checkbox", onchange: () => change() });
  notes.checked = query.get("notes") === "1";
  const list = el("div", { class: "findings" });
  const note = el("p", { class: "note" });
  fill(main, el("div", { class: "fleet-head" }, el("h1", { tabindex: "-1" }, "Findings"), count,
    el("div", { class: "filters" }, el("label", { class: "check" }, notes, "Notes too"), search, el("kbd", { "aria-hidden": "true" }, "/"))), list, note);

  function change() {
    replaceQuery({ q: search.value, notes: notes.checked ? "1" : "" });
    draw();
  }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const some = (all ?? []).filter((f) => (notes.checked || f.severity !== "SEVERITY_NOTE") &&
      words.every((w) => `${keyOf(f)} ${severity(f)} ${f.field} ${f.text}`.toLowerCase().includes(w)));
    fill(list, groups(some));
    const of = (s) => (all ?? []).filter((f) => f.severity === s).length;
    text(count, all ? `${plural(of("SEVERITY_ERROR"), "error")}, ${plural(of("SEVERITY_WARNING"), "warning")}, ${plural(of("SEVERITY_NOTE"), "note")}` : "");
    text(note, error ? `The findings could not be read: ${error}` : !all ? "Reading the findings …" : some.length > 0 ? ""
      : all.length === 0 || words.length > 0 || notes.checked ? "There is nothing to say." : "No error and no warning. What is right and worth knowing is among the notes.");
    note.hidden = note.textContent === "";
  }
  draw();
  api.findings(null, signal).then((f) => { all = f; }, (err) => { error = err.message; }).then(() => signal.aborted || draw());
  return () => {};
}

// groups are the findings by autoscaler, those with the worst first.
function groups(findings) {
  const by = Map.groupBy(findings, keyOf);
  const worst = (list) => Math.min(...list.map((f) => severities.indexOf(f.severity)));
  return [...by].sort(([a, x], [b, y]) => worst(x) - worst(y) || (a < b ? -1 : 1)).map(([key, list]) =>
    el("section", { "aria-label": key }, el("h2", null, el("a", { href: pathOf(list[0]) }, key)), findingList(list)));
}

export function findingList(list) {
  return el("ul", null, list.map((f) => el("li", { data: { severity: severity(f) } },
    el("span", { class: "severity" }, severity(f)), el("span", { class: "said" }, f.field ? el("code", null, f.field) : null, f.text))));
}
