// The page's texts in the chosen language. An element that says `data-t` is filled again when the language changes.

export const LANGUAGES = ["en", "ru"];
const KEPT = "pets.language";

let texts = {};
let language = LANGUAGES[0];
let plural = new Intl.PluralRules(language);

/** The language that was chosen before, or the browser's, or English. */
export function wanted() {
  const browsers = (navigator.languages ?? []).map((one) => one.slice(0, 2).toLowerCase());
  return [remembered(), ...browsers].find((one) => LANGUAGES.includes(one)) ?? LANGUAGES[0];
}

/** The choice of a former visit; a browser may keep nothing. */
function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function keepChoice(chosen) {
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // the browser keeps nothing: the choice holds for this visit
  }
}

/** Take a language, and say everything on the page in it. */
export async function speak(chosen, keep = false) {
  const answer = await fetch(`static/words.${chosen}.json`);
  if (!answer.ok) throw new Error(`static/words.${chosen}.json: ${answer.status}`);
  texts = await answer.json();
  language = chosen;
  plural = new Intl.PluralRules(language);
  if (keep) keepChoice(chosen);
  document.documentElement.lang = language;
  translate(document);
  document.dispatchEvent(new CustomEvent("language"));
}

export const spoken = () => language;

/** A text. `{name}` stands for a value, `{name|noun}` for a number with the noun's form: "3 dogs". */
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) return unnamed(key);
  return text.replace(/\{(\w+)(?:\|(\w+))?\}/g, (_, name, noun) =>
    noun ? counted(noun, values[name]) : shown(values[name]));
}

/** An attribute or a word of a vocabulary that the page has no name for is shown as it is called. */
function unnamed(key) {
  const [kind, ...names] = key.split(".");
  const name = names.at(-1)?.replaceAll("_", " ");
  if (kind === "attribute") return name.charAt(0).toUpperCase() + name.slice(1);
  return kind === "word" ? name : key;
}

function counted(noun, number) {
  const forms = texts[`noun.${noun}`];
  return (forms[plural.select(number)] ?? forms.other).replace("{n}", shown(number));
}

function shown(value) {
  if (typeof value === "number") return new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value);
  if (value?.day) return day(value.day);
  if (value?.signed !== undefined) return signed(value.signed);
  if (value?.share !== undefined) return share(value.share);
  if (value?.list) return new Intl.ListFormat(language).format(value.list.map(shown));
  if (value?.t) return t(value.t, value.v);
  return String(value ?? "");
}

const day = (iso) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" })
    .format(new Date(`${iso.slice(0, 10)}T00:00Z`));

const signed = (number) =>
  new Intl.NumberFormat(language, { signDisplay: "exceptZero", minimumFractionDigits: 1, maximumFractionDigits: 1 })
    .format(number).replace("-", "−");

const share = (number) => new Intl.NumberFormat(language, { style: "percent" }).format(number);

/** Let an element say a text, now and in whichever language is chosen later. */
export function say(element, key, values = {}) {
  element.dataset.t = key;
  element.dataset.v = JSON.stringify(values);
  element.textContent = key ? t(key, values) : "";
  return element;
}

const PLACES = [["tLabel", "aria-label"], ["tPlaceholder", "placeholder"], ["tTitle", "title"], ["tAlt", "alt"]];

/** Fill whatever says `data-t` (text) or `data-t-label`, -placeholder, -title, -alt (attributes) below an element. */
export function translate(root) {
  for (const one of root.querySelectorAll("[data-t]"))
    one.textContent = one.dataset.t ? t(one.dataset.t, JSON.parse(one.dataset.v ?? "{}")) : "";
  for (const [data, attribute] of PLACES) {
    const name = data.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`);
    for (const one of root.querySelectorAll(`[data-${name}]`))
      one.setAttribute(attribute, t(one.dataset[data], JSON.parse(one.dataset.v ?? "{}")));
  }
}
