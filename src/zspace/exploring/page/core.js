// What all views share: requests, the state in the address, pictures, the tray, and the detail.

const tab = Math.random().toString(36).slice(2, 12);
const kept = globalThis.zspaceKept; // the answers of a page that was exported, by request

export const session = { runs: [], methods: [], run: 0, turn: 0, kept: Boolean(kept) };

export const current = () => session.runs[session.run];

const keyOf = (run, name, body) =>
  `${run}/${name} ${JSON.stringify(body, Object.keys(body).sort())}`;

export async function call(name, body, run = session.run, kind = "application/json") {
  if (kept) {
    const answer = kept[name === "runs" ? name : keyOf(run, name, body)];
    if (answer === undefined) throw new Error("this is not in the exported page: 'zspace explore' computes it");
    return answer;
  }
  working(1);
  try { return await answered(name, body, run, kind); } finally { working(-1); }
}

// The style tells that something is under way once it takes longer.
let underWay = 0;
function working(more) {
  underWay += more;
  document.body.classList.toggle("busy", underWay > 0);
}

async function answered(name, body, run, kind) {
  const raw = kind !== "application/json";
  for (let tries = 0; ; tries++) {
    const response = await fetch(name === "runs" ? "api/runs" : `api/${run}/${name}`, {
      method: name === "runs" ? "GET" : "POST",
      headers: { "X-Tab": tab, ...(name === "runs" ? {} : { "Content-Type": kind }) },
      body: name === "runs" ? undefined : raw ? body : JSON.stringify(body),
    }).catch(() => { throw new Error("zspace explore does not answer: was it ended?"); });
    if (response.status === 503 && tries < 20) {
      await new Promise((done) => setTimeout(done, 100 + 100 * tries));
      continue;
    }
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }
}

// Ask for long work until it is done; `shown` is told of each state, and may return false to stop.
export async function poll(name, body, shown, run = session.run) {
  for (let wait = 60; ; wait = Math.min(wait * 1.5, 800)) {
    const state = await call(name, body, run);
    if (shown(state) === false || state.done) return state;
    await new Promise((done) => setTimeout(done, wait));
  }
}

// A function that carries out only the latest of several calls while one is under way, and none
// after its view was left.
export function latest(work) {
  const { turn } = session;
  let busy = false;
  let next = null;
  return async function go(...given) {
    if (turn !== session.turn) return;
    if (busy) { next = given; return; }
    busy = true;
    try {
      await work(...given);
      if (document.querySelector("#status.error")) say();
    } catch (error) { if (turn === session.turn) fail(error); } finally { busy = false; }
    if (next) { const again = next; next = null; go(...again); }
  };
}

export function say(text = "") {
  const line = document.getElementById("status");
  line.className = "";
  line.textContent = text;
}

export function fail(error) {
  const line = document.getElementById("status");
  line.className = "error";
  line.textContent = error.message || String(error);
}

// Carry out work for an event, telling what goes wrong.
export const tried = (work) => async (...given) => {
  const { turn } = session;
  try { say(); await work(...given); } catch (error) { if (turn === session.turn) fail(error); }
};

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
export const floats = (text) => new Float32Array(bytes(text).buffer);
export const ints = (text) => new Int32Array(bytes(text).buffer);
export const octets = bytes;

export function text64(array) {
  const raw = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < raw.length; i += 8192) text += String.fromCharCode(...raw.subarray(i, i + 8192));
  return btoa(text);
}

export const joined = (codes) => {
  const all = new Float32Array(codes.length * codes[0].length);
  codes.forEach((code, i) => all.set(code, i * code.length));
  return text64(all);
};

export const rowsOf = (text, n) => {
  const all = floats(text);
  const size = all.length / n;
  return Array.from({ length: n }, (_, i) => all.slice(i * size, (i + 1) * size));
};

// The state that the address keeps: the run, the view and its settings.
const params = () => new URLSearchParams(location.hash.slice(1));
export const get = (name, usual) => params().get(name) ?? usual;
export function set(name, value) {
  const now = params();
  if (value === null || value === undefined || value === "") now.delete(name);
  else now.set(name, value);
  history.replaceState(null, "", `#${now}`);
}

export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A control with its label, whose value is kept in the address under a name.
export function choice(label, name, options, usual, changed) {
  const entries = options.map((o) => (Array.isArray(o) ? o : [String(o), String(o)]));
  const held = get(name, usual);
  const value = entries.some(([v]) => v === held) ? held : String(usual ?? entries[0]?.[0]);
  const made = el("select", { onchange: () => { set(name, made.value); changed?.(made.value); } },
    ...entries.map(([v, t]) => el("option", { value: v, selected: v === value }, t)));
  made.dataset.name = name;
  return { element: el("label", {}, label, made), get value() { return made.value; } };
}

export function number(label, name, usual, least, most, changed) {
  const made = el("input", { type: "number", min: least, max: most, value: get(name, usual),
    onchange: () => {
      made.value = Math.min(most, Math.max(least, Math.round(Number(made.value) || 0)));
      set(name, made.value);
      changed?.();
    } });
  made.dataset.name = name;
  const next = () => {
    made.value = Number(made.value) < most ? Number(made.value) + 1 : least;
    set(name, made.value);
    changed?.();
  };
  return { element: el("label", {}, label, made), next, get value() { return Number(made.value); } };
}

