// Sorting any table of class `sortable`, and filtering rows by the controls with `data-filter`.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) sortable(table);

function sortable(table) {
  const name = table.dataset.state ?? "sort";
  const built = [...table.tBodies[0].rows];
  const headings = [...table.tHead.rows[0].cells];
  const choice = document.querySelector(`[data-sort-of="${name}"]`);
  headings.forEach((heading) => {
    const label = heading.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    // Words start at A, numbers at the largest.
    const [first, second] = heading.classList.contains("text") ? ["", "-"] : ["-", ""];
    button.addEventListener("click", () => {
      state.write(name, (state.read(name) === first + label ? second : first) + label);
    });
    choice?.append(new Option(label, first + label), new Option(`${label}, the other way`, second + label));
  });
  choice?.addEventListener("input", () => state.write(name, choice.value));
  state.shows.push(() => {
    const wanted = state.read(name);
    const column = headings.findIndex((heading) => heading.textContent === wanted.replace(/^-/, ""));
    const down = wanted.startsWith("-");
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    if (choice) choice.value = column < 0 ? "" : wanted;
    headings[column]?.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...(column < 0 ? built : sorted(built, column, down ? -1 : 1)));
  });
}

function sorted(rows, column, direction) {
  const keyed = rows.map((row) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return { row, text, missing: text === "" || text === "—", number: Number(text) };
  });
  keyed.sort((a, b) => {
    if (a.missing || b.missing) return a.missing - b.missing;
    const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
    return direction * (numbers ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true }));
  });
  return keyed.map(({ row }) => row);
}

const filters = [...document.querySelectorAll("[data-filter]")];

function chosen() {
  return Object.fromEntries(filters.map(({ dataset: { filter } }) => [filter, state.read(filter)]));
}

// facts: an object with model, task and method. text: what the search looks through.
function matches(facts, text, wanted) {
  return ["model", "task", "method"].every((name) => !wanted[name] || facts[name] === wanted[name])
    && text.toLowerCase().includes(wanted.text.trim().toLowerCase());
}

function filterRows() {
  const wanted = chosen();
  for (const control of filters) if (control.value !== wanted[control.dataset.filter]) control.value = wanted[control.dataset.filter];
  for (const row of document.querySelectorAll("tr[data-model]")) {
    row.hidden = !matches(row.dataset, row.textContent, wanted);
  }
  const all = [...document.querySelectorAll("tr[data-counted]")];
  const shown = all.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = `${shown} of ${all.length} series`;
  const empty = document.getElementById("empty");
  empty.hidden = shown > 0;
  for (const part of document.querySelectorAll(".found")) part.hidden = !shown;
  if (shown) return;
  const asked = Object.entries(wanted).filter(([, value]) => value).map(([name, value]) => `${name} “${value}”`);
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Show all";
  again.addEventListener("click", state.clear);
  empty.replaceChildren(`No series has ${asked.join(" and ")}. `, again);
}

if (filters.length) {
  const form = filters[0].form;
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const control of filters) {
    control.addEventListener("input", () => state.write(control.dataset.filter, control.value, control.type === "search"));
  }
  // On a phone the metrics come first.
  form.closest("details").open = matchMedia("(min-width: 40rem)").matches;
  state.shows.push(filterRows);
}
state.show();
