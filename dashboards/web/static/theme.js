// The chosen theme is set before the first paint, so that a dark page does not flash white. Not a module: those run later.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("flyball.theme");
  } catch { /* storage is switched off: the system's theme it is */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