export function slider(label, least, most, step, value, moved, shown = (v) => v) {
  const out = el("output", {}, String(shown(value)));
  const made = el("input", { type: "range", min: least, max: most, step, value, "aria-label": label,
    oninput: () => { out.textContent = shown(Number(made.value)); moved(Number(made.value)); } });
  const bare = el("span", {}, made, out);
  return { element: el("label", {}, label, bare), bare, input: made, get value() { return Number(made.value); },
    put(v) { made.value = v; out.textContent = shown(v); } };
}

// The images of a sprite, each on a canvas of its own.
export async function cut(sprite) {
  const image = new Image();
  image.src = sprite.url;
  await image.decode();
  const { width, height, columns } = sprite;
  return Array.from({ length: sprite.n }, (_, i) => {
    const canvas = el("canvas", { class: "image", width, height });
    canvas.getContext("2d").drawImage(image, (i % columns) * width, Math.floor(i / columns) * height,
      width, height, 0, 0, width, height);
    return canvas;
  });
}

// Pictures: an image with its code, and where it comes from.
export async function picturesOf(answer, captions = () => ({})) {
  const images = await cut(answer.sprite);
  const codes = rowsOf(answer.codes, images.length);
  return images.map((canvas, i) => ({ canvas, code: codes[i], caption: "generated image", ...captions(i) }));
}

// What an image of the data is: a model of the zoo whose data are not here draws its own.
export const kindOf = (test) => current().drawn ? "drawn" : test ? "test" : "training";

export async function itemsShown(items, run = session.run) {
  if (kept && items.length > 1) return (await Promise.all(items.map((i) => itemsShown([i], run)))).flat();
  const answer = await call("show", { items }, run);
  const originals = await cut(answer.images);
  const restored = await cut(answer.sprite);
  const codes = rowsOf(answer.codes, items.length);
  return items.map((item, i) => ({
    canvas: originals[i], restored: restored[i], code: codes[i], item, run,
    caption: `${kindOf(answer.test[i])} image ${item}` +
      (answer.labels && answer.labels[i] >= 0 ? `, class ${current().classes[answer.labels[i]]}` : ""),
  }));
}

export function copyOf(canvas) {
  const made = el("canvas", { class: "image", width: canvas.width, height: canvas.height });
  made.getContext("2d").drawImage(canvas, 0, 0);
  return made;
}

export function cell(picture, pressed = (p) => openDetail(p)) {
  picture.canvas.setAttribute("aria-hidden", "true");
  return el("button", { class: "cell", type: "button", "aria-label": picture.caption,
    title: picture.caption, onclick: () => pressed(picture) }, picture.canvas);
}

export function paint(place, pictures, columns) {
  place.classList.add("grid");
  place.style.setProperty("--columns", columns ?? Math.ceil(Math.sqrt(pictures.length)));
  place.replaceChildren(...pictures.map((picture) => cell(picture)));
}

