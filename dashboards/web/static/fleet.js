// The fleet: a row for each autoscaler, problems first.
import { prose } from "./clock.js";
import { arrange, el, fill, text } from "./dom.js";
import { age, percent, plural } from "./format.js";
import { fleet, onFleet, ageOf } from "./live.js";
import { kinds, lastReason, loadOf, noteOf, pathOf, problemOf, rankOf, sentence } from "./model.js";

// Rows are made as they are scrolled to: a thousand autoscalers are a few dozen rows until somebody wants more.
const pageRows = 60;
// Rows change places at most this often, and not under the pointer.
const orderPause = 1000;

const byName = (x, y, sign = 1) => sign * (x.key < y.key ? -1 : x.key > y.key ? 1 : 0);
const by = (of) => (x, y, sign) => {
  const a = of(x) ?? null, b = of(y) ?? null;
  if (a === b) return 0;
  if (a === null) return 1; // what is not known comes last, either way round
  if (b === null) return -1;
  return a < b ? -sign : sign;
};

// Columns: what they are called, how they are sorted, and which way first.
const columns = [
  { id: "name", title: "Autoscaler", order: byName },
  { id: "replicas", title: "Replicas", number: true, order: by((r) => r.a.decision?.to), down: true },
  { id: "ready", title: "Ready", number: true, order: by((r) => r.a.inputs?.ready), down: true },
  { id: "bounds", title: "Min–max", number: true, order: by((r) => r.a.bounds?.maxReplicas), down: true },
  { id: "load", title: "Load", number: true, order: by((r) => r.load), down: true, help: "Load over target on the ready pods" },
  { id: "why", title: "Why", order: by((r) => r.rank) },
  { id: "age", title: "Age", number: true, order: by((r) => ageOf(r.a)), down: true, help: "Of the last decision, when it was last looked at" },
];

// show draws the fleet. query is what the address says: q, sort, dir, problems.
export function show(main, _parts, query, { title, replaceQuery }) {
  title("Fleet");
  const view = new Fleet(query, replaceQuery);
  fill(main, view.head, view.table, view.more, view.empty);
  view.derive(null);
  view.arrange(true);
  const stop = onFleet((changed) => view.heard(changed));
  return Object.assign(() => {
    stop();
    view.watchEnd.disconnect();
    clearTimeout(view.later);
  }, { redraw: () => view.redraw() });
}

class Fleet {
  constructor(query, replaceQuery) {
    this.query = { q: query.get("q") ?? "", sort: query.get("sort") ?? "", dir: query.get("dir") ?? "", problems: query.get("problems") === "1" };
    this.replaceQuery = replaceQuery;
    this.rows = new Map(); // by namespace/name: what is known, what is derived from it, and its element, once it has one
    this.order = [];
    this.limit = pageRows;
    this.arranged = 0;
    this.build();
  }

