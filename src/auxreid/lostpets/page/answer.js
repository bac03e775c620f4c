// What a search found: the decision, what was searched, the dogs, and what speaks for and against each.

import * as api from "./api.js";
import { compare } from "./compare.js";
import { $, announce, h, problem } from "./dom.js";
import { writeTo } from "./message.js";
import { saveForm } from "./save.js";

const CLASSES = { match: "match", possible: "possible", "no match": "none" };
const SAYS_NOTHING = 0.05; // nats; less than what is shown with one digit
const LONGEST_BAR = 4; // nats that fill half of a bar
const SHOWN_PHOTOS = 6; // of a dog, beside the best
const SHOWN_DOGS = 5; // at first

let own = null; // the person's own search, to which "similar to this" leads back

/** Show an answer in place of the one before. `asked`: addresses of the photographs that were searched with. */
export function showAnswer({ search, answer }, asked, source = null) {
  if (source === null) own = () => showAnswer({ search, answer }, asked);
  const dogs = answer.dogs.map((dog, place) => card({ dog, place, search, asked }));
  $("#answer").replaceChildren(banner(answer), summary(answer, source), ...(dogs.length ? found(dogs, search) : [nothing()]),
    ...(source === null ? [saveForm(search)] : []));
  const said = { decision: { t: `decision.${CLASSES[answer.decision]}` }, dogs: answer.dogs.length };
  announce("results.announced", said);
}

/** What is shown before the first search. */
export function showEmpty() {
  const steps = [1, 2, 3].map((number) => h("li", { t: `empty.${number}` }));
  $("#answer").replaceChildren(h("div", { className: "empty card" }, h("p", { className: "title", t: "empty.title" }), h("ol", {}, ...steps)));
}

function found(dogs, search) {
  const list = h("ol", { className: "dogs" }, ...dogs.slice(0, SHOWN_DOGS));
  return [
    list,
    more(list, dogs.slice(SHOWN_DOGS)),
    noneOfThese(search),
    h("details", { className: "numbers" }, h("summary", { t: "numbers.title" }), h("p", { t: "numbers.text" })),
  ].filter(Boolean);
}

function more(list, dogs) {
  if (!dogs.length) return null;
  const button = h("button", { type: "button", className: "quiet boxed", t: "results.more", v: { dogs: dogs.length }, onclick: () => {
    list.append(...dogs);
    button.remove();
    dogs[0].querySelector("button").focus();
  } });
  return button;
}

const nothing = () => h("p", { className: "card", t: "results.nothing" });

function banner(answer) {
  const name = CLASSES[answer.decision];
  return h("div", { className: `banner ${name}` },
    h("p", { className: "verdict", t: `decision.${name}` }),
    h("p", { t: `meaning.${name}` }));
}

function summary(answer, source) {
  const parts = [h("li", { t: "results.searched", v: { photos: answer.searched, dogs: answer.searched_dogs } })];
  for (const one of answer.filters) parts.push(h("li", {}, ...narrowed(one)));
  if (!answer.exact) parts.push(h("li", { t: "results.approximate" }));
  const stated = Object.entries(answer.stated).map(([name, words]) => h("li", {}, ...statement(name, words)));
  return h("div", { className: "summary" },
    source ? h("div", { className: "line" }, h("strong", { t: "results.similarTo", v: source }), back()) : null,
    h("ul", {}, ...parts),
    stated.length ? h("div", { className: "stated" }, h("span", { t: "results.stated" }), h("ul", { className: "tags" }, ...stated)) : null);
}

const back = () => (own ? h("button", { type: "button", className: "quiet", t: "results.back", onclick: () => {
  own();
  $("#results-title").focus();
} }) : null);

function narrowed(one) {
  const out = one.before - one.after;
  return [h("span", { t: out ? `filter.${one.name}` : `filter.${one.name}None`, v: { photos: out } }),
    ...(one.lacking ? [" ", h("span", { t: one.name === "near" ? "filter.lackingPlace" : "filter.lackingDate", v: { photos: one.lacking } })] : [])];
}

function statement(name, words) {
  const spoken = words.map((word) => h("span", { t: `word.${name}.${word}` }));
  return [h("span", { t: `attribute.${name}` }), ": ", ...spoken.flatMap((one, place) => (place ? [", ", one] : [one]))];
}

let cards = 0; // that were made, each with an id of its own

/** One dog. */
function card({ dog, place, search, asked }) {
  const pictures = dog.photos.includes(dog.photo) ? [...new Set([dog.photo, ...dog.photos])] : [dog.photo, ...dog.photos];
  const title = { number: place + 1, dog: dog.report ? { t: `dog.named.${dog.kind}` } : dog.dog };
  const open = () => compare(asked, pictures.map(api.large));
  const name = `dog-${(cards += 1)}`;
  return h("li", { className: "dog card", "aria-labelledby": name },
    h("button", { type: "button", className: "photo", onclick: open, tLabel: "dog.compareWith", v: title },
      h("img", { src: api.thumbnail(dog.photo), alt: "", loading: "lazy" })),
    h("div", { className: "what" },
      h("div", { className: "line" }, h("h3", { id: name, t: "dog.title", v: title }),
        h("span", { className: `tag ${CLASSES[dog.decision]}`, t: `decision.short.${CLASSES[dog.decision]}` })),
      h("p", { className: "soft facts" }, ...facts(dog)),
      terms(dog),
      strip(pictures.slice(1), title),
      dog.report ? says(dog.report) : null,
      actions({ dog, search, open, title })));
}

