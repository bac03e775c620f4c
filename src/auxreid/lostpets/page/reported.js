// What everybody may know of a report: its first photograph, date and place.

import * as api from "./api.js";
import { h } from "./dom.js";

/** Its first photograph, with this text for those who do not see it; nothing where it has none. */
export const pictureOf = (known, tAlt) =>
  known.photos.slice(0, 1).map((photo) => h("img", { src: api.thumbnail(photo), tAlt }));

/** When and where, as far as it is known. */
export function factsOf(known) {
  const date = known.date ? { day: known.date } : { t: "mine.noDate" };
  return h("span", { t: "mine.facts", v: { date, place: known.place.name || { t: "mine.noPlace" } } });
}
