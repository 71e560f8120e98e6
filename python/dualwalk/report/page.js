"use strict";
// What moves on the page: choosing samples, values and frames. All that is essential stands in the page without it.
(() => {
  const data = JSON.parse(document.getElementById("dualwalk-data").textContent);
  const pictures = data.pictures;
  const nRows = pictures.rows.length;
  const nPlaces = pictures.places.length;
  const size = nRows * nPlaces;
  const svgNames = "http://www.w3.org/2000/svg";
  const byId = (name) => document.getElementById(name);

  // ---- numbers ----

  const bytesOf = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));

  /** Samples of `size` values each, from base64 of little-endian uint16 levels. */
  function samplesOf(text) {
    const bytes = bytesOf(text);
    const found = new Float64Array(bytes.length / 2);
    for (let k = 0; k < found.length; k++) {
      const row = Math.floor((k % size) / nPlaces);
      found[k] = pictures.low[row] + pictures.step[row] * (bytes[2 * k] + 256 * bytes[2 * k + 1]);
    }
    return (i) => found.subarray(i * size, (i + 1) * size);
  }

  const sets = { real: pictures.real, generated: pictures.generated };
  const samples = { real: samplesOf(pictures.real.values), generated: samplesOf(pictures.generated.values) };
  const bands = pictures.bands.map((text) => samplesOf(text)(0));
  const walks = pictures.walks.map((walk) => ({ ...walk, frame: samplesOf(walk.values) }));
  const changes = new Int8Array(bytesOf(pictures.generated.f_change).buffer);

  const number = (x) => {
    const far = Math.abs(x) >= 1000 ? 0 : Math.abs(x) >= 100 ? 1 : 2;
    return x.toFixed(far).replace("-", "\u2212");
  };
  const tick = (x) => String(Number(x.toPrecision(6))).replace("-", "\u2212");
  const clip = (x, low, high) => Math.min(high, Math.max(low, x));
  const inStandard = (values, row) => (values - pictures.mean[row]) / pictures.deviation[row];
  const [low, high] = data.divergence.end_points;
  const sideOf = (f) => (f < low || f > high ? "outside the end points" : "between the end points");
  const orderOf = (f) => f.map((_, k) => k).sort((a, b) => f[a] - f[b]);

  function ticksBetween(from, to, most) {
    const rough = (to - from) / most || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((k) => (to - from) / k <= most) || 10 * power;
    const found = [];
    for (let k = Math.ceil(from / step - 1e-9); k <= Math.floor(to / step + 1e-9); k++) found.push(k * step);
    return found;
  }

  // ---- drawing ----

  function make(parent, tag, attributes = {}, text = "") {
    const inSvg = tag === "svg" || parent.namespaceURI === svgNames;
    const element = inSvg ? document.createElementNS(svgNames, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  /** Values as an image, a pixel each, in colours from -limit to +limit; zero is clear. */
  function drawImage(parent, title, kind, values, limit) {
    const place = make(parent, "div");
    make(place, "b", {}, title);
    const canvas = make(place, "canvas", { class: `pixels ${kind}`, role: "img", "aria-label": `Heat map: ${title}` });
    canvas.width = nPlaces;
    canvas.height = nRows;
    const image = new ImageData(nPlaces, nRows);
    const top = pictures.signed.length - 1;
    values.forEach((value, k) => {
      const level = clip(Math.round(((value / limit + 1) / 2) * top), 0, top);
      image.data.set(pictures.signed[level], 4 * k);
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  const colorsOf = (values) => values.map((value, k) => inStandard(value, Math.floor(k / nPlaces)));

  /** One row of samples as lines over the band of the real ones; `range` are more values that the axis must hold. */
  function drawLines(parent, title, row, series, range = []) {
    const place = make(parent, "div", { class: "plot" });
    make(place, "b", {}, title);
    const width = Math.max(place.clientWidth, 200);
    const [height, left, right, top, bottom] = [190, 48, width - 8, 8, 154];
    const svg = make(place, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Lines: ${title}` });
    const cut = (values) => Array.from(values.subarray(row * nPlaces, (row + 1) * nPlaces));
    const [lower, , upper] = bands.map(cut);
    const everything = [...lower, ...upper, ...range, ...series.flatMap(([values]) => cut(values))];
    let [from, to] = [Math.min(...everything), Math.max(...everything)];
    const aside = 0.05 * (to - from) || 1;
    [from, to] = [from - aside, to + aside];
    const x = (k) => left + ((k + 0.5) / nPlaces) * (right - left);
    const y = (value) => bottom - ((value - from) / (to - from)) * (bottom - top);
    const points = (values) => {
      if (values.length === 1) return `${left} ${y(values[0])}L${right} ${y(values[0])}`;
      return values.map((value, k) => `${x(k).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
    };
    for (const at of ticksBetween(from, to, 5)) {
      make(svg, "path", { class: "line grid", d: `M${left} ${y(at)}H${right}` });
      make(svg, "text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, tick(at));
    }
    make(svg, "path", { class: "line axis", d: `M${left} ${bottom}H${right}` });
    const every = Math.max(1, Math.ceil(nPlaces / Math.max(2, Math.floor((right - left) / 60))));
    for (let k = 0; k < nPlaces; k += every) {
      make(svg, "text", { x: x(k), y: bottom + 16, "text-anchor": "middle" }, pictures.places[k]);
    }
    make(svg, "text", { class: "label", x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle" }, pictures.place);
    make(svg, "path", { class: "real-soft", d: `M${points(lower)}L${points([...upper]).split("L").reverse().join("L")}Z` });
    for (const [values, kind] of series) make(svg, "path", { class: `line ${kind}`, d: `M${points(cut(values))}` });
  }

  const rowName = (row) => pictures.rows[row] || "the sample";
  const rowOf = (name) => (byId(name) ? Number(byId(name).value) : 0);

  // ---- pointing ----

  const tip = byId("tip");

  function showTip(event, text) {
    tip.textContent = text;
    tip.hidden = !text;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${clip(event.clientX + 14, 4, Math.max(4, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
  }

  /** Tell `found(x, y, svg)` where a picture is pointed at, in its own pixels, and show the words it returns. */
  function onPoint(selector, found) {
    for (const svg of document.querySelectorAll(selector)) {
      const point = (event) => {
        const box = svg.getBoundingClientRect();
        const scale = svg.viewBox.baseVal.width / box.width;
        showTip(event, found((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, svg));
      };
      svg.addEventListener("pointermove", point);
      svg.addEventListener("pointerdown", point);
      svg.addEventListener("pointerleave", () => (tip.hidden = true));
    }
  }

  /** Call when a control changes: a choice at once, a slider as it moves. */
  function onInput(name, call) {
    const control = byId(name);
    control?.addEventListener(control.tagName === "SELECT" ? "change" : "input", call);
  }

  // ---- theme ----

  const root = document.documentElement;
  const themeButton = byId("theme");
  const darkSystem = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : darkSystem.matches);

  function nameTheme() {
    themeButton.textContent = isDark() ? "Light colours" : "Dark colours";
  }

  function turnTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  }

  // ---- 3. the dual space ----

  const orders = { real: orderOf(sets.real.f), generated: orderOf(sets.generated.f) };

  function sampleWords(kind, i) {
    const of = sets[kind];
    const label = of.label ? `, label ${of.label[i]}` : "";
    const name = kind === "real" ? "Real" : "Generated";
    return `${name} sample ${of.index[i] + 1}: f = ${number(of.f[i])} nats, cluster ${of.cluster[i] + 1}${label}, ${sideOf(of.f[i])}`;
  }

  function showSpace() {
    const kind = byId("space-set").value;
    const slider = byId("space-rank");
    slider.max = orders[kind].length - 1;
    const i = orders[kind][slider.value];
    const frame = kind === "real" ? "real" : "made";
    const place = byId("space-sample");
    const row = rowOf("space-row");
    place.replaceChildren();
    if (nRows > 1) drawImage(place, "the sample", frame, colorsOf(samples[kind](i)), pictures.limit);
    drawLines(place, `${rowName(row)} (${pictures.unit})`, row, [[samples[kind](i), `${frame} thick`]]);
    const other = kind === "real" ? "other real sample" : "real sample";
    const words = `${sampleWords(kind, i)}; distance ${number(sets[kind].novelty[i])} to its nearest ${other}.`;
    byId("space-told").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    for (const svg of document.querySelectorAll("svg.space")) {
      const box = Object.fromEntries(Object.entries(svg.dataset).map(([name, value]) => [name, Number(value)]));
      const share = clip((sets[kind].f[i] - box.low) / (box.high - box.low), 0, 1);
      svg.querySelector(".cursor").setAttribute("transform", `translate(${box.left + share * (box.right - box.left)} 0)`);
      svg.classList.add("live");
    }
  }

  function pointSpace(x, y, svg) {
    const { low: from, high: to, left, right, split } = svg.dataset;
    const kind = y > Number(split) ? "generated" : "real";
    const f = Number(from) + ((x - left) / (right - left)) * (to - from);
    const away = orders[kind].map((i) => Math.abs(sets[kind].f[i] - f));
    byId("space-set").value = kind;
    byId("space-rank").max = away.length - 1;
    byId("space-rank").value = away.indexOf(Math.min(...away));
    showSpace();
    return sampleWords(kind, orders[kind][byId("space-rank").value]);
  }

  // ---- 4. the dependence map and graph ----

  const graph = pictures.graph;
  let column = 0;

  function placeOf(k) {
    const row = pictures.columns.findIndex((columns) => columns.includes(k));
    return row < 0 ? null : [row, pictures.columns[row].indexOf(k)];
  }

  function columnName(k) {
    if (graph?.names[k]) return graph.names[k];
    const [row, place] = placeOf(k);
    const where = `${pictures.place} ${pictures.places[place]}`;
    return pictures.rows[row] ? `${pictures.rows[row]}, ${where}` : where;
  }

  function columnWords(k) {
    const at = placeOf(k);
    let words = columnName(k);
    if (at) words += `: ${number(pictures.terms[at[0] * nPlaces + at[1]])} nats on average`;
    if (!graph) return `${words}.`;
    const up = graph.edges.find(([, child]) => child === k);
    const down = graph.edges.filter(([parent]) => parent === k);
    words += up ? `; leans most on ${columnName(up[0])}` : "; leans on no other";
    if (down.length) {
      const shown = down.slice(-3).map(([, child]) => columnName(child)).join("; ");
      words += `; ${down.length} lean${down.length === 1 ? "s" : ""} most on it (${shown}${down.length > 3 ? " …" : ""})`;
    }
    return `${words}.`;
  }

  function showColumn(k) {
    column = k;
    byId("column-told").textContent = columnWords(k);
    const at = placeOf(k);
    for (const svg of document.querySelectorAll("svg.map")) {
      svg.classList.toggle("live", Boolean(at));
      if (!at) continue;
      const { left, right, top, bottom } = svg.dataset;
      const wide = (right - left) / nPlaces;
      const tall = (bottom - top) / nRows;
      svg.querySelector(".cursor").setAttribute("transform", `translate(${at[1] * wide} ${at[0] * tall})`);
    }
    if (at) {
      if (byId("column-row")) byId("column-row").value = at[0];
      byId("column-place").value = at[1];
      byId("column-place").setAttribute("aria-valuetext", columnWords(k));
    }
    for (const svg of document.querySelectorAll("svg.graph")) {
      const node = svg.querySelector(`[data-column="${k}"]`);
      svg.classList.toggle("live", Boolean(node));
      for (const edge of svg.querySelectorAll(".edge")) {
        edge.classList.toggle("near", Number(edge.dataset.parent) === k || Number(edge.dataset.child) === k);
      }
      if (node) moveTo(svg.querySelector("circle.cursor"), node);
    }
  }

  function moveTo(circle, node) {
    const box = node.getAttribute("cx") === null
      ? [Number(node.getAttribute("x")) + node.getAttribute("width") / 2, Number(node.getAttribute("y")) + node.getAttribute("height") / 2]
      : [node.getAttribute("cx"), node.getAttribute("cy")];
    circle.setAttribute("cx", box[0]);
    circle.setAttribute("cy", box[1]);
  }

  function pointMap(x, y, svg) {
    const { left, right, top, bottom } = svg.dataset;
    const place = Math.floor(((x - left) / (right - left)) * nPlaces);
    const row = Math.floor(((y - top) / (bottom - top)) * nRows);
    if (place < 0 || place >= nPlaces || row < 0 || row >= nRows) return "";
    showColumn(pictures.columns[row][place]);
    return columnWords(column);
  }

  function pointGraph(x, y, svg) {
    let [best, node] = [24, null];
    for (const one of svg.querySelectorAll(".node")) {
      const [cx, cy] = ["x", "y"].map((axis) => Number(one.getAttribute(`c${axis}`) ?? Number(one.getAttribute(axis)) + 3));
      const away = Math.hypot(cx - x, cy - y);
      if (away < best) [best, node] = [away, one];
    }
    if (!node) return "";
    showColumn(Number(node.dataset.column));
    return columnWords(column);
  }

  // ---- 5. generated beside real ----

  const made = sets.generated;
  const groupOf = (i) => (made.label ? made.label[i] : `cluster ${made.cluster[i] + 1}`);
  let shownOrder = orders.generated;

  function fillFilter() {
    const groups = [...new Set(made.f.map((_, i) => groupOf(i)))];
    groups.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const select = byId("beside-label");
    make(select, "option", { value: "-1" }, `all (${made.f.length})`);
    groups.forEach((group, k) => {
      const count = made.f.filter((_, i) => groupOf(i) === group).length;
      make(select, "option", { value: k }, `${group} (${count})`);
    });
    onInput("beside-label", () => {
      const group = groups[select.value];
      shownOrder = orders.generated.filter((i) => group === undefined || groupOf(i) === group);
      byId("beside-rank").value = 0;
      showBeside();
    });
  }

  function showBeside() {
    const slider = byId("beside-rank");
    slider.max = shownOrder.length - 1;
    const i = shownOrder[slider.value];
    const real = made.nearest[i];
    const [here, there] = [samples.generated(i), samples.real(real)];
    const row = rowOf("beside-row");
    const name = `real sample ${sets.real.index[real] + 1}`;
    const place = byId("beside-show");
    place.replaceChildren();
    if (nRows > 1) {
      const [a, b] = [colorsOf(here), colorsOf(there)];
      const change = Array.from(changes.subarray(i * size, (i + 1) * size), (part) => part * made.f_change_step[i]);
      const most = change.reduce((top, part) => Math.max(top, Math.abs(part)), 0) || 1;
      drawImage(place, "generated", "made", a, pictures.limit);
      drawImage(place, "nearest real", "real", b, pictures.limit);
      drawImage(place, "difference", "", a.map((value, k) => value - b[k]), pictures.limit);
      drawImage(place, `change of local f, to ±${number(most)} nats`, "", change, most);
    }
    const title = `${rowName(row)} (${pictures.unit}): generated, nearest real, band of 80 % of the real`;
    drawLines(place, title, row, [[there, "real thick"], [here, "made thick"]]);
    const step = `local f goes from ${number(made.f_from[i])} to ${number(made.f_to[i])} nats`;
    const words = `${sampleWords("generated", i)}. Nearest: ${name}, distance ${number(made.novelty[i])}; from there to here, ${step}.`;
    byId("beside-told").textContent = words;
    slider.setAttribute("aria-valuetext", words);
  }

  function stepBeside(by) {
    const slider = byId("beside-rank");
    slider.value = (Number(slider.value) + by + shownOrder.length) % shownOrder.length;
    showBeside();
  }

  function selectGenerated(i) {
    byId("beside-label").value = "-1";
    shownOrder = orders.generated;
    byId("beside-rank").max = shownOrder.length - 1;
    byId("beside-rank").value = shownOrder.indexOf(i);
    showBeside();
  }

  // ---- 6. novelty ----

  const columnsOfTable = [
    (i) => made.index[i] + 1,
    (i) => made.novelty[i],
    (i) => sets.real.index[made.nearest[i]] + 1,
    (i) => made.f[i],
    (i) => Number(made.f[i] < low || made.f[i] > high),
  ];
  let sorted = { by: 1, up: true };

  function fillTable() {
    const table = byId("novelty-table");
    const value = columnsOfTable[sorted.by];
    const rows = made.f.map((_, i) => i).sort((a, b) => (sorted.up ? 1 : -1) * (value(a) - value(b)) || a - b);
    table.tBodies[0].replaceChildren(...rows.map((i) => {
      const row = document.createElement("tr");
      const link = make(make(row, "td", { class: "number" }), "a", { href: "#beside" }, columnsOfTable[0](i));
      link.addEventListener("click", () => selectGenerated(i));
      make(row, "td", { class: "number" }, number(made.novelty[i]));
      make(row, "td", { class: "number" }, columnsOfTable[2](i));
      make(row, "td", { class: "number" }, number(made.f[i]));
      make(row, "td", {}, columnsOfTable[4](i) ? "outside" : "inside");
      return row;
    }));
    [...table.tHead.rows[0].cells].forEach((cell, k) => {
      cell.setAttribute("aria-sort", k !== sorted.by ? "none" : sorted.up ? "ascending" : "descending");
    });
  }

  function makeSortable() {
    const table = byId("novelty-table");
    const box = table.parentElement;
    box.previousElementSibling.textContent = `${made.f.length} generated samples: choose a heading to sort, a number to see that sample in section 5`;
    box.setAttribute("aria-label", `${made.f.length} generated samples`);
    [...table.tHead.rows[0].cells].forEach((cell, k) => {
      const button = make(cell, "button", { type: "button" }, cell.textContent);
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        sorted = { by: k, up: sorted.by === k ? !sorted.up : true };
        fillTable();
      });
    });
    fillTable();
  }

  // ---- 7. walks ----

  let timer = 0;

  function showWalk() {
    const which = Number(byId("walk-which").value);
    const walk = walks[which];
    const slider = byId("walk-frame");
    slider.max = walk.f.length;
    const k = Number(slider.value) - 1;
    const row = rowOf("walk-row");
    const [first, here] = [walk.frame(0), walk.frame(k)];
    const real = k === 0 || (k === walk.f.length - 1 && walk.end >= 0);
    const place = byId("walk-show");
    place.replaceChildren();
    if (nRows > 1) {
      const [a, b] = [colorsOf(first), colorsOf(here)];
      drawImage(place, `frame ${k + 1}`, real ? "real" : "made", b, pictures.limit);
      drawImage(place, "moved so far", "", b.map((value, j) => value - a[j]), pictures.limit);
    }
    const range = walk.f.flatMap((_, frame) => Array.from(walk.frame(frame).subarray(row * nPlaces, (row + 1) * nPlaces)));
    const title = `${rowName(row)} (${pictures.unit}): this frame, frame 1, band of 80 % of the real`;
    drawLines(place, title, row, [[first, "real"], [here, `${real ? "real" : "made"} thick`]], range);
    const cluster = data.divergence.cuts.filter((cut) => cut < walk.f[k]).length + 1;
    const words = `Frame ${k + 1} of ${walk.f.length}: f = ${number(walk.f[k])} nats, cluster ${cluster}; distance ${number(walk.novelty[k])} to the nearest real sample.`;
    byId("walk-told").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    document.querySelectorAll(".walk").forEach((part, j) => part.classList.toggle("off", j !== which));
    for (const svg of document.querySelectorAll(`.walk[data-walk="${which}"] svg.along`)) {
      svg.classList.add("live");
      const dot = svg.querySelectorAll(".dot")[k];
      moveTo(svg.querySelector("circle.cursor"), dot);
      svg.querySelector("path.cursor").setAttribute("transform", `translate(${dot.getAttribute("cx")} 0)`);
    }
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    byId("walk-play").textContent = "Play";
    byId("walk-play").setAttribute("aria-pressed", "false");
  }

  function play() {
    if (timer) return stop();
    const slider = byId("walk-frame");
    if (slider.value === slider.max) slider.value = 1;
    byId("walk-play").textContent = "Pause";
    byId("walk-play").setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      showWalk();
      if (slider.value === slider.max) stop();
    }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 180);
    return undefined;
  }

  function pointWalk(x, y, svg) {
    const away = [...svg.querySelectorAll(".dot")].map((dot) => Math.abs(dot.getAttribute("cx") - x));
    byId("walk-frame").value = away.indexOf(Math.min(...away)) + 1;
    showWalk();
    return byId("walk-told").textContent;
  }

  // ---- start ----

  function showAll() {
    showSpace();
    showBeside();
    showWalk();
  }

  root.classList.add("js");
  nameTheme();
  darkSystem.addEventListener("change", nameTheme);
  themeButton.addEventListener("click", turnTheme);
  byId("space-rank").max = orders.real.length - 1;
  byId("space-rank").value = Math.floor(orders.real.length / 2);
  byId("column-place").max = nPlaces - 1;
  const middleFrame = () => Math.ceil(walks[byId("walk-which").value].f.length / 2);
  byId("walk-frame").max = walks[0].f.length;
  byId("walk-frame").value = middleFrame();
  byId("beside-rank").max = orders.generated.length - 1;
  byId("beside-rank").value = Math.floor(orders.generated.length / 2);
  fillFilter();
  makeSortable();
  showAll();
  const strongest = pictures.terms.indexOf(Math.max(...pictures.terms));
  showColumn(pictures.columns[Math.floor(strongest / nPlaces)][strongest % nPlaces]);
  const fromInputs = () => showColumn(pictures.columns[rowOf("column-row")][byId("column-place").value]);
  for (const name of ["space-set", "space-rank", "space-row"]) onInput(name, showSpace);
  for (const name of ["column-row", "column-place"]) onInput(name, fromInputs);
  for (const name of ["beside-rank", "beside-row"]) onInput(name, showBeside);
  for (const name of ["walk-frame", "walk-row"]) onInput(name, showWalk);
  onInput("walk-which", () => {
    stop();
    byId("walk-frame").max = walks[byId("walk-which").value].f.length;
    byId("walk-frame").value = middleFrame();
    showWalk();
  });
  byId("beside-back").addEventListener("click", () => stepBeside(-1));
  byId("beside-on").addEventListener("click", () => stepBeside(1));
  byId("walk-play").addEventListener("click", play);
  onPoint("svg.space", pointSpace);
  onPoint("svg.map", pointMap);
  onPoint("svg.graph", pointGraph);
  onPoint("svg.along", pointWalk);
  let pause = 0;
  addEventListener("resize", () => {
    clearTimeout(pause);
    pause = setTimeout(showAll, 150);
  });
})();