  build() {
    this.search = el("input", {
      type: "search", id: "search", placeholder: "Search", "aria-label": "Search the fleet by name, target, strategy or reason", value: this.query.q,
      autocomplete: "off", spellcheck: "false", oninput: () => this.ask({ q: this.search.value }),
    });
    this.only = el("input", { type: "checkbox", onchange: () => this.ask({ problems: this.only.checked }) });
    this.only.checked = this.query.problems;
    this.count = el("p", { class: "summary", role: "status" });
    this.head = el("div", { class: "fleet-head" },
      el("h1", { tabindex: "-1" }, "Fleet"), this.count,
      el("div", { class: "filters" }, el("label", { class: "check" }, this.only, "Only problems"),
        this.search, el("kbd", { "aria-hidden": "true" }, "/")));
    this.heads = columns.map((c) => el("th", { scope: "col", role: "columnheader", class: c.number ? `n c-${c.id}` : `c-${c.id}` },
      el("button", { type: "button", title: c.help, onclick: () => this.sortBy(c) }, c.title)));
    this.body = el("tbody", { role: "rowgroup", onclick: follow });
    this.table = el("table", { class: "fleet", role: "table" }, el("caption", { class: "unseen" }, "Autoscalers"),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, this.heads)), this.body);
    this.more = el("button", { type: "button", class: "more", hidden: true, onclick: () => this.extend() });
    this.empty = el("p", { class: "note" });
    this.watchEnd = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) this.extend(); }, { rootMargin: "600px" });
    this.watchEnd.observe(this.more);
  }

  ask(change) {
    Object.assign(this.query, change);
    const { q, sort, dir, problems } = this.query;
    this.replaceQuery({ q, sort, dir, problems: problems ? "1" : "" });
    this.limit = pageRows;
    this.arrange(true);
  }

  // sortBy sorts by a column, the other way round at the second click, and problems first again at the third.
  sortBy(c) {
    const first = c.down ? "desc" : "asc", second = c.down ? "asc" : "desc";
    if (this.query.sort !== c.id) this.ask({ sort: c.id, dir: first });
    else if (this.query.dir === first) this.ask({ dir: second });
    else this.ask({ sort: "", dir: "" });
  }

  heard(changed) {
    const problems = this.derive(changed);
    if (changed !== null && !problems && !this.query.sort && !this.query.q) return;
    const wait = this.arranged + orderPause - Date.now();
    if (wait <= 0) this.arrange();
    else this.later ||= setTimeout(() => this.arrange(), wait);
  }

  // derive works out what rows say, and says whether a rank changed. A row that is on the page is written at once.
  derive(changed) {
    let ranks = false;
    for (const key of changed ?? fleet.all.keys()) {
      const a = fleet.all.get(key);
      if (!a) continue;
      const row = this.rows.get(key) ?? { key };
      const problem = problemOf(a, ageOf(a));
      ranks ||= row.rank !== rankOf(problem);
      Object.assign(row, { a, problem, rank: rankOf(problem), load: loadOf(a) });
      this.rows.set(key, row);
      if (row.element) write(row);
    }
    if (changed === null) {
      for (const key of this.rows.keys()) if (!fleet.all.has(key)) this.rows.delete(key);
    }
    return ranks;
  }

  // arrange sorts, filters and puts the first rows on the page. While the reader is at a row, no row moves unless it was asked for.
  arrange(asked = false) {
    clearTimeout(this.later);
    this.later = 0;
    if (!asked && this.order.length > 0 && (this.body.matches(":hover") || this.body.contains(document.activeElement))) {
      this.later = setTimeout(() => this.arrange(), orderPause);
      return;
    }
    this.arranged = Date.now();
    const words = this.query.q.toLowerCase().split(/\s+/).filter(Boolean);
    this.order = [...this.rows.values()].filter((r) => (!this.query.problems || r.problem) && matches(r, words));
    const column = columns.find((c) => c.id === this.query.sort);
    const sign = this.query.dir === "desc" ? -1 : 1;
    this.order.sort(column ? (x, y) => column.order(x, y, sign) || byName(x, y) : (x, y) => x.rank - y.rank || byName(x, y));
    columns.forEach((c, i) => {
      const sorted = c.id === this.query.sort ? (sign < 0 ? "descending" : "ascending") : null;
      if (sorted) this.heads[i].setAttribute("aria-sort", sorted);
      else this.heads[i].removeAttribute("aria-sort");
    });
    this.place();
  }

  place() {
    const shown = this.order.slice(0, this.limit), keep = new Set(shown);
    for (const row of this.rows.values()) if (!keep.has(row)) row.element = null;
    for (const row of shown) {
      if (row.element) continue;
      row.element = make(row.key);
      row.why = null;
      write(row);
    }
    arrange(this.body, shown.map((r) => r.element));
    this.table.setAttribute("aria-rowcount", String(this.order.length + 1));
    this.more.hidden = this.order.length <= this.limit;
    text(this.more, `Show more: ${this.order.length - shown.length} of ${this.order.length} are not shown yet`);
    this.sayWhat();
  }

  // redraw writes all rows again, for another time zone.
  redraw() {
    for (const row of this.rows.values()) row.why = null;
    this.derive(null);
  }

  extend() {
    if (this.more.hidden) return;
    this.limit += pageRows;
    this.place();
  }

  sayWhat() {
    const problems = [...this.rows.values()].filter((r) => r.problem).length;
    const some = this.query.q || this.query.problems ? `${this.order.length} of ` : "";
    text(this.count, fleet.listed ? `${some}${plural(this.rows.size, "autoscaler")}, ${problems === 0 ? "no problems" : plural(problems, "problem")}` : "");
    this.table.hidden = this.order.length === 0;
    text(this.empty, this.order.length > 0 ? "" : emptiness(this.rows.size));
    this.empty.hidden = this.order.length > 0;
  }
}

