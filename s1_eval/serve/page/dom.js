// Elements and requests. Text only ever becomes a text node: nothing here reads HTML.

// h("a", {class: "x", href: "#", onclick: f}, "text", child, [more], null)
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return put(element, children);
}

// Children that are null, undefined or false are none.
export function put(element, ...children) {
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// What the server says at a path under api/. Raises Error with its words where it refuses.
export async function get(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const response = await fetch(`api/${path}?${asked}`);
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(said.error ?? `the server answered ${response.status}`);
  return said;
}

// A place on this page: link("run", id, sample, epoch)({chain: 2})
export function link(parts, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const path = parts.map((part) => encodeURIComponent(String(part).toWellFormed())).join("/");
  return `#/${path}${asked.size ? `?${asked}` : ""}`;
}

// Said to a screen reader, and to nobody else.
export function say(text) {
  document.getElementById("said").textContent = text;
}

export const number = (value, digits = 0, least = 0) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: least });

const SIGNS = { right: "✓", wrong: "✗", "no answer": "∅", "not graded": "?" };

export function verdict(name) {
  const kind = { right: "good", wrong: "wrong" }[name] ?? "soft";
  return h("span", { class: `verdict ${kind}` }, h("span", { "aria-hidden": "true" }, SIGNS[name] ?? "?"), ` ${name}`);
}

// Control, format and direction characters spelled out, as the server does with what is recorded.
export function inert(text) {
  return text.replace(/[^\P{C}\n\t]/gu, (found) => {
    const code = found.codePointAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : code < 65536 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}
