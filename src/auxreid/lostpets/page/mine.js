// Own reports and saved searches.

import * as api from "./api.js";
import { $, confirmed, h, problem, problemLine, tell } from "./dom.js";
import { drop, know, owned } from "./keep.js";
import { factsOf, pictureOf } from "./reported.js";
import { remember } from "./save.js";

/** Show both lists; `open` shows a saved search's candidates. */
export function showMine(open) {
  list("#mine-searches", "searches", "mine.noSearches", (one) => search(one, open));
  list("#mine-reports", "reports", "mine.noReports", report);
}

function list(selector, what, none, entry) {
  const all = owned(what);
  $(selector).replaceChildren(...(all.length ? all.map(entry) : [h("li", { className: "soft", t: none })]));
}

/** An entry's buttons, each with what is done when it is pressed, and where an error of it is shown. */
function entry(title, picture, buttons, extra) {
  const wrong = problemLine();
  const pressed = (action) => async () => {
    problem(wrong, null);
    try {
      await action();
    } catch (error) {
      problem(wrong, error);
    }
  };
  const made = buttons.map(([key, action]) => h("button", { type: "button", t: key, onclick: pressed(action) }));
  const actions = h("div", { className: "actions" }, ...made);
  return h("li", { className: "own" }, picture, h("div", {}, title, extra, actions, wrong));
}

/** An entry is no more: say so, and leave the keyboard where it can go on. */
function gone(key) {
  tell(key);
  $("#mine-title").focus();
}

function search(one, open) {
  const candidates = h("div", {});
  const show = async () => {
    one.answer = await api.saved(one.id, one.token);
    know("searches", one);
  };
  if (one.answer) candidates.replaceChildren(open(one.answer));
  const forget = async () => {
    if (!(await confirmed("mine.forgetSure", "mine.forget", { name: one.name }))) return;
    await api.forget(one.id, one.token);
    drop("searches", one.id);
    gone("mine.forgotten");
  };
  const feed = h("p", {}, h("a", { href: api.feed(one.id, one.token), t: "save.feed" }));
  const extra = h("div", {}, feed, remember("searches", one), candidates);
  return entry(h("h3", { textContent: one.name }), null, [["mine.open", show], ["mine.forget", forget]], extra);
}

function report(one) {
  const state = h("p", { className: "soft" });
  const picture = h("div", { className: "pictures" });
  const title = h("h3", { t: `mine.${one.name}` });
  const close = (reason) => async () => {
    await api.close(one.id, one.token, reason);
    tell(`mine.closed.${reason}`);
    await fill();
  };
  const remove = async () => {
    if (!(await confirmed("mine.deleteSure", "mine.delete"))) return;
    await api.withdraw(one.id, one.token);
    drop("reports", one.id);
    gone("mine.deleted");
  };
  const buttons = [["mine.reunited", close("reunited")], ["mine.close", close("other")], ["mine.delete", remove]];
  const made = entry(title, picture, buttons, h("div", {}, state, remember("reports", one)));
  const fill = () => details(one, { state, picture, made });
  fill().catch((error) => problem(made.querySelector(".problem"), error));
  return made;
}

/** Fill in what the server knows of a report. */
async function details(one, { state, picture, made }) {
  const known = await api.report(one.id);
  const closed = known.state !== "open";
  made.querySelector("h3").replaceWith(h("h3", { t: `mine.${known.kind}Named`, v: { name: known.name } }));
  const tag = closed ? { className: "tag none", t: `mine.state.${known.reason ?? known.state}` }
    : { className: "tag match", t: "mine.state.open" };
  state.replaceChildren(h("span", tag), " ", factsOf(known));
  picture.replaceChildren(...pictureOf(known, "mine.photo"));
  for (const button of made.querySelectorAll(".actions button"))
    button.hidden = closed && button.dataset.t !== "mine.delete";
}

/** The form that makes a report or a saved search of another browser known here. */
export function openForm(shown) {
  $("#mine-open").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = $("#problem-mine");
    problem(wrong, null);
    const what = $("input[name=mine-what]:checked").value;
    const [id, token] = [$("#mine-id").value.trim(), $("#mine-token").value.trim()];
    if (!id || !token) return problem(wrong, { key: "mine.needsBoth" });
    try {
      await recognise(what, id, token);
      event.target.reset();
      shown();
    } catch (error) {
      problem(wrong, unknown(error));
    }
  });
}

const NO_ID = 422;

/** Of an id that can be none, that there is nothing. */
export const unknown = (error) => (error.status === NO_ID ? { key: "error.gone" } : error);

/** Know a report or a saved search by its id and token. Throws where the server does not. */
export async function recognise(what, id, token) {
  if (what === "reports") know(what, { id, token, name: (await api.report(id)).kind });
  else {
    const answer = await api.saved(id, token); // what was new in it is not new to the server any more
    know(what, { id, token, name: answer.name, answer });
  }
}
