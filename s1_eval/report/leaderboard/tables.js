// Sorting any table of class `sortable`, and filtering rows by the controls with `data-filter`.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      // Words start at A, numbers at the largest.
      const [first, second] = heading.classList.contains("text")
        ? ["ascending", "descending"] : ["descending", "ascending"];
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      sortRows(table.tBodies[0], column, order === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(body, column, direction) {
  const keyed = [...body.rows].map((row) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return { row, text, missing: text === "" || text === "—", number: Number(text) };
  });
  keyed.sort((a, b) => {
    if (a.missing || b.missing) return a.missing - b.missing;
    const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
    return direction * (numbers ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true }));
  });
  body.append(...keyed.map(({ row }) => row));
}

const filters = [...document.querySelectorAll("[data-filter]")];

function chosen() {
  return Object.fromEntries(filters.map((control) => [control.dataset.filter, control.value]));
}

// facts: an object with model, task and method. text: what the search looks through.
function matches(facts, text, wanted) {
  return ["model", "task", "method"].every((name) => !wanted[name] || facts[name] === wanted[name])
    && text.toLowerCase().includes(wanted.text.trim().toLowerCase());
}

function filterRows() {
  const wanted = chosen();
  for (const row of document.querySelectorAll("tr[data-model]")) {
    row.hidden = !matches(row.dataset, row.textContent, wanted);
  }
  const all = [...document.querySelectorAll("tr[data-counted]")];
  const shown = all.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${all.length} series`;
}

if (filters.length) {
  filters[0].form.addEventListener("submit", (event) => event.preventDefault());
  filters[0].form.addEventListener("input", filterRows);
  filterRows(); // a browser may have kept what was typed
}