function emptiness(known) {
  if (fleet.error) return `The fleet could not be read: ${fleet.error}`;
  if (!fleet.listed) return "Reading the fleet …";
  return known === 0 ? "No autoscaler is decided for." : "Nothing here is like that.";
}

function matches(row, words) {
  if (words.length === 0) return true;
  const { a } = row;
  const all = `${row.key} ${a.target?.kind}/${a.target?.name} ${a.strategy} ${a.mode} ${row.problem?.kind ?? ""} ${why(row)}`.toLowerCase();
  return words.every((w) => all.includes(w));
}

const why = (row) => row.problem?.words ?? (lastReason(row.a.decision) ? sentence(lastReason(row.a.decision)) : "");

// make is a row without words. The roles are said, since on a narrow screen the table is not laid out as one.
function make(key) {
  return el("tr", { role: "row", data: { key } },
    el("th", { scope: "row", role: "rowheader", class: "c-name" }, el("a", null, el("span", { class: "ns" }), el("span", { class: "nm" })), el("span", { class: "tag" })),
    columns.slice(1).map((c) => el("td", { role: "cell", class: `${c.number ? "n " : ""}c-${c.id}` }, c.id === "why" ? [el("span", { class: "kind" }), el("span", { class: "words" })] : null)));
}

// write puts into a row's cells what is known now. Only what changed touches the page.
function write(row) {
  const { a, problem, element } = row;
  const [name, replicas, ready, bounds, load, reason, old] = element.children;
  const link = name.firstElementChild;
  if (!link.hasAttribute("href")) {
    link.href = pathOf(a);
    text(link.firstElementChild, `${a.namespace}/`);
    text(link.lastElementChild, a.name);
  }
  text(name.lastElementChild, noteOf(a));
  const d = a.decision, level = problem ? String(kinds.indexOf(problem.kind)) : "";
  if (element.dataset.level !== level) element.dataset.level = level;
  text(replicas, !d ? "no data" : d.from === d.to ? String(d.to) : `${d.from} → ${d.to}`);
  replicas.classList.toggle("moves", Boolean(d) && d.from !== d.to);
  text(ready, a.inputs && d ? String(a.inputs.ready) : "no data");
  text(bounds, a.bounds ? `${a.bounds.minReplicas}–${a.bounds.maxReplicas}` : "");
  text(load, row.load === null ? "no data" : percent(row.load));
  text(reason.firstElementChild, problem?.kind ?? "");
  if (row.why !== why(row)) {
    row.why = why(row);
    fill(reason.lastElementChild, prose(row.why));
    reason.title = row.why;
  }
  text(old, d ? age(ageOf(a)) : "");
}

// follow goes where the row's link goes, unless the click is on it or ends a selection.
function follow(event) {
  const row = event.target.closest("tr");
  if (!row || event.target.closest("a") || String(window.getSelection()) !== "") return;
  row.querySelector("a").click();
}

