// Two photographs side by side, which zoom and move together.

import { $, $$, h } from "./dom.js";
import { say } from "./words.js";

const MOST = 12;
const STEP = 1.4;
const PAN = 0.1; // of a pane's side

const view = { zoom: 1, x: 0, y: 0 }; // x, y: how far the photographs are moved, in shares of a pane
const fingers = new Map();

const clamp = (value, most) => Math.min(most, Math.max(-most, value));

function show() {
  const most = (view.zoom - 1) / 2;
  Object.assign(view, { x: clamp(view.x, most), y: clamp(view.y, most) });
  for (const one of $$("#compare-panes img"))
    one.style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.zoom})`;
  say($("#zoom-level"), "compare.level", { share: { share: view.zoom } });
}

/** Zoom, so that the point of the pane (shares from its centre) stays where it is. */
function zoom(factor, [x, y] = [0, 0]) {
  const before = view.zoom;
  view.zoom = Math.min(MOST, Math.max(1, before * factor));
  const grown = view.zoom / before;
  Object.assign(view, { x: x - (x - view.x) * grown, y: y - (y - view.y) * grown });
  show();
}

function reset() {
  Object.assign(view, { zoom: 1, x: 0, y: 0 });
  show();
}

function pan(x, y) {
  Object.assign(view, { x: view.x + x, y: view.y + y });
  show();
}

const KEYS = {
  "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: reset,
  ArrowLeft: () => pan(PAN, 0), ArrowRight: () => pan(-PAN, 0),
  ArrowUp: () => pan(0, PAN), ArrowDown: () => pan(0, -PAN),
};

function pressed(event) {
  if (!KEYS[event.key] || event.target.tagName === "SELECT") return;
  event.preventDefault();
  KEYS[event.key]();
}

/** Where an event is on its pane, in shares from the centre. */
function place(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
}

const spread = () => {
  const [a, b] = [...fingers.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
};

function moved(event) {
  if (!fingers.has(event.pointerId)) return;
  const [now, before] = [place(event), fingers.get(event.pointerId)];
  const apart = fingers.size === 2 ? spread() : 0;
  fingers.set(event.pointerId, now);
  if (fingers.size === 1) pan(now[0] - before[0], now[1] - before[1]);
  else if (apart) zoom(spread() / apart, now);
}

function touched(event) {
  event.currentTarget.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
}

const left = (event) => fingers.delete(event.pointerId);

function rolled(event) {
  event.preventDefault();
  zoom(event.deltaY < 0 ? STEP : 1 / STEP, place(event));
}

/** A pane: which of the photographs it shows is chosen where there are several. */
function pane(name, addresses) {
  const picture = h("img", { src: addresses[0], tAlt: `compare.${name}`, draggable: false });
  const props = { className: "pane", tabIndex: 0, role: "group", tLabel: `compare.${name}Pane` };
  const pointer = { onpointerdown: touched, onpointermove: moved, onpointerup: left, onpointercancel: left };
  const stage = h("div", { ...props, ...pointer, onkeydown: pressed }, picture);
  stage.addEventListener("wheel", rolled, { passive: false });
  const caption = h("figcaption", {}, h("span", { t: `compare.${name}` }), which(name, addresses, picture));
  return h("figure", {}, stage, caption);
}

function which(name, addresses, picture) {
  if (addresses.length < 2) return null;
  const options = addresses.map((_, place) =>
    h("option", { value: place, t: "compare.which", v: { number: place + 1 } }));
  const chosen = (event) => {
    picture.src = addresses[event.target.value];
    reset();
  };
  return h("select", { tLabel: `compare.${name}Which`, onchange: chosen }, ...options);
}

/** Open the comparison of the person's photographs with a found dog's; addresses of both. */
export function compare(asked, found) {
  const panes = [asked.length ? pane("asked", asked) : null, pane("found", found)];
  $("#compare-panes").replaceChildren(...panes.filter(Boolean));
  reset();
  $("#compare").showModal();
  $("#compare-panes .pane").focus();
}

$("#zoom-in").addEventListener("click", () => zoom(STEP));
$("#zoom-out").addEventListener("click", () => zoom(1 / STEP));
$("#zoom-reset").addEventListener("click", reset);
$("#compare-close").addEventListener("click", () => $("#compare").close());
