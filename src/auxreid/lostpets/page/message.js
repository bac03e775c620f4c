// A message to whoever posted a report: it is forwarded, and the contact is never shown.

import * as api from "./api.js";
import { $, problem, refuse, tell } from "./dom.js";

const FIELDS = ["text", "reply_to"];
const dialog = $("#message");
let report = null;

const places = () => Object.fromEntries(FIELDS.map((name) => [name, $(`#problem-message-${name}`)]));

/** Open the dialog for a report. */
export function writeTo(id) {
  report = id;
  for (const one of [...Object.values(places()), $("#problem-message")]) problem(one, null);
  dialog.showModal();
  $("#message-text").focus();
}

async function send() {
  for (const one of [...Object.values(places()), $("#problem-message")]) problem(one, null);
  const said = { text: $("#message-text").value.trim(), reply_to: $("#message-reply").value.trim() };
  const empty = FIELDS.find((name) => !said[name]);
  if (empty) return refuse({ key: `message.needs.${empty}`, field: empty }, places(), $("#problem-message"));
  const button = dialog.querySelector(".main");
  button.disabled = true; // a second click would send it twice
  try {
    await api.write(report, said);
  } catch (error) {
    return refuse(error, places(), $("#problem-message"));
  } finally {
    button.disabled = false;
  }
  $("#message-text").value = "";
  dialog.close();
  tell("message.sent");
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
