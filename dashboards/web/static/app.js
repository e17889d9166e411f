// The frame of the page: which view is shown, keys, theme, time zone, and whether what is shown is still true.
import * as api from "./api.js";
import * as autoscaler from "./autoscaler.js";
import { isLocal, toggleZone, zoneName } from "./clock.js";
import * as decision from "./decision.js";
import { text } from "./dom.js";
import * as endpoints from "./endpoints.js";
import * as findings from "./findings.js";
import * as fleetView from "./fleet.js";
import { age } from "./format.js";
import { fleet, onFleet, onStream, shownAge, start, stream } from "./live.js";

const byId = (id) => document.getElementById(id);
const main = byId("main");

// Views by the first word of the address, and how many words follow it.
const views = {
  "": [fleetView, 0], autoscalers: [autoscaler, 2], decisions: [decision, 1], endpoints: [endpoints, 0], findings: [findings, 0],
};

let current = null; // {leave, control} of the view that is shown

// route shows what the address says. Focus goes to its heading, so that a screen reader goes along, but for the first.
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const words = path.split("/").filter(Boolean).map(decoded);
  const [view, count] = views[words[0] ?? ""] ?? [];
  current?.control.abort();
  current?.leave();
  const control = new AbortController();
  const ctx = {
    signal: control.signal,
    title: (t) => {
      document.title = `${t} · flyball`;
      text(byId("said"), t);
    },
    replaceQuery: (change) => replaceQuery(path, change),
  };
  const first = current === null;
  const shown = view && words.length - (words.length > 0 ? 1 : 0) === count ? view : lost;
  current = { control, leave: shown.show(main, words.slice(1), new URLSearchParams(query), ctx) ?? (() => {}) };
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#/${words[0] ?? ""}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (first) return;
  window.scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function decoded(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

function replaceQuery(path, change) {
  const [, old = ""] = location.hash.split("?");
  const query = new URLSearchParams(old);
  for (const [k, v] of Object.entries(change)) {
    if (v) query.set(k, v);
    else query.delete(k);
  }
  history.replaceState(null, "", `#/${path}${query.size ? `?${query}` : ""}`);
}

const lost = { show: (into, _parts, _query, { title }) => {
  title("Not found");
  const h1 = document.createElement("h1"), p = document.createElement("p");
  h1.tabIndex = -1;
  h1.textContent = "There is no such page";
  p.textContent = "The address names nothing that this page shows.";
  into.replaceChildren(h1, p);
} };

// Theme: as the system has it, or as chosen here.
const themes = ["", "light", "dark"];

function showTheme() {
  const chosen = document.documentElement.dataset.theme ?? "";
  text(byId("theme"), { "": "Auto", light: "Light", dark: "Dark" }[chosen]);
  byId("theme").setAttribute("aria-label", `Theme: ${byId("theme").textContent}`);
  current?.leave.redraw?.();
}

byId("theme").addEventListener("click", () => {
  const next = themes[(themes.indexOf(document.documentElement.dataset.theme ?? "") + 1) % themes.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  try {
    localStorage.setItem("flyball.theme", next);
  } catch { /* for this visit only */ }
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

function showZone() {
  text(byId("zone"), isLocal() ? "Local" : "UTC");
  byId("zone").setAttribute("aria-label", `Times: ${byId("zone").textContent}`);
  byId("zone").title = `Times in ${zoneName()}`;
  current?.leave.redraw?.();
}
byId("zone").addEventListener("click", () => {
  toggleZone();
  showZone();
});

// Whether what is shown is still true is said at the top, and at length when it is not.
function showStream() {
  const box = byId("lost").parentElement, bad = stream.begun && !stream.live || Boolean(fleet.error);
  const state = stream.live ? "live" : stream.begun ? "reconnecting" : "connecting";
  byId("stream").dataset.state = state;
  text(byId("stream"), state);
  box.hidden = !bad;
  text(byId("lost"), !bad ? "" : fleet.error ? `flyball cannot be read (${fleet.error}); trying again.` : "The stream of decisions is interrupted; trying again.");
  text(byId("lost-age"), bad ? `What is shown is as of ${age(shownAge())} ago.` : "");
}
onStream(showStream);
onFleet(showStream);
setInterval(showStream, 1000);

// Keys. None acts while somebody types.
const help = byId("help");
let before = "", beforeAt = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const go = before === "g" && Date.now() - beforeAt < 1000 ? { f: "#/", e: "#/endpoints", l: "#/findings" }[event.key] : null;
  before = event.key;
  beforeAt = Date.now();
  if (go) location.hash = go;
  else if (event.key === "/" && byId("search")) byId("search").focus();
  else if (event.key === "?") openHelp();
  else return;
  event.preventDefault();
});

function openHelp() {
  help.showModal();
  api.build().then((b) => text(byId("build"), `flyball ${b.revision}, ${b.goVersion}`), () => {});
}
byId("help-open").addEventListener("click", openHelp);
byId("help-close").addEventListener("click", () => help.close());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address after the # is the view's
  main.focus();
});

addEventListener("hashchange", route);
showTheme();
showZone();
showStream();
start();
route();
