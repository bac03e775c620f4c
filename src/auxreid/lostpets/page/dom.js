// Elements, messages and dialogs.

import { say, t } from "./words.js";

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const ATTRIBUTES = { label: ["tLabel", "aria-label"], alt: ["tAlt", "alt"], title: ["tTitle", "title"] };

/**
 * An element. Of `props`: t and v say a text, tLabel, tAlt and tTitle an attribute; on... listens; others are
 * properties or, where they have a hyphen, attributes.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  const { t: key, v: values = {}, tLabel, tAlt, tTitle, ...others } = props;
  if (key) say(element, key, values);
  for (const [name, text] of Object.entries({ label: tLabel, alt: tAlt, title: tTitle }))
    if (text) sayAttribute(element, name, text, values);
  for (const [name, value] of Object.entries(others)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((one) => one !== null && one !== undefined));
  return element;
}

function sayAttribute(element, name, key, values) {
  const [data, attribute] = ATTRIBUTES[name];
  element.dataset[data] = key;
  element.dataset.v = JSON.stringify(values);
  element.setAttribute(attribute, t(key, values));
}

/** Tell it to a screen reader, politely. */
export const announce = (key, values) => say($("#status"), key, values);

const SHOWN = 6000; // milliseconds

/** Say it to everybody, for a while. */
export function tell(key, values) {
  announce(key, values);
  const status = $("#status");
  status.className = "toast";
  setTimeout(() => (status.className = "unseen"), SHOWN);
}

/** An element where an error is shown. */
export const problemLine = (props = {}) => h("p", { className: "problem", role: "alert", ...props });

/** Show at an element what went wrong: a text of the page, or the reason that the server gave. */
export function problem(element, error) {
  element.replaceChildren();
  say(element, "");
  if (!error) return;
  if (error.key) say(element, error.key, error.values);
  else {
    if (document.documentElement.lang !== "en") element.append(h("span", { t: lead(error.status) }), " ");
    element.append(h("span", { lang: "en", textContent: sentence(error.message) }));
    delete element.dataset.t;
  }
}

const LEADS = { 401: "denied", 403: "denied", 404: "gone", 410: "gone", 413: "large", 415: "type", 429: "often" };
const lead = (status) => `error.${LEADS[status] ?? "refused"}`;

function sentence(reason) {
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Show an error where it belongs: at the element of its field, or at the form's own. */
export function refuse(error, places, own) {
  const part = (error.field ?? "").split(/[.[]/).find((one) => one in places);
  const place = places[part] ?? own;
  problem(place, error);
  const details = place.closest("details");
  if (details) details.open = true;
  place.scrollIntoView({ block: "nearest" });
}

/** Ask for a confirmation; resolves to whether it was given. */
export function confirmed(question, yes, values = {}) {
  const dialog = $("#confirm");
  say($("#confirm-text"), question, values);
  say($("#confirm-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** A line that is shown once and can be copied, such as a token. */
export function copyable(text, label) {
  const said = h("span", { className: "soft", role: "status" });
  const chosen = () => field.select();
  const field = h("input", { value: text, readOnly: true, tLabel: label, className: "mono", onfocus: chosen });
  const copy = async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(text);
      say(said, "copied");
    } catch {
      say(said, "copyByHand");
    }
  };
  return h("div", { className: "copy" }, h("span", { "aria-hidden": "true", t: label }), field,
    h("button", { type: "button", t: "copy", onclick: copy }), said);
}
