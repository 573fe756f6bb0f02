// The map of codes: coloured points, hovering, the lasso, and decoding of empty places.

import { call, cell, choice, current, el, fail, floats, get, ints, itemsShown, latest, octets, openDetail, paint, picturesOf, poll, saved, say, session, set, tried, copyOf } from "./core.js";

const COLOURS = ["#4477aa", "#ee6677", "#228833", "#b5a100", "#1f9fc4", "#aa3377", "#8a5a2b", "#e07b00", "#5b3fd1", "#00a38d"];
const colourOf = (label) => label < 0 ? "#888888"
  : label < 10 ? COLOURS[label] : `hsl(${(label * 137.5) % 360} 55% 48%)`;
const ramp = (t) => `hsl(${Math.round(250 - 215 * t)} 72% ${Math.round(38 + 18 * t)}%)`;
const SHADES = 48;
const NEAR = 9; // the pixels within which the pointer finds a point

// A colour of CSS as ImageData holds it in the four bytes of a pixel.
function ink(colour) {
  const pen = el("canvas", { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return new Uint32Array(pen.getImageData(0, 0, 1, 1).data.buffer)[0];
}

export const mapView = { id: "map", title: "Map" };

mapView.render = (root) => {
  const facts = current();
  const data = { places: null, labels: null, test: null, values: null, made: null, n: 0 };
  const seen = { scale: 1, x: 0, y: 0, moved: false }; // pixels a unit, the place in the middle
  let chosen = null; // which points are selected, as bytes
  let alone = null; // the class that the legend has selected
  let cells = null;
  const points = el("canvas", { "aria-hidden": "true" });
  const over = el("canvas", { tabIndex: 0, role: "application",
    "aria-label": "Map of codes. Arrow keys move a pointer, Enter opens the image there, plus and minus zoom." });
  const board = el("div", { class: "board" }, points, over);
  const legend = el("div", { class: "legend" });
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress of the map" });
  const share = el("span", {});
  const side = el("div", {});
  const under = el("div", {}, el("p", { class: "hint" }, "Point at a dot to see its image. Drag to move, turn the wheel to zoom, press for more of an image. A class of the legend can be pressed, too."));
  side.append(under);

  const counts = [500, 2000, 5000, 10000, 50000].filter((c) => c < facts.items);
  const every = session.kept ? [session.points] : [...counts, facts.items];
  const method = choice("Map ", "method", session.methods.map((m) => [m, { pca: "PCA (linear)", tsne: "t-SNE", umap: "UMAP" }[m]]), "pca", () => { seen.scale = 0; load(); });
  const count = choice("Points ", "points", every.map((c) => [String(c), c.toLocaleString("en")]), String(session.points ?? facts.first), () => load());
  const kinds = [facts.classes.length ? ["label", "class"] : null, facts.drawn ? null : ["part", "training or test"], ["density", "log density of the code"], ["error", "reconstruction error"], ["novelty", "novelty, -log p(x)"]].filter((k) => k && (!session.kept || ["label", "part", "density", "error"].includes(k[0])));
  const colour = choice("Colour ", "colour", kinds, kinds[0][0], () => shade());
  const mode = choice("Pointer ", "pointer", [["look", "look and move"], ["lasso", "lasso"]], "look");
  const layer = choice("Generated ", "layer", [["", "none"], ...facts.samplers.map((s) => [s.name, s.name])], "", () => generate());
  root.append(
    facts.shape.length === 3
      ? el("p", { class: "hint" }, "Each point is the code of an image; near ones decode to similar images. Where a linear map has none, it decodes what is pointed at. ", share)
      : el("p", { class: "hint" }, "Each point is the code of a vector of the data. ", share),
    el("div", { class: "row" }, method.element, count.element, colour.element, mode.element, facts.shape.length === 3 ? layer.element : null,
      el("button", { onclick: () => zoom(1.4) , "aria-label": "Zoom in" }, "+"),
      el("button", { onclick: () => zoom(1 / 1.4), "aria-label": "Zoom out" }, "−"),
      el("button", { onclick: () => { fit(); draw(); } }, "Fit"), bar),
    el("div", { class: "split" }, el("div", {}, legend, board), side));

  const toScreen = (x, y) => [(x - seen.x) * seen.scale + board.clientWidth / 2, (seen.y - y) * seen.scale + board.clientHeight / 2];
  const toMap = (x, y) => [(x - board.clientWidth / 2) / seen.scale + seen.x, seen.y - (y - board.clientHeight / 2) / seen.scale];
  const linear = () => method.value === "pca";

  // The least and the largest coordinates of the points.
  function bounds() {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < data.n; i++) {
      left = Math.min(left, data.places[2 * i]); right = Math.max(right, data.places[2 * i]);
      low = Math.min(low, data.places[2 * i + 1]); high = Math.max(high, data.places[2 * i + 1]);
    }
    return { left, right, low, high };
  }

  function fit() {
    const { left, right, low, high } = bounds();
    seen.x = (left + right) / 2; seen.y = (low + high) / 2;
    seen.moved = false;
    seen.scale = 0.92 * Math.min(board.clientWidth / (right - left + 1e-9), board.clientHeight / (high - low + 1e-9));
  }

  function zoom(factor, at = [board.clientWidth / 2, board.clientHeight / 2]) {
    const [x, y] = toMap(...at);
    seen.scale *= factor;
    const [again, up] = toMap(...at);
    seen.x += x - again; seen.y += y - up;
    seen.moved = true;
    soon();
  }

  // The points, by the cell of a grid that they are in.
  function index() {
    const size = Math.max(1, Math.ceil(Math.sqrt(data.n / 4)));
    const { left, right, low, high } = bounds();
    const wide = (right - left) / size + 1e-9;
    const tall = (high - low) / size + 1e-9;
    const heads = new Int32Array(size * size).fill(-1);
    const next = new Int32Array(data.n);
    for (let i = 0; i < data.n; i++) {
      const at = Math.floor((data.places[2 * i] - left) / wide) + size * Math.floor((data.places[2 * i + 1] - low) / tall);
      next[i] = heads[at]; heads[at] = i;
    }
    cells = { size, left, low, wide, tall, heads, next };
  }

  function nearest(x, y) {
    if (!cells) return -1;
    const reach = NEAR / seen.scale;
    const [a, b] = [Math.floor((x - reach - cells.left) / cells.wide), Math.floor((x + reach - cells.left) / cells.wide)];
    const [c, d] = [Math.floor((y - reach - cells.low) / cells.tall), Math.floor((y + reach - cells.low) / cells.tall)];
    let best = -1;
    let least = reach * reach;
    for (let j = Math.max(0, c); j <= Math.min(cells.size - 1, d); j++) {
      for (let i = Math.max(0, a); i <= Math.min(cells.size - 1, b); i++) {
        for (let k = cells.heads[i + cells.size * j]; k >= 0; k = cells.next[k]) {
          const far = (data.places[2 * k] - x) ** 2 + (data.places[2 * k + 1] - y) ** 2;
          if (far < least) { least = far; best = k; }
        }
      }
    }
    return best;
  }

  // What the points are coloured by: a whole number for each, and the colour of a number.
  function groups() {
    if (colour.value === "label") return { of: (i) => data.labels[i], colour: colourOf };
    if (colour.value === "part") return { of: (i) => data.test[i], colour: (k) => COLOURS[k] };
    const { values, low, high } = data;
    return { of: (i) => values && Number.isFinite(values[i]) ? Math.round(Math.min(1, Math.max(0, (values[i] - low) / (high - low + 1e-12))) * (SHADES - 1)) : -1,
      colour: (k) => k < 0 ? "#8888" : ramp(k / (SHADES - 1)) };
  }

  // The points are written as pixels: to fill 50,000 rectangles of a canvas takes twenty times as long.
  function draw() {
    const started = performance.now();
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [wide, high] = [Math.round(board.clientWidth * ratio), Math.round(board.clientHeight * ratio)];
    for (const canvas of [points, over]) {
      canvas.width = wide; canvas.height = high;
      canvas.getContext("2d").scale(ratio, ratio);
    }
    if (!data.n || !wide || !high) return;
    const pen = points.getContext("2d");
    const picture = pen.createImageData(wide, high);
    const pixels = new Uint32Array(picture.data.buffer);
    const side = Math.round((data.n > 20000 ? 2 : data.n > 4000 ? 3 : 4) * ratio);
    const scale = seen.scale * ratio;
    const left = wide / 2 - seen.x * scale - side / 2;
    const top = high / 2 + seen.y * scale - side / 2;
    const put = (i, ink) => {
      const x = Math.round(left + data.places[2 * i] * scale);
      const y = Math.round(top - data.places[2 * i + 1] * scale);
      if (x <= -side || y <= -side || x >= wide || y >= high) return;
      const [begin, end] = [Math.max(0, x), Math.min(wide, x + side)];
      for (let row = Math.max(0, y); row < Math.min(high, y + side); row++) pixels.fill(ink, row * wide + begin, row * wide + end);
    };
    const { of, colour: paintOf } = groups();
    const inks = new Map();
    const inkOf = (group) => {
      if (!inks.has(group)) inks.set(group, ink(paintOf(group)));
      return inks.get(group);
    };
    if (chosen) {
      const rest = ink("#8883");
      for (let i = 0; i < data.n; i++) if (!chosen[i]) put(i, rest);
    }
    for (let i = 0; i < data.n; i++) if (!chosen || chosen[i]) put(i, inkOf(of(i)));
    pen.putImageData(picture, 0, 0);
    if (data.made && linear()) {
      pen.strokeStyle = getComputedStyle(document.body).color;
      pen.lineWidth = 1.4;
      data.made.forEach((p) => {
        const [x, y] = toScreen(...p.place);
        pen.strokeRect(x - 3.5, y - 3.5, 7, 7);
      });
    }
    performance.measure("zspace draw", { start: started });
  }

  // Draw once before the next picture of the screen, however often the pointer moves until then.
  let awaited = 0;
  function soon() {
    cancelAnimationFrame(awaited);
    awaited = requestAnimationFrame(draw);
  }

  // The legend; an entry of a class selects its points.
  function told() {
    const dot = (colour) => { const made = el("i"); made.style.background = colour; return made; };
    const entries = [];
    if (colour.value === "label") {
      const total = new Map();
      for (let i = 0; i < data.n; i++) total.set(data.labels[i], (total.get(data.labels[i]) ?? 0) + 1);
      [...total.keys()].sort((a, b) => a - b).forEach((k) => entries.push(el("button", { type: "button", "aria-pressed": String(k === alone),
        onclick: () => {
          const again = k === alone;
          alone = again ? null : k;
          show(again ? null : Uint8Array.from(data.labels, (label) => label === k));
        } }, dot(colourOf(k)), `${k < 0 ? "unknown" : facts.classes[k]} (${total.get(k).toLocaleString("en")})`)));
    } else if (colour.value === "part") entries.push(el("span", {}, dot(COLOURS[0]), "training"), el("span", {}, dot(COLOURS[1]), "test"));
    else if (data.values) {
      const ends = [[0, data.low], [0.5, (data.low + data.high) / 2], [1, data.high]];
      entries.push(el("span", {}, `${kinds.find(([k]) => k === colour.value)[1]}:`), ...ends.map(([t, v]) => el("span", {}, dot(ramp(t)), v.toPrecision(3))));
    }
    if (data.made && linear()) { const square = dot("transparent"); square.className = "drawn"; entries.push(el("span", {}, square, "generated")); }
    legend.replaceChildren(...entries);
  }

  const alive = () => board.isConnected;

  const load = tried(async () => {
    const asked = { method: method.value, count: Number(count.value) };
    chosen = alone = null;
    await poll("place", asked, (state) => {
      if (!alive() || asked.method !== method.value || asked.count !== Number(count.value)) return false;
      bar.hidden = state.done; bar.value = state.share;
      if (!state.done && asked.method === "tsne") say(`t-SNE: stage ${Math.floor(4 * state.share) + 1} of 4`);
      if (!state.values) return true;
      if (state.variance) share.textContent = asked.method !== "pca" ? "" : `This one shows ${Math.round(100 * state.variance)}% of the codes' variance.`;
      data.places = floats(state.values); data.n = data.places.length / 2;
      data.labels = state.labels ? ints(state.labels) : null;
      data.test = octets(state.test);
      index();
      if (!seen.fitted || seen.scale === 0 || asked.method !== "pca") fit();
      seen.fitted = true;
      draw(); told();
      board.dataset.points = data.n;
      return true;
    });
    if (!alive()) return;
    say();
    await shade();
  });

  const shade = tried(async () => {
    data.values = null;
    if (["density", "error", "novelty"].includes(colour.value)) {
      const asked = { by: colour.value, count: data.n };
      await poll("colour", asked, (state) => {
        if (!alive() || asked.by !== colour.value) return false;
        bar.hidden = state.done; bar.value = state.share;
        if (state.done) {
          data.values = floats(state.values);
          const sorted = Array.from(data.values).filter(Number.isFinite).sort((a, b) => a - b);
          data.low = sorted[Math.floor(0.02 * sorted.length)]; data.high = sorted[Math.floor(0.98 * (sorted.length - 1))];
        }
        return true;
      });
    }
    bar.hidden = true;
    draw(); told();
  });

  const generate = tried(async () => {
    data.made = null;
    if (layer.value && linear()) {
      const answer = await call("draw", { sampler: layer.value, n: session.kept ? 64 : 144, seed: session.kept ? 0 : Number(get("seed", 0)) });
      if (!answer.places) throw new Error("the map is not ready yet");
      const places = floats(answer.places);
      data.made = (await picturesOf(answer, () => ({ caption: `image drawn by ${layer.value}` }))).map((p, i) => ({ ...p, place: [places[2 * i], places[2 * i + 1]] }));
    } else if (layer.value) say("generated codes are shown on the linear map alone");
    draw(); told();
  });

  const lookUp = new Map();
  const look = latest(async (x, y) => {
    const [mx, my] = toMap(x, y);
    const made = linear() && data.made?.find((p) => { const [a, b] = toScreen(...p.place); return Math.abs(a - x) < 5 && Math.abs(b - y) < 5; });
    const i = made ? -1 : nearest(mx, my);
    let picture = made;
    if (i >= 0) {
      if (!lookUp.has(i)) {
        if (lookUp.size > 400) lookUp.clear();
        lookUp.set(i, (await itemsShown([i]))[0]);
      }
      picture = lookUp.get(i);
    } else if (!made && linear() && !session.kept) {
      const [decoded] = await picturesOf(await call("at", { x: mx, y: my }), () => ({ caption: "decoded at the pointer" }));
      picture = decoded;
    }
    if (!picture || !alive()) return;
    under.replaceChildren(el("div", { class: "pair" },
      el("figure", {}, copyOf(picture.canvas), el("figcaption", {}, picture.caption + (i >= 0 && data.values ? `: ${data.values[i]?.toPrecision(4)}` : ""))),
      picture.restored ? el("figure", {}, copyOf(picture.restored), el("figcaption", {}, "reconstruction")) : null));
    under.dataset.item = picture.item ?? "";
    under.picture = picture;
    mark(x, y);
  });

  function mark(x, y, path) {
    const pen = over.getContext("2d");
    pen.clearRect(0, 0, board.clientWidth, board.clientHeight);
    pen.strokeStyle = getComputedStyle(document.body).color;
    pen.lineWidth = 1.5;
    pen.beginPath();
    if (path) path.forEach(([a, b], k) => k ? pen.lineTo(a, b) : pen.moveTo(a, b));
    else pen.arc(x, y, 8, 0, 7);
    pen.stroke();
  }

  // Which points lie in a polygon of screen coordinates, by the number of edges to their right.
  function inside(path) {
    const corners = path.map(([x, y]) => toMap(x, y));
    const found = new Uint8Array(data.n);
    for (let i = 0; i < data.n; i++) {
      const x = data.places[2 * i];
      const y = data.places[2 * i + 1];
      let within = false;
      for (let a = 0, b = corners.length - 1; a < corners.length; b = a++) {
        const [ax, ay] = corners[a];
        const [bx, by] = corners[b];
        if ((ay > y) !== (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax) within = !within;
      }
      found[i] = within;
    }
    return found;
  }

  // Select some points, or none: the others become faint, and images of these are shown.
  const show = tried(async (found) => {
    const started = performance.now();
    const items = found ? Array.from(found.keys()).filter((i) => found[i]) : [];
    chosen = items.length ? found : null;
    draw(); told();
    performance.measure("zspace lasso", { start: started });
    if (!items.length) { under.replaceChildren(el("p", { class: "hint" }, "Nothing is selected.")); return; }
    const by = new Map();
    if (data.labels) items.forEach((i) => by.set(data.labels[i], (by.get(data.labels[i]) ?? 0) + 1));
    const place = el("div", {});
    const words = [...by].sort((a, b) => b[1] - a[1]).map(([k, c]) => `${k < 0 ? "unknown" : facts.classes[k]}: ${c}`).join(", ");
    const values = data.values ? items.map((i) => data.values[i]).filter(Number.isFinite) : [];
    const mean = values.length ? `; mean ${(values.reduce((a, b) => a + b, 0) / values.length).toPrecision(4)}` : "";
    under.replaceChildren(
      el("h2", {}, `${items.length.toLocaleString("en")} images`), el("p", {}, words + mean),
      el("button", { onclick: () => saved("item\n" + items.join("\n") + "\n", "selection.csv", "text/csv") }, "Save image numbers (CSV)"), place);
    under.dataset.selected = items.length;
    const some = items.filter((_, k) => k % Math.ceil(items.length / 36) === 0);
    paint(place, await itemsShown(some), 6);
  });

  let drag = null;
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    drag = { x: event.offsetX, y: event.offsetY, moved: false, path: [[event.offsetX, event.offsetY]] };
  });
  over.addEventListener("pointermove", (event) => {
    if (!drag) { if (mode.value === "look") look(event.offsetX, event.offsetY); return; }
    if (Math.hypot(event.offsetX - drag.x, event.offsetY - drag.y) > 3) drag.moved = true;
    if (mode.value === "lasso") { drag.path.push([event.offsetX, event.offsetY]); mark(0, 0, drag.path); return; }
    seen.x -= event.movementX / seen.scale; seen.y += event.movementY / seen.scale;
    seen.moved = true;
    soon();
  });
  over.addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (mode.value === "lasso") { alone = null; show(was.path.length > 2 ? inside(was.path) : null); }
    else if (was && !was.moved) { look(event.offsetX, event.offsetY); if (under.picture) openDetail(under.picture); }
  });
  over.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, [event.offsetX, event.offsetY]); }, { passive: false });
  const at = { x: 0, y: 0 };
  over.addEventListener("focus", () => { at.x = board.clientWidth / 2; at.y = board.clientHeight / 2; });
  over.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 40 : 12;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) { at.x += moves[event.key][0]; at.y += moves[event.key][1]; look(at.x, at.y); }
    else if (event.key === "Enter" && under.picture) openDetail(under.picture);
    else if (event.key === "+") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else return;
    event.preventDefault();
  });
  const watch = new ResizeObserver(() => { if (!alive()) watch.disconnect(); else if (data.n) { if (!seen.moved) fit(); draw(); } });
  watch.observe(board);
  load().then(() => layer.value && generate()).catch(fail);
};
