// How the description's words were understood.

import { $, h } from "./dom.js";

const CYRILLIC = /[а-яё]/i; // a note is in the description's language

/** Show each word with what it was taken for, and those that were not used. */
export function showUnderstood(words) {
  const used = words.filter((one) => one.words.length);
  const others = words.filter((one) => !one.words.length);
  $("#understood").replaceChildren(...[
    used.length ? part("understood.used", used.map(taken)) : null,
    others.length ? part("understood.unused", others.map(left)) : null,
  ].filter(Boolean));
}

const part = (title, all) =>
  h("div", {}, h("p", { className: "soft", t: title }), h("ul", { className: "tags" }, ...all));

const quoted = (one) => h("q", { textContent: one.text });

function taken(one) {
  const words = one.words.flatMap((word, place) =>
    [place ? ", " : "", h("span", { t: `word.${one.attribute}.${word}` })]);
  return h("li", {}, quoted(one), " → ", h("span", { t: `attribute.${one.attribute}` }), ": ",
    one.negated ? h("strong", { t: "understood.not" }) : null, ...words);
}

function left(one) {
  const note = h("span", { lang: CYRILLIC.test(one.note) ? "ru" : "en", textContent: one.note });
  return h("li", { className: "unused" }, quoted(one), one.note ? h("small", {}, " – ", note) : null);
}
