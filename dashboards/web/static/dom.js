// Builds elements. Text is always set as text: what an exporter or a manifest says is never read as HTML.

// el makes an element. In props, on… is a listener, class and data are what they say, and the rest are attributes; one that is
// null, undefined or false is left out.
export function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key === "data") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// fill replaces what an element holds.
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// arrange makes nodes the children of an element, in order. What is in place already is not touched, so it keeps the focus.
export function arrange(parent, nodes) {
  const keep = new Set(nodes);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

// text sets an element's text if it is another, so that what stays the same is not drawn again.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// copyButton puts what make returns on the clipboard, and says so.
export function copyButton(label, make) {
  const button = el("button", { type: "button", class: "small", onclick: async () => {
    const done = await copy(make());
    button.textContent = done ? "Copied" : "Copy failed";
    setTimeout(() => { button.textContent = label; }, 1500);
  } }, label);
  return button;
}

// copy uses a text area where the page is not served over TLS or from loopback: browsers keep the clipboard from it there.
async function copy(what) {
  try {
    await navigator.clipboard.writeText(what);
    return true;
  } catch {
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = what;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// section is a part of a page with its heading, named by it.
let sections = 0;
export function section(title, ...children) {
  const id = `s${++sections}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

// scrolls wraps a table, so that a narrow screen scrolls the table and not the page, by keyboard too.
export function scrolls(label, ...children) {
  return el("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": label }, ...children);
}
