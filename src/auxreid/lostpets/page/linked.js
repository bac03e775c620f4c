// A report that a link names, as a feed's entries do: /?report=<id>.

import * as api from "./api.js";
import { $, h, problem, problemLine } from "./dom.js";
import { writeTo } from "./message.js";
import { factsOf, pictureOf } from "./reported.js";

const MERGES = 5; // that are followed to the report that stands for the dog

/** Show it in the place of results. */
export async function showLinked(id) {
  try {
    $("#answer").replaceChildren(card(await standing(id)));
  } catch (error) {
    const wrong = problemLine();
    $("#answer").replaceChildren(h("div", { className: "card" }, wrong));
    problem(wrong, error);
  }
}

async function standing(id) {
  let known = await api.report(id);
  for (let time = 0; time < MERGES && known.into; time += 1) known = await api.report(known.into);
  return known;
}

function card(known) {
  const open = known.state === "open";
  const tag = h("span", { className: open ? "tag match" : "tag none",
    t: `mine.state.${open ? "open" : known.reason ?? known.state}` });
  const write = () => writeTo(known.report);
  const told = h("div", {}, h("h3", { t: `mine.${known.kind}Named`, v: { name: known.name } }),
    h("p", { className: "soft" }, tag, " ", factsOf(known)),
    h("p", { className: "said", textContent: known.text }),
    open ? h("div", { className: "actions" }, h("button", { type: "button", t: "dog.write", onclick: write })) : null);
  const picture = h("div", { className: "pictures" }, ...pictureOf(known, "alike.photo"));
  return h("div", { className: "card" },
    h("ul", { className: "plain" }, h("li", { className: "own" }, picture, told)));
}
