// One found dog: its photographs, what speaks for and against it, and what a person says of it.

import * as api from "./api.js";
import { compare } from "./compare.js";
import { h, problem, problemLine } from "./dom.js";
import { writeTo } from "./message.js";

/** The names of the decisions in texts and styles. */
export const CLASSES = { match: "match", possible: "possible", "no match": "none" };

const SAYS_NOTHING = 0.05; // nats; less than what is shown with one digit
const LONGEST_BAR = 4; // nats that fill half of a bar
const SHOWN_PHOTOS = 6; // of a dog, beside the best

let cards = 0; // that were made, each with an id of its own

/**
 * An entry of a list of dogs. `search` is null where nothing can be said of it, `asked` are the addresses of the
 * photographs that it is compared with, `similar` searches with one of its own.
 */
export function dogCard(dog, { place, search, asked, similar }) {
  const pictures = [...new Set([dog.photo, ...dog.photos])];
  const title = { number: place + 1, dog: dog.report ? { t: `dog.named.${dog.kind}` } : dog.dog };
  const open = () => compare(asked, pictures.map(api.large));
  const name = `dog-${(cards += 1)}`;
  return h("li", { className: "dog card", "aria-labelledby": name },
    h("button", { type: "button", className: "photo", onclick: open, tLabel: "dog.compareWith", v: title },
      h("img", { src: api.thumbnail(dog.photo), alt: "", loading: "lazy" })),
    h("div", { className: "what" },
      h("div", { className: "line" }, h("h3", { id: name, t: "dog.title", v: title }), tag(dog.decision)),
      h("p", { className: "soft facts" }, ...facts(dog)),
      terms(dog),
      strip(pictures.slice(1), title),
      dog.report ? says(dog.report) : null,
      actions(dog, { search, open, title, similar })));
}

const tag = (decision) =>
  h("span", { className: `tag ${CLASSES[decision]}`, t: `decision.short.${CLASSES[decision]}` });

function facts(dog) {
  const said = [h("span", { t: `dog.kind.${dog.kind}` })];
  if (dog.date) said.push(h("span", { t: "dog.date", v: { date: { day: dog.date } } }));
  if (dog.place?.name) said.push(h("span", { textContent: dog.place.name }));
  if (typeof dog.km === "number") said.push(h("span", { t: dog.km < 1 ? "dog.near" : "dog.km", v: { km: dog.km } }));
  for (const one of dog.lacks) {
    const lacking = one === "place" && dog.place?.name ? "position" : one;
    said.push(h("span", { className: "lacks", t: `dog.lacks.${lacking}` }));
  }
  return said.flatMap((one, place) => (place ? [" · ", one] : [one]));
}

/** What speaks for and against the dog, the weightiest first. */
function terms(dog) {
  const ordered = [...dog.terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const sum = h("strong", { t: "terms.value", v: { value: { signed: dog.score } } });
  const total = h("li", { className: "total" }, h("span", { t: "terms.total" }), h("span"), sum);
  return h("ul", { className: "terms", tLabel: "terms.label" }, ...ordered.map(term), total);
}

function term({ name, value, said }) {
  const sense = Math.abs(value) < SAYS_NOTHING ? "nothing" : value > 0 ? "agrees" : "disagrees";
  const whole = name === "visual" || name === "text";
  const bar = h("span", { className: "bar", "aria-hidden": "true" }, h("i"));
  bar.style.setProperty("--length", Math.min(1, Math.abs(value) / LONGEST_BAR));
  const called = h("span", { t: whole ? `terms.${name}` : `attribute.${name}` });
  return h("li", { className: sense },
    h("span", {}, called, said ? h("small", { t: "terms.said" }) : null),
    bar,
    h("span", { t: `terms.${whole ? `${name}.` : ""}${sense}`, v: { value: { signed: value } } }));
}

function strip(photos, v) {
  if (!photos.length) return null;
  const picture = (one) => h("img", { src: api.thumbnail(one), tAlt: "dog.another", v, loading: "lazy" });
  const left = photos.length - SHOWN_PHOTOS;
  return h("div", { className: "strip" }, ...photos.slice(0, SHOWN_PHOTOS).map(picture),
    left > 0 ? h("span", { className: "soft", t: "dog.more", v: { number: left } }) : null);
}

/** What the reporter says, asked for when it is opened. */
function says(report) {
  const text = h("p", { className: "said" });
  const open = async () => {
    try {
      const known = await api.report(report);
      if (known.text || known.name) text.textContent = [known.name, known.text].filter(Boolean).join(": ");
      else text.replaceChildren(h("span", { t: "dog.saysNothing" }));
    } catch (error) {
      problem(text, error);
    }
  };
  const opened = (event) => event.target.open && open();
  return h("details", { className: "says", ontoggle: opened }, h("summary", { t: "dog.says" }), text);
}

function actions(dog, { search, open, title, similar }) {
  const wrong = problemLine();
  const said = h("p", { className: "soft", role: "status" });
  const button = (key, label, onclick, props = {}) =>
    h("button", { type: "button", t: key, tLabel: label, v: title, onclick, ...props });
  const quiet = (key, label, onclick) => button(key, label, onclick, { className: "quiet" });
  const verdict = (sense) => button(`dog.${sense}`, `dog.${sense}One`,
    (event) => judge(event.currentTarget, { search, dog: dog.dog, verdict: sense }, { wrong, said }),
    { className: "judge", "aria-pressed": "false" });
  return h("div", {},
    h("div", { className: "actions" },
      ...(search ? [verdict("same"), verdict("different")] : []),
      quiet("dog.compare", "dog.compareWith", open),
      quiet("dog.similar", "dog.similarTo", () => similar(dog, title, wrong)),
      dog.report ? button("dog.write", "dog.writeTo", () => writeTo(dog.report)) : null),
    said, wrong);
}

/** Tell the server what the person says of a dog, or of all of them. */
export async function judge(button, body, { wrong, said }) {
  if (button.ariaBusy === "true") return; // a second click would say it twice
  problem(wrong, null);
  button.ariaBusy = "true";
  try {
    await api.feedback(body);
  } catch (error) {
    return problem(wrong, error);
  } finally {
    button.ariaBusy = null;
  }
  for (const one of button.parentElement.querySelectorAll(".judge"))
    one.setAttribute("aria-pressed", String(one === button));
  said.replaceChildren(h("span", { t: `feedback.${body.verdict}` }));
}
