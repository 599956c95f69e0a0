// The page: which part of it a link names, and the keys.
import { get, h } from "./dom.js";
import { live } from "./live.js";
import { question, run, runs } from "./recorded.js";

const main = document.getElementById("main");
let keys = {};
let turn = 0;
let about = null;
let leaving = new AbortController(); // ends what a part of the page still listens to

const FOCUSABLE = "a, button, input, select, summary, textarea, [tabindex]";
const HELP = [["n", "next forced token"], ["p", "forced token before"], ["j", "next question"], ["k", "question before"], ["/", "search in the chain"], ["Enter", "next found, in the search field; with Shift the one before"]];

async function show() {
  const mine = ++turn;
  const { hash } = location;
  const [path, asked] = hash.replace(/^#\/?/, "").split("?");
  const query = Object.fromEntries(new URLSearchParams(asked));
  const next = h("div", { class: "view" }), its = {};
  leaving.abort();
  leaving = new AbortController();
  try {
    const parts = path.split("/").map(decodeURIComponent);
    about ??= await get("about");
    pages();
    const title = await view(parts)(next, parts.slice(1), query, its, { about, signal: leaving.signal });
    if (mine !== turn) return; // the reader has gone on
    document.title = `${title} · s1_eval`;
  } catch (error) {
    if (mine !== turn) return;
    next.replaceChildren(h("h1", {}, "That can't be shown"), h("p", { class: "bad" }, error.message), h("p", {}, h("a", { href: "#/" }, "To the beginning")));
  }
  if (Object.keys(its).length) next.append(help());
  const moved = main.dataset.path !== path;
  Object.assign(main.dataset, { path, hash });
  keys = its;
  const focused = [...main.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  main.replaceChildren(next);
  if (!moved) main.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
  if (moved) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function view([name, , sample]) {
  if (!name) return about.recorded ? runs : live;
  if (name === "live" && about.live) return live;
  if (name === "run") return sample === undefined ? run : question;
  throw new Error("there is no such part of the page");
}

function pages() {
  const parts = [about.recorded && ["#/", "Recorded"], about.live && ["#/live", "Live"]].filter(Boolean);
  document.getElementById("pages").replaceChildren(...parts.map(([href, name]) => h("a", { href }, name)));
}

function help() {
  const on = h("input", { type: "checkbox", checked: keysOn(), onchange: () => localStorage.setItem("keys", on.checked ? "on" : "off") });
  return h("details", { class: "keys" }, h("summary", {}, "Keys"), h("label", {}, on, " single keys work"),
    h("dl", {}, HELP.map(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])));
}

const keysOn = () => localStorage.getItem("keys") !== "off";

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keysOn() || !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
});
addEventListener("hashchange", (event) => {
  if (location.hash === "#main") return history.replaceState(null, "", event.oldURL); // the skip link
  show();
});
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
show();
