// Walks frame by frame, the theme, and the start of it all.

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
  drawLines(place, row, [[first, "real", "frame 1"], [here, `${real ? "real" : "made"} thick`, "this frame"]], range);
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
