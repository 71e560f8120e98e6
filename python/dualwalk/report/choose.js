// Choosing a sample of the dual space, a value of the map, a generated sample beside its nearest real one.

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
  drawLines(place, row, [[samples[kind](i), `${frame} thick`, "the sample"]]);
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
  const up = graph.edges.findIndex(([, child]) => child === k);
  const down = graph.edges.filter(([parent]) => parent === k);
  words += up < 0 ? "; leans on no other" : `; leans most on ${columnName(graph.edges[up][0])}, by ${number(graph.nats[up])} nats with all before it`;
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
    drawImage(place, `change of f, ±${number(most)} nats`, "", change, most);
  }
  drawLines(place, row, [[there, "real thick", "nearest real"], [here, "made thick", "generated"]]);
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
const subjects = sets.real.subject; // null where the sampler got no groups
if (subjects) {
  const order = [...new Set(subjects)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  columnsOfTable.push((i) => order.indexOf(subjects[made.nearest[i]]));
}
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
    if (subjects) make(row, "td", {}, subjects[made.nearest[i]]);
    return row;
  }));
  [...table.tHead.rows[0].cells].forEach((cell, k) => {
    cell.setAttribute("aria-sort", k !== sorted.by ? "none" : sorted.up ? "ascending" : "descending");
  });
}

function makeSortable() {
  const table = byId("novelty-table");
  const box = table.parentElement;
  const caption = box.previousElementSibling;
  const all = `${made.f.length} generated samples`;
  caption.textContent = "";
  make(caption, "span", { class: "on-screen" }, `${all}: choose a heading to sort, a number to see that sample in section 5`);
  make(caption, "span", { class: "on-paper" }, `The first 20 of ${all}`);
  box.setAttribute("aria-label", all);
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
