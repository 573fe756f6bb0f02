// Images of a sampler's codes, and walks between chosen ones.

import { call, cell, choice, copyOf, current, cut, el, floats, get, itemsShown, joined, latest, number, paint, picturesOf, rowsOf, saveNpz, savePng, session, set, slider, subject, text64, tray, tried, fail, addToTray } from "./core.js";

export const generateView = { id: "generate", title: "Generate" };

generateView.render = (root) => {
  const facts = current();
  let shown = [];
  const place = el("div", { class: "grid" });
  const draw = latest(async () => {
    const known = facts.samplers.find((s) => s.name === sampler.value);
    label.element.hidden = !(known.labels && facts.classes.length);
    guidance.element.hidden = !known.guidance || session.kept;
    steps.element.hidden = !known.steps || session.kept;
    const body = { sampler: sampler.value, n: Number(n.value), seed: seed.value };
    if (!label.element.hidden && label.value) body.label = Number(label.value);
    if (temperature.value !== 1) body.temperature = temperature.value;
    if (!guidance.element.hidden && guidance.value) body.guidance = guidance.value;
    if (!steps.element.hidden) body.steps = Number(steps.value);
    if (facts.decoders.length > 1 && !session.kept) body.decoder = decoder.value;
    const started = performance.now();
    const answer = await call("draw", body);
    shown = await picturesOf(answer, (i) => ({ caption: `image ${i} of ${sampler.value}, seed ${seed.value}` }));
    paint(place, shown);
    place.dataset.drawn = JSON.stringify(body);
    performance.measure("zspace generate", { start: started });
  });
  const sampler = choice("Sampler ", "sampler", facts.samplers.map((s) => s.name), facts.samplers[0].name, draw);
  const n = choice("Images ", "n", session.kept ? [64] : [16, 36, 64, 100, 144], 64, draw);
  const seed = number("Seed ", "seed", 0, 0, session.kept ? session.seeds - 1 : 2147483647, draw);
  const label = choice("Class ", "label", [["", "all"], ...(session.kept ? [] : facts.classes.map((c, i) => [String(i), c]))], "", draw);
  const temperature = slider("Temperature", 0, 2, 0.05, Number(get("temperature", 1)), (v) => { set("temperature", v === 1 ? null : v); draw(); });
  const guidance = slider("Guidance", 0, 8, 0.25, Number(get("guidance", 0)), (v) => { set("guidance", v || null); draw(); }, (v) => v || "usual");
  const steps = choice("Steps ", "steps", [1, 2, 4, 8, 16, 24, 48], 8, draw);
  const decoder = choice("Decoder ", "decoder", facts.decoders, facts.decoders[0], draw);
  temperature.element.hidden = session.kept;
  root.append(
    el("p", { class: "hint" }, "A sampler draws codes, and the decoder turns each into an image." + (session.kept || facts.drawn ? "" : " Press an image for its nearest training images: one that equals them was memorised.")),
    el("div", { class: "row" }, sampler.element, n.element, seed.element,
      el("button", { class: "first", onclick: seed.next }, "Next seed"),
      label.element, temperature.element, guidance.element, steps.element, facts.decoders.length > 1 && !session.kept ? decoder.element : null,
      el("button", { onclick: tried(() => savePng(shown, Math.ceil(Math.sqrt(shown.length)), "samples.png")) }, "Save PNG"),
      session.kept ? null : el("button", { onclick: tried(() => saveNpz(shown, "samples.npz")) }, "Save npz")),
    place);
  draw();
};

export const walkView = { id: "walk", title: "Walk" };

walkView.render = (root) => {
  const facts = current();
  const big = el("div", { class: "big" });
  const strip = el("div", { class: "strip" });
  const words = el("p", { class: "hint" });
  let frames = [];
  let columns = 1;
  const put = (k) => { if (frames[k]) { big.replaceChildren(copyOf(frames[k].canvas)); big.dataset.frame = k; } };
  const along = slider("Along", 0, 1, 0.01, 0, () => step());
  const upward = slider("Down", 0, 1, 0.01, 0, () => step());
  const step = () => put(columns === frames.length ? Math.round(along.value * (columns - 1))
    : Math.round(along.value * (columns - 1)) + columns * Math.round(upward.value * (frames.length / columns - 1)));
  const walk = latest(async () => {
    const ends = session.kept ? await itemsShown(session.walks[Number(between.value)]) : tray.pictures.slice(-Number(between.value));
    const enough = session.kept || ends.length === Number(between.value);
    words.textContent = enough ? "" : `Choose ${between.value} images: in another view, by a file, or at random.`;
    upward.element.hidden = ends.length < 4;
    if (!enough) { frames = []; strip.replaceChildren(); big.replaceChildren(); return; }
    const body = { codes: joined(ends.map((p) => p.code)), way: way.value, steps: ends.length === 4 ? 9 : 17 };
    const answer = await call("walk", body);
    columns = body.steps;
    frames = await picturesOf(answer, (k) => ({ caption: `step ${k} of the walk` }));
    strip.className = ends.length === 4 ? "grid" : "grid line";
    strip.style.setProperty("--columns", columns);
    strip.replaceChildren(...frames.map((p) => cell(p)));
    step();
  });
  const between = session.kept ? choice("Between ", "walk", session.walks.map((w, i) => [String(i), `images ${w.join(", ")}`]), "0", () => walk())
    : choice("Between ", "between", [["2", "the last two chosen images"], ["4", "the last four, as corners"]], "2", () => walk());
  const way = choice("Way ", "way", [["line", "straight line"], ["sphere", "great circle"]], "line", () => walk());
  root.append(
    el("p", { class: "hint" }, "A walk decodes the codes between chosen images. On a straight line codes are mixed; on a great circle they keep the length that a normal prior expects."), words,
    el("div", { class: "row" }, between.element, way.element, along.element, upward.element,
      session.kept ? null : el("button", { class: "first", onclick: tried(async () => { const many = await itemsShown([0, 0].map(() => Math.floor(Math.random() * facts.first))); many.forEach(addToTray); }) }, "Two at random"),
      el("button", { onclick: tried(() => savePng(frames, columns, "walk.png")) }, "Save PNG")),
    el("div", { class: "split" }, strip, big));
  tray.changed = [() => { walk(); arithmetic?.(); }];
  const arithmetic = facts.classes.length && !session.kept ? arithmeticOf(root, facts) : null;
  if (!session.kept && tray.pictures.length < 2) itemsShown([0, 1]).then((two) => two.forEach(addToTray)).catch(fail);
  else walk();
};

