// What is scraped and how its scrapes go, those that are down first.
import * as api from "./api.js";
import { since } from "./clock.js";
import { el, fill, scrolls, text } from "./dom.js";
import { age, plural } from "./format.js";

const every = 5000, most = 500;
const healths = ["down", "unknown", "up"];

export function show(main, _parts, query, { title, replaceQuery, signal }) {
  title("Endpoints");
  let all = null, error = "";
  const count = el("p", { class: "summary", role: "status" });
  const search = el("input", {
    type: "search", id: "search", placeholder: "Search", "aria-label": "Search endpoints by address, label, health or error", value: query.get("q") ?? "",
    autocomplete: "off", spellcheck: "false", oninput: () => { replaceQuery({ q: search.value }); draw(); },
  });
  const body = el("tbody");
  const heads = [["Endpoint"], ["Health"], ["Of"], ["Last scrape", "n"], ["Took", "n"], ["Error"]];
  const table = scrolls("Endpoints", el("table", { class: "endpoints" }, el("caption", { class: "unseen" }, "Endpoints"),
    el("thead", null, el("tr", null, heads.map(([h, c]) => el("th", { scope: "col", class: c }, h)))), body));
  const note = el("p", { class: "note" });
  fill(main, el("div", { class: "fleet-head" }, el("h1", { tabindex: "-1" }, "Endpoints"), count,
    el("div", { class: "filters" }, search, el("kbd", { "aria-hidden": "true" }, "/"))), table, note);

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const some = (all ?? []).filter((e) => words.every((w) => JSON.stringify(e).toLowerCase().includes(w)))
      .sort((x, y) => healths.indexOf(x.health) - healths.indexOf(y.health) || (x.scrapeUrl < y.scrapeUrl ? -1 : 1));
    fill(body, some.slice(0, most).map(row));
    const down = (all ?? []).filter((e) => e.health === "down").length;
    text(count, all ? `${words.length ? `${some.length} of ` : ""}${plural(all.length, "endpoint")}, ${down ? `${down} down` : "none down"}` : "");
    table.hidden = some.length === 0;
    text(note, error ? `The endpoints could not be read: ${error}` : !all ? "Reading the endpoints …" : some.length === 0 ? "No endpoint is like that."
      : some.length > most ? `The first ${most} are shown; search for others.` : "");
    note.hidden = note.textContent === "";
  }

  let timer = 0;
  async function load() {
    try {
      if (!document.hidden) all = await api.endpoints(signal);
      error = "";
    } catch (err) {
      if (signal.aborted) return;
      error = err.message;
    }
    draw();
    timer = setTimeout(load, every);
  }
  draw();
  load();
  return () => clearTimeout(timer);
}

function row(e) {
  const { endpoint, job, ...rest } = e.labels;
  const never = e.lastScrape.startsWith("0001-");
  return el("tr", { data: { health: e.health } },
    el("th", { scope: "row", class: "url" }, e.scrapeUrl),
    el("td", null, el("span", { class: "health" }, e.health)),
    el("td", null, ownerOf(rest) || job || ""),
    el("td", { class: "n" }, never ? "never" : `${age(since(e.lastScrape))} ago`),
    el("td", { class: "n" }, never ? "" : `${(e.lastScrapeDuration * 1000).toFixed(1)} ms`),
    el("td", { class: "error" }, e.lastError));
}

// ownerOf is whose endpoint it is, for people: the pod or the node.
function ownerOf(l) {
  if (l.pod) return `${l.namespace}/${l.pod}`;
  if (l.namespace) return [l.namespace, l.workload ?? l.name].filter(Boolean).join("/");
  return l.node ? `node ${l.node}` : "";
}
