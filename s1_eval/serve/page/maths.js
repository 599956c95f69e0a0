// Mathematics: where it stands in a text, and KaTeX, which is loaded when the first is seen.

const FORMS = /\$\$([^$]{1,4000}?)\$\$|\\\[([^]{1,4000}?)\\\]|\\\(([^]{1,2000}?)\\\)|(?<![\\$\d])\$(?![\s$])([^$\n]{1,1000}?)(?<![\s\\])\$(?![\d$])/g;

// [{start, end, source, display}], in order. A dollar sign alone, as in "$5 and $6", is none.
export function findMaths(text) {
  if (!/[$\\]/.test(text)) return [];
  return [...text.matchAll(FORMS)].map((found) => ({
    start: found.index,
    end: found.index + found[0].length,
    source: found[1] ?? found[2] ?? found[3] ?? found[4],
    display: (found[1] ?? found[2]) !== undefined,
  }));
}

let loaded = null;

function katex() {
  loaded ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "page/katex/katex.min.js";
    script.onload = () => done(window.katex);
    script.onerror = failed;
    document.head.append(script);
  });
  return loaded;
}

const SETTINGS = { throwOnError: false, trust: false, strict: "ignore", maxSize: 20, maxExpand: 200, errorColor: "currentcolor" };
const waiting = [];
let working = false;

// Put the formula in the place of its source, when there is time: never many at once.
export function typeset(element, { source, display }) {
  waiting.push([element, source, display]);
  if (!working) work();
}

async function work() {
  working = true;
  const { render } = await katex();
  while (waiting.length) {
    const until = performance.now() + 3;
    while (waiting.length && performance.now() < until) {
      const [element, source, displayMode] = waiting.shift();
      if (!element.isConnected || /\\(href|url|include|html)/.test(source)) continue; // KaTeX would drop these
      const written = element.textContent;
      try {
        render(source, element, { ...SETTINGS, displayMode });
      } catch {
        element.textContent = written; // beyond what KaTeX takes: its source says it all
      }
    }
    await new Promise(requestAnimationFrame);
  }
  working = false;
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    for (const element of target.querySelectorAll(".maths")) typeset(element, element.formula);
  }
}, { rootMargin: "400px" });

// Typeset what is in an element once it is near the screen.
export function whenSeen(element) {
  if (element.querySelector(".maths")) seen.observe(element);
}
