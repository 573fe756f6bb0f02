// Combinations and their judges, posteriors, runs side by side, and a training.

import { call, cell, choice, current, cut, el, joined, latest, number, picturesOf, rowsOf, session, slider, sourceOf, subject, tray, tried, fail, itemsShown, addToTray } from "./core.js";

export const combineView = { id: "combine", title: "Combine" };

combineView.render = (root) => {
  const facts = current();
  const sources = el("div", { class: "row" });
  const result = el("div", { class: "big" });
  const verdicts = el("div", {});
  let codes = [];
  let weights = [];
  const judge = latest(async () => {
    const answer = await call("combine", { codes: joined(codes), weights, label: Number(label.value) });
    const [made] = await picturesOf(answer, () => ({ caption: "combination" }));
    result.replaceChildren(cell(made));
    result.dataset.weights = weights.join(",");
    verdicts.replaceChildren(answer.judges.length
      ? el("table", {}, el("caption", { class: "hint" }, "Is it of the class? One judge asks that of the code, the other of the image, once it is encoded again."),
        el("thead", {}, el("tr", {}, ...["judge", "verdict", "confidence"].map((t) => el("th", { scope: "col" }, t)))),
        el("tbody", {}, ...answer.judges.map((j) => el("tr", {}, el("td", {}, j.judge),
          el("td", { class: j.passes ? "passes" : "fails" }, j.passes ? "passes" : "fails"),
          el("td", {}, j.confidence === null ? "" : j.confidence.toFixed(3))))))
      : el("p", { class: "hint" }, "This model has no classifier, and so no judges."));
  });
  const load = latest(async () => {
    const answer = await call("members", { label: Number(label.value), n: Number(n.value), seed: seed.value });
    const images = await cut(answer.images);
    codes = rowsOf(answer.codes, images.length);
    weights = codes.map(() => 0.5);
    sources.replaceChildren(...images.map((canvas, i) => {
      const control = slider(`Weight of source ${i + 1}`, 0, 1, 0.02, 0.5, (v) => { weights[i] = v; if (weights.some((w) => w > 0)) judge(); });
      const picture = { canvas, code: codes[i], item: answer.items[i], caption: `source ${i + 1}, image ${answer.items[i]}` };
      return el("div", { class: "source" }, el("div", { class: "strip" }, cell(picture)), control.element);
    }));
    judge();
  });
  const label = choice("Class ", "class", facts.classes.map((c, i) => [String(i), c]), "0", load);
  const n = choice("Sources ", "sources", [2, 3, 4, 6, 8], 3, load);
  const seed = number("Seed ", "seed", 0, 0, 2147483647, load);
  root.append(
    el("p", { class: "hint" }, "Images of one class are combined by a weighted mean of their codes. Only the ratios of the weights count."),
    el("div", { class: "row" }, label.element, n.element, seed.element,
      el("button", { class: "first", onclick: seed.next }, "Other sources")),
    sources, el("div", { class: "row" }, result, verdicts));
  load();
};

export const imagineView = { id: "imagine", title: "Imagine" };

imagineView.render = (root) => {
  const facts = current();
  const place = el("div", {});
  const words = el("p", { class: "hint" });
  const draw = latest(async () => {
    const picture = subject();
    words.textContent = picture ? "" : "Choose an image: in another view, by a file, or at random.";
    if (!picture) { place.replaceChildren(); return; }
    const answer = await call("imagine", { of: sourceOf(picture), n: Number(n.value), seed: seed.value });
    const codes = rowsOf(answer.codes, Number(n.value));
    const parts = [el("h2", {}, "The image"), el("div", { class: "strip" }, ...(await cut(answer.image)))];
    for (const [name, sprite] of Object.entries(answer.rows)) {
      const images = await cut(sprite);
      parts.push(el("h2", {}, facts.decoders.length > 1 ? `Decoded by ${name}` : "Decoded draws"), el("div", { class: "strip" }, ...images.map((canvas, i) => cell({ canvas, code: codes[i], caption: `draw ${i} by ${name}` }))));
    }
    place.replaceChildren(...parts);
    place.dataset.seed = seed.value;
  });
  const n = choice("Draws ", "draws", [4, 8, 16, 32], 8, draw);
  const seed = number("Seed ", "seed", 0, 0, 2147483647, draw);
  root.append(
    el("p", { class: "hint" }, "The encoder gives a distribution of codes for an image, its posterior. Here codes are drawn from it and decoded" + (facts.decoders.length > 1 ? ", by each of the model's decoders." : ".") + " Where the posterior is narrow, they look alike."), words,
    el("div", { class: "row" }, n.element, seed.element,
      el("button", { class: "first", onclick: seed.next }, "Draw again")),
    place);
  tray.changed = [draw];
  if (!subject()) itemsShown([0]).then(([p]) => addToTray(p)).catch(fail);
  draw();
};

// Images in rows that are looked at and not pressed.
function gridOf(images, columns) {
  const grid = el("div", { class: "grid" }, ...images);
  grid.style.setProperty("--columns", columns);
  return grid;
}

export const compareView = { id: "compare", title: "Compare" };

