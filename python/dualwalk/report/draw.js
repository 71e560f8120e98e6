"use strict";
// Numbers of the page as pictures: what choose.js and play.js draw with. html.py joins the three into one function.

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

/** Marks and what they stand for. */
function drawLegend(parent, entries) {
  const legend = make(parent, "div", { class: "legend" });
  for (const [kind, words] of entries) {
    const entry = make(legend, "span");
    make(entry, "i", { class: `mark ${kind}` });
    entry.append(words);
  }
}

/** One row of samples, [values, kind, name] each, as lines over the band of the real ones; the axis holds `range` as well. */
function drawLines(parent, row, series, range = []) {
  const place = make(parent, "div", { class: "plot" });
  const title = `${pictures.rows[row] || "the sample"} (${pictures.unit})`;
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
  drawLegend(place, [...series.map(([, kind, name]) => [`line ${kind}`, name]), ["real-soft", "middle 80 % of the real samples"]]);
}

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