function facts(dog) {
  const said = [h("span", { t: `dog.kind.${dog.kind}` })];
  if (dog.date) said.push(h("span", { t: "dog.date", v: { date: { day: dog.date } } }));
  if (dog.place?.name) said.push(h("span", { textContent: dog.place.name }));
  if (dog.km !== null && dog.km !== undefined) said.push(h("span", { t: dog.km < 1 ? "dog.near" : "dog.km", v: { km: dog.km } }));
  for (const one of dog.lacks) {
    const lacking = one === "place" && dog.place?.name ? "position" : one;
    said.push(h("span", { className: "lacks", t: `dog.lacks.${lacking}` }));
  }
  return said.flatMap((one, place) => (place ? [" · ", one] : [one]));
}

/** What speaks for and against the dog, the weightiest first. */
function terms(dog) {
  const ordered = [...dog.terms].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const total = h("li", { className: "total" }, h("span", { t: "terms.total" }), h("span"), h("strong", { t: "terms.value", v: { value: { signed: dog.score } } }));
  return h("ul", { className: "terms", tLabel: "terms.label" }, ...ordered.map(term), total);
}

function term({ name, value, said }) {
  const sense = Math.abs(value) < SAYS_NOTHING ? "nothing" : value > 0 ? "agrees" : "disagrees";
  const special = name === "visual" || name === "text";
  const bar = h("span", { className: "bar", "aria-hidden": "true" }, h("i"));
  bar.style.setProperty("--length", Math.min(1, Math.abs(value) / LONGEST_BAR));
  return h("li", { className: sense },
    h("span", {}, h("span", { t: special ? `terms.${name}` : `attribute.${name}` }), said ? h("small", { t: "terms.said" }) : null),
    bar,
    h("span", { t: `terms.${special ? `${name}.` : ""}${sense}`, v: { value: { signed: value } } }));
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
  return h("details", { className: "says", ontoggle: (event) => event.target.open && open() }, h("summary", { t: "dog.says" }), text);
}

function strip(photos, v) {
  if (!photos.length) return null;
  const shown = photos.slice(0, SHOWN_PHOTOS).map((one) => h("img", { src: api.thumbnail(one), tAlt: "dog.another", v, loading: "lazy" }));
  const more = photos.length - shown.length;
  return h("div", { className: "strip" }, ...shown, more > 0 ? h("span", { className: "soft", t: "dog.more", v: { number: more } }) : null);
}

function actions({ dog, search, open, title }) {
  const button = (key, label, onclick, props = {}) => h("button", { type: "button", t: key, tLabel: label, v: title, onclick, ...props });
  const wrong = h("p", { className: "problem", role: "alert" });
  const said = h("p", { className: "soft", role: "status" });
  const verdict = (sense, key) => button(`dog.${key}`, `dog.${key}One`, (event) => judge(event.currentTarget, { search, dog: dog.dog, verdict: sense }, wrong, said), { className: "judge", "aria-pressed": "false" });
  return h("div", {},
    h("div", { className: "actions" },
      ...(search ? [verdict("same", "same"), verdict("different", "different")] : []),
      button("dog.compare", "dog.compareWith", open, { className: "quiet" }),
      button("dog.similar", "dog.similarTo", () => similar(dog, wrong, title), { className: "quiet" }),
      dog.report ? button("dog.write", "dog.writeTo", () => writeTo(dog.report)) : null),
    said, wrong);
}

/** Tell the server what the person says of a dog, or of all of them. */
async function judge(button, body, wrong, said) {
  problem(wrong, null);
  try {
    await api.feedback(body);
  } catch (error) {
    return problem(wrong, error);
  }
  for (const one of button.parentElement.querySelectorAll(".judge")) one.setAttribute("aria-pressed", String(one === button));
  said.replaceChildren(h("span", { t: `feedback.${body.verdict}` }));
}

function noneOfThese(search) {
  const wrong = h("p", { className: "problem", role: "alert" });
  const said = h("p", { className: "soft", role: "status" });
  const button = h("button", { type: "button", className: "judge", "aria-pressed": "false", t: "dog.none",
    onclick: () => judge(button, { search, dog: null, verdict: "none" }, wrong, said) });
  return h("div", { className: "card none-of-these" }, h("div", { className: "actions" }, button), said, wrong);
}

async function similar(dog, wrong, title) {
  problem(wrong, null);
  $("#results").setAttribute("aria-busy", "true");
  try {
    showAnswer(await api.similar(dog.photo), [api.large(dog.photo)], title);
    $("#results-title").focus();
  } catch (error) {
    problem(wrong, error);
  } finally {
    $("#results").setAttribute("aria-busy", "false");
  }
}

/** The candidates of a saved search: those that came since it was opened before, then those seen. */
export function candidates({ new: fresh, seen }) {
  const list = (title, all) => [h("h4", { t: title, v: { number: all.length } }),
    h("ol", { className: "dogs" }, ...all.map(({ found: dog }, place) => card({ dog, place, search: null, asked: [] })))];
  return h("div", { className: "candidates", role: "status" },
    ...(fresh.length ? list("saved.new", fresh) : [h("p", { t: "saved.nothing" })]),
    ...(seen.length ? list("saved.seen", seen) : []));
}