compareView.render = (root) => {
  const places = session.runs.map(() => el("div", {}));
  const load = latest(async () => {
    const items = Array.from({ length: 12 }, (_, i) => (i + 12 * seed.value) % current().items);
    await Promise.all(session.runs.map(async (run, r) => {
      if (!run.dim) { places[r].replaceChildren(el("p", { class: "hint" }, run.refused.map)); return; }
      const restored = await call("restore", { items }, r);
      const parts = [el("h3", {}, "Images"), gridOf(await cut(restored.images), 6),
        el("h3", {}, "Reconstructed"), gridOf(await cut(restored.sprite), 6)];
      const sampler = run.samplers[0];
      if (sampler) {
        const drawn = await call("draw", { sampler: sampler.name, n: 36, seed: seed.value }, r);
        parts.push(el("h3", {}, `Drawn by ${sampler.name}, seed ${seed.value}`), gridOf(await cut(drawn.sprite), 6));
      }
      places[r].replaceChildren(...parts);
      places[r].dataset.seed = seed.value;
    }));
    const measured = await Promise.all(session.runs.map((run, r) => run.refused.train ? { rows: [] } : call("figures", {}, r)));
    figures.replaceChildren(figuresTable(measured));
  });
  const figures = el("div", {});
  const seed = number("Seed ", "seed", 0, 0, 1000, load);
  const side = el("div", { class: "side" }, ...places.map((p, r) => el("section", { "aria-label": session.runs[r].name }, el("h2", {}, session.runs[r].name), p)));
  side.style.setProperty("--columns", session.runs.length);
  root.append(
    el("p", { class: "hint" }, session.runs.length > 1 ? "The same images reconstructed by each run, codes of the same seed, and the figures that zspace evaluate stored." : "'zspace explore RUN RUN' shows up to four runs of the same training images side by side.", " The seed chooses the images and the codes."),
    el("div", { class: "row" }, seed.element, el("button", { class: "first", onclick: seed.next }, "Next seed")), side, figures);
  load();
};

// The figures of all runs: a row for each figure of each subject, a column for each run.
function figuresTable(measured) {
  if (measured.every(({ rows }) => !rows.length)) return el("p", { class: "hint" }, "There are no figures: 'zspace evaluate RUN' measures a run.");
  const found = new Map();
  measured.forEach(({ rows, better }, r) => rows.forEach((row) => Object.entries(row.figures).forEach(([name, [value, error]]) => {
    const key = `${row.subject}: ${name}${{ higher: " ↑", lower: " ↓" }[better[name]] ?? ""}`;
    if (!found.has(key)) found.set(key, measured.map(() => ""));
    if (value !== null) found.get(key)[r] = `${value.toPrecision(3)}${error ? ` ± ${error.toPrecision(1)}` : ""}`;
  })));
  const what = [...new Set(measured.filter(({ rows }) => rows.length).map(({ n, features }) => `${n.toLocaleString("en")} images, features ${features || "none"}`))].join("; ");
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Figures" },
    el("h3", {}, "Figures"), el("p", { class: "hint" }, `↑ higher, ↓ lower is better; ± is the error of the measurement (${what}).`),
    el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "figure"), ...session.runs.map((run) => el("th", { scope: "col" }, run.name)))),
      el("tbody", {}, ...[...found].map(([key, cells]) => el("tr", {}, el("th", { scope: "row" }, key), ...cells.map((text) => el("td", {}, text)))))));
}

export const trainView = { id: "train", title: "Train" };

trainView.render = (root) => {
  const words = el("p", {});
  const curves = el("div", { class: "curves" });
  const place = el("div", {});
  const load = tried(async () => {
    if (!root.contains(words)) return;
    const told = await call("training", {});
    const at = told.at.at(-1) ?? 0;
    words.textContent = told.finished ? `This training is finished${told.at.length ? "" : "; the run keeps no losses of it"}.` : `Iteration ${at.toLocaleString("en")}${told.iterations ? ` of ${told.iterations.toLocaleString("en")}` : ""}; this view follows it.`;
    curves.replaceChildren(...Object.entries(told.losses).map(([name, values]) => curveOf(name, told.at, values)));
    curves.hidden = !told.at.length;
    curves.dataset.at = at;
    if (told.sprite) {
      place.replaceChildren(el("h2", {}, `Samples of the ${told.of}`), gridOf(await cut(told.sprite), 8));
    } else if (!told.of) place.replaceChildren(el("p", { class: "hint" }, "The other views open with the first checkpoint."));
    if (!current().dim && told.of) { session.renew(); return; }
    if (!told.finished) setTimeout(load, 2000);
  });
  root.append(el("p", { class: "hint" }, "The losses of this run's training, and samples of its last checkpoint."), words, el("div", { class: "split" }, curves, place));
  load();
};

function curveOf(name, at, values) {
  const known = values.map((v, i) => [at[i], v]).filter(([, v]) => v !== null && Number.isFinite(v));
  const ys = known.map(([, v]) => v);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const x = (v) => 100 * (v - at[0]) / Math.max(1, at.at(-1) - at[0]);
  const y = (v) => 95 - 90 * (v - low) / Math.max(1e-12, high - low);
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${name}: ${ys.at(-1)?.toPrecision(4)} at last, from ${low.toPrecision(3)} to ${high.toPrecision(3)}`);
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", known.map(([a, v], i) => `${i ? "L" : "M"}${x(a).toFixed(2)} ${y(v).toFixed(2)}`).join(""));
  svg.append(path);
  return el("figure", { class: "curve" }, svg, el("figcaption", {}, `${name}: ${ys.at(-1)?.toPrecision(4)} at iteration ${known.at(-1)?.[0].toLocaleString("en")}; from ${low.toPrecision(3)} to ${high.toPrecision(3)}`));
}