export function saved(content, name, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export async function savePng(pictures, columns, name) {
  const { width, height } = pictures[0].canvas;
  const factor = Math.max(1, Math.ceil(56 / Math.max(width, height)));
  const sheet = el("canvas", { width: columns * width * factor,
    height: Math.ceil(pictures.length / columns) * height * factor });
  const pen = sheet.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pictures.forEach((picture, i) => pen.drawImage(picture.canvas, (i % columns) * width * factor,
    Math.floor(i / columns) * height * factor, width * factor, height * factor));
  saved(await new Promise((done) => sheet.toBlob(done)), name, "image/png");
}

export async function saveNpz(pictures, name) {
  const answer = await call("save", { codes: joined(pictures.map((p) => p.code)) });
  saved(octets(answer.file), name, "application/octet-stream");
}

// The tray: pictures that were chosen, of which one is the subject of other views.
export const tray = { pictures: [], chosen: 0, changed: [] };

export function addToTray(picture) {
  if (picture.run !== undefined && picture.run !== session.run) return; // it came too late
  tray.pictures.push({ ...picture, canvas: copyOf(picture.canvas) });
  if (tray.pictures.length > 12) tray.pictures.shift();
  tray.chosen = tray.pictures.length - 1;
  showTray();
}

// Add the images again whose numbers the address kept.
export async function recall(items) {
  const known = items.split(",").filter(Boolean).map(Number);
  if (known.length) (await itemsShown(known)).forEach(addToTray);
}

export const subject = () => tray.pictures[tray.chosen];

export const sourceOf = (picture) => picture.item !== undefined ? { item: picture.item }
  : picture.pixels !== undefined ? { pixels: picture.pixels } : { code: text64(picture.code) };

export function showTray() {
  const place = document.getElementById("tray");
  const file = el("input", { type: "file", accept: "image/*", hidden: true, "aria-label": "Image file",
    onchange: () => file.files[0] && upload(file.files[0]) });
  const offered = current()?.shape.length === 3 && !session.kept && current().dim;
  set("chosen", tray.pictures.map((picture) => picture.item).filter((item) => item !== undefined).join());
  place.replaceChildren(...[
    ...tray.pictures.map((picture, i) => {
      const made = cell(picture, () => { tray.chosen = i; showTray(); });
      made.setAttribute("aria-pressed", String(i === tray.chosen));
      return made;
    }),
    tray.pictures.length ? el("button", { onclick: () => { tray.pictures = []; tray.chosen = 0; showTray(); } }, "Clear")
      : offered ? el("p", { class: "hint" }, "Chosen images stand here", el("span", { class: "wide" }, ", for walks and other views"), ".") : null,
    offered ? el("button", { onclick: () => file.click() }, "Add a file") : null,
    offered ? el("button", { onclick: tried(addRandom) }, "Add a random one") : null,
    offered ? file : null,
  ].filter(Boolean));
  place.hidden = !place.children.length;
  tray.changed.forEach((told) => told());
}

export async function addRandom() {
  const [picture] = await itemsShown([Math.floor(Math.random() * current().first)]);
  addToTray(picture);
}

export const upload = tried(async (file) => {
  if (file.size > 20 * 2 ** 20) throw new Error("at most 20 MiB can be sent");
  const answer = await call("upload", file, session.run, "application/octet-stream");
  const [canvas] = await cut(answer.images);
  addToTray({ canvas, code: floats(answer.codes), pixels: answer.pixels, caption: `file ${file.name}` });
});

// Close the detail, and go back to where it was opened from.
let opener = null;
export function closeDetail() {
  document.getElementById("detail").hidden = true;
  opener?.focus();
  opener = null;
}

// What is known of one picture: its nearest training images, its code, and more like it.
export async function openDetail(picture) {
  const place = document.getElementById("detail");
  if (place.hidden) opener = document.activeElement;
  place.hidden = false;
  const near = el("div", { class: "strip" });
  const far = el("p", { class: "hint" });
  const more = el("div", { class: "strip" });
  const by = el("select", { "aria-label": "Nearest by", onchange: () => nearest() },
    el("option", { value: "pixels" }, "pixels"), el("option", { value: "codes" }, "codes"));
  let width = 0.3;
  let seed = 0;
  const nearest = tried(async () => {
    const answer = await call("near", { of: sourceOf(picture), by: by.value, k: 8 });
    const images = await cut(answer.sprite);
    far.textContent = `Their distances: ${answer.distances.map((d) => d.toPrecision(2)).join(", ")}`;
    near.replaceChildren(...images.map((canvas, i) => cell(
      { canvas, item: answer.items[i], caption: `${kindOf(false)} image ${answer.items[i]}, distance ${answer.distances[i]}` },
      tried(async () => openDetail((await itemsShown([answer.items[i]]))[0])))));
  });
  const around = tried(async () => {
    const answer = await call("around", { code: text64(picture.code), n: 12, seed: seed++, width });
    more.replaceChildren(...(await picturesOf(answer, () => ({ caption: "image like the chosen one" }))).map((p) => cell(p)));
  });
  const shown = copyOf(picture.canvas);
  place.replaceChildren(
    el("div", { class: "row" }, el("h2", { tabIndex: -1 }, "This image"), el("button", { onclick: closeDetail }, "Close")),
    el("div", { class: "pair" },
      el("figure", {}, shown, el("figcaption", {}, picture.caption)),
      picture.restored ? el("figure", {}, copyOf(picture.restored), el("figcaption", {}, "reconstruction")) : null),
    el("div", { class: "row" },
      session.kept ? null : el("button", { class: "first", title: "Put it at the foot of the page, for walks and other views", onclick: () => addToTray(picture) }, "Choose"),
      el("button", { onclick: () => savePng([picture], 1, "image.png") }, "PNG"),
      session.kept ? null : el("button", { onclick: tried(() => saveNpz([picture], "image.npz")) }, "npz")),
    session.kept ? "" : el("h3", {}, `Nearest ${kindOf(false)} images by `, by), near, far,
    session.kept ? "" : el("h3", {}, "More like this"), more,
    session.kept ? "" : el("div", { class: "row" },
      slider("width", 0, 1.5, 0.05, width, (v) => { width = v; }).element,
      el("button", { onclick: around }, "Draw")),
    el("h3", {}, `Code of ${picture.code.length} numbers`), codeBars(picture.code));
  place.querySelector("h2").focus();
  if (!session.kept) nearest();
}

function codeBars(code) {
  const canvas = el("canvas", { width: 320, height: 70, role: "img",
    "aria-label": `A code of ${code.length} numbers, as bars` });
  const pen = canvas.getContext("2d");
  const most = Math.max(...code.map(Math.abs), 1e-9);
  pen.fillStyle = getComputedStyle(document.body).getPropertyValue("--accent");
  code.forEach((value, i) => pen.fillRect(i * 320 / code.length, 35, Math.max(1, 320 / code.length - 1), -33 * value / most));
  const text = Array.from(code, (v) => v.toFixed(3)).join(", ");
  return el("div", {}, canvas, el("details", {}, el("summary", {}, "numbers"), el("code", {}, text)));
}
