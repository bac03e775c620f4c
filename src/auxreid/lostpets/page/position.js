// Coordinates: typed, pasted from a map, or the browser's when the person asks for it.

import { h, problem, problemLine } from "./dom.js";
import { say } from "./words.js";

const DIGITS = 5; // a metre

/** Latitude and longitude of "55.75, 37.62"; undefined where it is something else. */
export function parsed(text) {
  const parts = text.trim().match(/^([-+−]?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*([-+−]?\d{1,3}(?:\.\d+)?)$/);
  if (!parts) return undefined;
  const [latitude, longitude] = parts.slice(1).map((one) => Number(one.replace("−", "-")));
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : undefined;
}

/** A field for coordinates in `root`. */
export class Position {
  constructor(root, name) {
    this.input = h("input", { id: name, autocomplete: "off", inputMode: "text", placeholder: "55.7522, 37.6156",
      "aria-describedby": `problem-${name}` });
    this.problem = problemLine({ id: `problem-${name}` });
    this.said = h("span", { className: "soft", role: "status" });
    const here = h("button", { type: "button", t: "place.here", onclick: () => this.locate() });
    root.append(h("label", { htmlFor: name, t: "place.position" }), h("div", { className: "row" }, this.input, here),
      this.said, this.problem);
  }

  locate() {
    problem(this.problem, null);
    say(this.said, "place.asking");
    const failed = () => {
      say(this.said, "");
      problem(this.problem, { key: "place.denied" });
    };
    if (!navigator.geolocation) return failed();
    navigator.geolocation.getCurrentPosition(({ coords }) => {
      say(this.said, "");
      this.input.value = `${coords.latitude.toFixed(DIGITS)}, ${coords.longitude.toFixed(DIGITS)}`;
      this.input.dispatchEvent(new Event("input", { bubbles: true }));
    }, failed, { timeout: 10000 });
  }

  /** What is in the field: null where it is empty. Throws what to show where it is no coordinate. */
  value() {
    problem(this.problem, null);
    if (!this.input.value.trim()) return null;
    const position = parsed(this.input.value);
    if (position) return position;
    const error = { key: "place.wrong", field: "position" };
    problem(this.problem, error);
    throw error;
  }
}
