// Crop a photograph: a box is dragged on it, or its edges are moved by four sliders.

import { $, $$ } from "./dom.js";

const SMALLEST = 5; // per cent of a side
const WHOLE = { left: 0, top: 0, right: 100, bottom: 100 };
const OPPOSITE = { left: "right", right: "left", top: "bottom", bottom: "top" };

let edges = { ...WHOLE };

const sliders = () => $$("#crop-edges input");
const clamp = (value) => Math.min(100, Math.max(0, value));

/** Show the edges, in per cent, on the photograph and on the sliders. */
function show() {
  const { left, top, right, bottom } = edges;
  const sides = { left, top, width: right - left, height: bottom - top };
  for (const [name, value] of Object.entries(sides)) $("#crop-box").style[name] = `${value}%`;
  for (const one of sliders()) {
    one.value = edges[one.name];
    one.setAttribute("aria-valuetext", `${Math.round(edges[one.name])} %`);
  }
}

/** An edge was moved: the opposite one keeps its distance. */
function move(name, value) {
  const opposite = edges[OPPOSITE[name]];
  const first = name === "left" || name === "top";
  edges[name] = first ? Math.min(value, opposite - SMALLEST) : Math.max(value, opposite + SMALLEST);
  show();
}

function drag(start) {
  const stage = $("#crop-stage").getBoundingClientRect();
  const at = (event) => [
    clamp(100 * (event.clientX - stage.left) / stage.width), clamp(100 * (event.clientY - stage.top) / stage.height)];
  const [x, y] = at(start);
  const follow = (event) => {
    const [left, right] = [x, at(event)[0]].sort((a, b) => a - b);
    const [top, bottom] = [y, at(event)[1]].sort((a, b) => a - b);
    if (right - left < SMALLEST || bottom - top < SMALLEST) return;
    edges = { left, top, right, bottom };
    show();
  };
  start.target.setPointerCapture(start.pointerId);
  start.target.addEventListener("pointermove", follow);
  const stop = () => start.target.removeEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) start.target.addEventListener(name, stop, { once: true });
}

$("#crop-stage").addEventListener("pointerdown", (event) => {
  event.preventDefault();
  drag(event);
});
for (const one of sliders()) one.addEventListener("input", () => move(one.name, Number(one.value)));

/** The crop that the person chooses: left, top, width, height in shares; null: the whole; undefined: as it was. */
export function crop(url, now) {
  const [left, top, width, height] = now ?? [0.1, 0.1, 0.8, 0.8];
  edges = { left: 100 * left, top: 100 * top, right: 100 * (left + width), bottom: 100 * (top + height) };
  $("#crop-image").src = url;
  show();
  const dialog = $("#crop");
  dialog.returnValue = "cancel";
  dialog.showModal();
  sliders()[0].focus();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(chosen(dialog.returnValue)), { once: true }));
}

function chosen(pressed) {
  if (pressed === "whole") return null;
  if (pressed !== "crop") return undefined;
  const { left, top, right, bottom } = edges;
  const box = [left, top, right - left, bottom - top].map((one) => Math.round(one) / 100);
  return box.every((one, place) => one === [0, 0, 1, 1][place]) ? null : box;
}