function arithmeticOf(root, facts) {
  const place = el("div", { class: "strip" });
  const big = el("div", { class: "big" });
  let made = [];
  let strengths = [];
  const names = facts.classes.map((c, i) => [String(i), c]);
  const put = () => {
    const k = strengths.reduce((best, s, i) => Math.abs(s - strength.value) < Math.abs(strengths[best] - strength.value) ? i : best, 0);
    if (made[k]) { big.replaceChildren(copyOf(made[k].canvas)); big.dataset.strength = strengths[k]; }
  };
  const work = latest(async () => {
    const picture = subject();
    if (!picture) { place.replaceChildren(); big.replaceChildren(); return; }
    const answer = await call("arithmetic", { code: text64(picture.code), plus: Number(plus.value), minus: Number(minus.value) });
    strengths = answer.strengths;
    made = await picturesOf(answer, (k) => ({ caption: `strength ${strengths[k].toFixed(2)}` }));
    place.replaceChildren(...made.map((p) => cell(p)));
    put();
  });
  const plus = choice("plus the mean of ", "plus", names, "1", work);
  const minus = choice("minus the mean of ", "minus", names, "0", work);
  const strength = slider("Strength", -1, 2, 0.25, 1, put);
  root.append(el("h2", {}, "Arithmetic of classes: the chosen image,"), el("div", { class: "row" }, plus.element, minus.element, strength.element),
    el("div", { class: "split" }, place, big));
  work();
  return work;
}

export const dimensionsView = { id: "dimensions", title: "Dimensions" };

dimensionsView.render = (root) => {
  const facts = current();
  const image = facts.shape.length === 3;
  const big = el("div", { class: "big" });
  const rows = el("div", {});
  const words = el("p", { class: "hint" });
  let base = null;
  let ways = [];
  let moves = [];
  const show = latest(async () => {
    const started = performance.now();
    const code = base.slice();
    ways.forEach((way, i) => moves[i] && code.forEach((_, d) => { code[d] += moves[i] * way[d]; }));
    const answer = await call("decode", { codes: text64(code) });
    const [canvas] = await cut(answer.sprite);
    big.replaceChildren(cell({ canvas, code, caption: "image of the moved code" }));
    big.dataset.moves = moves.join(",");
    performance.measure("zspace slider", { start: started });
  });
  const load = latest(async () => {
    const body = { kind: kind.value, count: Math.min(32, facts.dim) };
    const picture = from.value === "chosen" ? subject() : null;
    if (picture) body.code = text64(picture.code);
    const answer = await call("directions", body);
    const n = answer.numbers.length;
    base = floats(answer.base);
    ways = rowsOf(answer.vectors, n);
    moves = ways.map(() => 0);
    words.textContent = `${answer.all_used} of ${facts.dim} ${kind.value === "principal" ? "principal directions" : "dimensions"} are in use; ${n < facts.dim ? `the ${n} widest are` : "all are"} shown, the widest first.`;
    const strips = await cut(answer.strips);
    rows.replaceChildren(...ways.map((_, i) => {
      const control = slider(`${kind.value === "principal" ? "Direction" : "Dimension"} ${answer.numbers[i]}`, -4, 4, 0.1, 0, (v) => { moves[i] = v; show(); }, (v) => Number(v).toFixed(1));
      const cells = strips.slice(7 * i, 7 * i + 7).map((canvas, k) => cell({ canvas, caption: `${k - 3} deviations along ${answer.numbers[i]}` }, () => { moves[i] = k - 3; control.put(k - 3); show(); }));
      return el("div", { class: `direction${answer.used[i] ? "" : " dead"}` },
        el("span", {}, `No. ${answer.numbers[i]}, deviation ${answer.deviations[i].toPrecision(2)}${answer.used[i] ? "" : ", not in use"}`),
        control.bare, el("div", { class: "strip" }, ...cells));
    }));
    show();
  });
  const kind = choice("Along ", "along", [["dimensions", "dimensions"], ["principal", "principal directions"]], facts.dim > 64 ? "principal" : "dimensions", load);
  const from = choice("From ", "from", [["mean", "the mean code"], ["chosen", "the chosen image"]], "mean", load);
  root.append(
    el("p", { class: "hint" }, `Each slider moves a code along one direction, by standard deviations of the data's codes; the strip beside it shows -3, -2, -1, 0, 1, 2 and 3. One that is not in use changes nothing.${image ? "" : " The greys of a strip are the numbers of a vector, black the least and white the largest."}`), words,
    el("div", { class: "row" }, kind.element, from.element, el("button", { onclick: load }, "Reset")),
    el("div", { class: "split" }, el("div", { class: "scroll" }, rows), el("div", { class: "held" }, big, image ? el("p", { class: "hint" }, "Press the image to look closer.") : null)));
  tray.changed = [() => from.value === "chosen" && load()];
  load();
};
