// What a page shows, in its address: filters, order, axis, hidden series. It stands behind the #,
// which works from the disk too; a link shows the same, and Back goes to what was shown before.
"use strict";

const state = {
  read: (name) => new URLSearchParams(location.hash.slice(1)).get(name) ?? "",
  all: (name) => new URLSearchParams(location.hash.slice(1)).getAll(name),

  // value: a text, or several. typing: more of it may follow, which is no step back to go.
  write(name, value, typing = false) {
    const wanted = new URLSearchParams(location.hash.slice(1));
    wanted.delete(name);
    for (const each of [value].flat()) if (each !== "") wanted.append(name, each);
    const hash = wanted.size ? `#${wanted}` : location.pathname.split("/").pop() + location.search;
    if (typing) history.replaceState(null, "", hash);
    else history.pushState(null, "", hash);
    state.show();
  },

  clear() {
    history.pushState(null, "", location.pathname.split("/").pop() + location.search);
    state.show();
  },

  shows: [], // what follows the address: called at every change of it
  show: () => state.shows.forEach((show) => show()),
};
window.addEventListener("popstate", state.show);
