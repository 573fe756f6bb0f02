// The page: its tabs, the choice of a run, files that are dropped, and the state in the address.

import { call, closeDetail, current, el, fail, get, recall, session, set, showTray, tray, tried, upload, say } from "./core.js";
import { mapView } from "./map.js";
import { generateView, walkView, dimensionsView } from "./generate.js";
import { combineView, imagineView, compareView, trainView } from "./more.js";

const views = [mapView, generateView, walkView, dimensionsView, combineView, imagineView, compareView, trainView];
const inExport = ["map", "generate", "walk"];

function open(id, focus = false) {
  const chosen = views.find((v) => v.id === id) ?? views[0];
  const refused = current().refused[chosen.id];
  set("view", chosen.id);
  for (const button of document.querySelectorAll("#tabs button")) {
    const mine = button.dataset.view === chosen.id;
    button.setAttribute("aria-selected", String(mine));
    button.tabIndex = mine ? 0 : -1;
    if (mine && focus) button.focus();
  }
  const root = document.getElementById("view");
  root.setAttribute("aria-labelledby", `tab-${chosen.id}`);
  tray.changed = [];
  session.turn += 1;
  say();
  document.getElementById("detail").hidden = true;
  const inner = el("div", {});
  root.replaceChildren(inner);
  if (refused) inner.append(el("p", { class: "hint" }, `Not here, because ${refused}.`));
  else chosen.render(inner);
  root.dataset.view = chosen.id;
}

function showTabs() {
  const place = document.getElementById("tabs");
  const offered = views.filter((v) => !session.kept || inExport.includes(v.id));
  place.replaceChildren(...offered.map((v) => el("button", {
    role: "tab", id: `tab-${v.id}`, "aria-controls": "view", "data-view": v.id,
    "aria-disabled": String(Boolean(current().refused[v.id])), title: current().refused[v.id] ?? "",
    onclick: () => open(v.id),
    onkeydown: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const here = offered.indexOf(v);
      if (step) open(offered[(here + step + offered.length) % offered.length].id, true);
      else if (event.key === "Home") open(offered[0].id, true);
      else if (event.key === "End") open(offered.at(-1).id, true);
    },
  }, v.title)));
}

function showRun() {
  const run = current();
  const size = run.shape.length === 3 ? `${run.shape[2]}×${run.shape[1]} ${run.shape[0] === 1 ? "grey" : "colour"} images` : `vectors of ${run.shape[0]} numbers`;
  document.getElementById("facts").textContent = `${run.recipe || "a model"} of ${run.data}: ${size}${run.dim ? `, codes of ${run.dim} numbers` : ""}`;
  document.title = `${run.name} · zspace explore`;
  showTabs();
  showTray();
}

async function begin() {
  Object.assign(session, await call("runs"));
  const place = document.getElementById("run");
  session.run = Math.min(session.runs.length - 1, Math.max(0, Math.trunc(Number(get("run", 0))) || 0));
  place.replaceChildren(...session.runs.map((run, i) => el("option", { value: i, selected: i === session.run }, run.name)));
  place.onchange = () => {
    session.run = Number(place.value);
    session.turn += 1;
    set("run", place.value);
    tray.pictures = [];
    for (const name of ["sampler", "layer", "decoder", "label"]) set(name, null);
    showRun();
    open(get("view", "map"));
  };
  const chosen = get("chosen", "");
  tray.pictures = [];
  showRun();
  const first = views.find((v) => !current().refused[v.id]);
  if (current().dim) await recall(chosen).catch(() => {}); // numbers of other data
  open(get("view", first.id));
}

session.renew = tried(begin);

for (const kind of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(kind, (event) => {
    document.getElementById("tray").classList.toggle("over", kind === "dragover");
    if (kind === "dragleave") return;
    event.preventDefault();
    if (kind === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.getElementById("detail").hidden) closeDetail();
});
globalThis.addEventListener("hashchange", tried(begin)); // another address was entered

begin().catch(fail);
