// What a search found: the decision, what was searched and left out, and the dogs.

import * as api from "./api.js";
import { CLASSES, dogCard, judge } from "./dog.js";
import { $, announce, h, problem, problemLine } from "./dom.js";
import { saveForm } from "./save.js";

const SHOWN_DOGS = 5; // at first

let own = null; // shows the person's own search, to which "similar to this" leads back

/** Show an answer in place of the one before. `asked`: addresses of the photographs that were searched with. */
export function showAnswer({ search, answer }, asked, source = null) {
  if (source === null) own = () => showAnswer({ search, answer }, asked);
  const dogs = answer.dogs.map((dog, place) => dogCard(dog, { place, search, asked, similar }));
  const parts = dogs.length ? found(dogs, search) : [h("p", { className: "card", t: "results.nothing" })];
  const save = source === null ? [saveForm(search)] : [];
  $("#answer").replaceChildren(banner(answer), summary(answer, source), ...parts, ...save);
  announce("results.announced", { decision: { t: `decision.${CLASSES[answer.decision]}` }, dogs: answer.dogs.length });
}

/** What is shown before the first search. */
export function showEmpty() {
  const steps = [1, 2, 3].map((number) => h("li", { t: `empty.${number}` }));
  const title = h("p", { className: "title", t: "empty.title" });
  $("#answer").replaceChildren(h("div", { className: "empty card" }, title, h("ol", {}, ...steps)));
}

/** The candidates of a saved search: those that came since it was opened before, then those seen. */
export function candidates({ new: fresh, seen }) {
  const cards = (all) => all.map(({ found: dog }, place) => dogCard(dog, { place, search: null, asked: [], similar }));
  const list = (title, all) => [h("h4", { t: title, v: { number: all.length } }),
    h("ol", { className: "dogs" }, ...cards(all))];
  return h("div", { className: "candidates", role: "status" },
    ...(fresh.length ? list("saved.new", fresh) : [h("p", { t: "saved.nothing" })]),
    ...(seen.length ? list("saved.seen", seen) : []));
}

function banner(answer) {
  const name = CLASSES[answer.decision];
  return h("div", { className: `banner ${name}` },
    h("p", { className: "verdict", t: `decision.${name}` }),
    h("p", { t: `meaning.${name}` }));
}

/** How many were compared, what was left out and why, and what was taken as said. */
function summary(answer, source) {
  const parts = [
    h("li", { t: "results.searched", v: { photos: answer.searched, dogs: answer.searched_dogs } }),
    ...answer.filters.map(narrowed),
    answer.exact ? null : h("li", { t: "results.approximate" }),
  ];
  return h("div", { className: "summary" },
    source ? h("div", { className: "line" }, h("strong", { t: "results.similarTo", v: source }), back()) : null,
    h("ul", {}, ...parts),
    stated(Object.entries(answer.stated)));
}

function narrowed({ name, before, after, lacking }) {
  const out = before - after;
  const kept = name === "near" ? "filter.lackingPlace" : "filter.lackingDate";
  return h("li", {},
    h("span", { t: out ? `filter.${name}` : `filter.${name}None`, v: { photos: out } }), " ",
    lacking ? h("span", { t: kept, v: { photos: lacking } }) : null);
}

function stated(said) {
  if (!said.length) return null;
  const tags = said.map(([name, words]) => h("li", {}, h("span", { t: `attribute.${name}` }), ": ",
    ...words.flatMap((word, place) => [place ? ", " : "", h("span", { t: `word.${name}.${word}` })])));
  return h("div", { className: "stated" }, h("span", { t: "results.stated" }), h("ul", { className: "tags" }, ...tags));
}

function back() {
  const shown = () => {
    own();
    $("#results-title").focus();
  };
  return own ? h("button", { type: "button", className: "quiet", t: "results.back", onclick: shown }) : null;
}

function found(dogs, search) {
  const list = h("ol", { className: "dogs" }, ...dogs.slice(0, SHOWN_DOGS));
  const numbers = h("details", { className: "numbers" }, h("summary", { t: "numbers.title" }),
    h("p", { t: "numbers.text" }));
  return [list, more(list, dogs.slice(SHOWN_DOGS)), noneOfThese(search), numbers].filter(Boolean);
}

function more(list, dogs) {
  if (!dogs.length) return null;
  const show = () => {
    list.append(...dogs);
    button.remove();
    dogs[0].querySelector("button").focus();
  };
  const props = { type: "button", className: "quiet boxed", t: "results.more", v: { dogs: dogs.length } };
  const button = h("button", { ...props, onclick: show });
  return button;
}

function noneOfThese(search) {
  const wrong = problemLine();
  const said = h("p", { className: "soft", role: "status" });
  const judged = () => judge(button, { search, dog: null, verdict: "none" }, { wrong, said });
  const props = { type: "button", className: "judge", "aria-pressed": "false", t: "dog.none" };
  const button = h("button", { ...props, onclick: judged });
  return h("div", { className: "card none-of-these" }, h("div", { className: "actions" }, button), said, wrong);
}

/** Leave the saved searches, whose candidates can be searched with too. */
function searchView() {
  const there = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
  location.hash = "#search";
  return there;
}

/** Search with a found dog's photograph; `title` is what the dog is called. */
async function similar(dog, title, wrong) {
  problem(wrong, null);
  const results = $("#results");
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await api.similar(dog.photo);
    if ($("#view-search").hidden) await searchView();
    showAnswer(answer, [api.large(dog.photo)], title);
    $("#results-title").focus();
  } catch (error) {
    problem(wrong, error);
  } finally {
    results.setAttribute("aria-busy", "false");
  }
}
