// A search that is saved: it is run again on each new report, and its new candidates wait.

import * as api from "./api.js";
import { copyable, h, problem, problemLine, refuse } from "./dom.js";
import { keep, know } from "./keep.js";

/** The form that saves a search of this id. */
export function saveForm(search) {
  const wrong = problemLine({ id: "problem-save" });
  const name = h("input", { id: "save-name", maxLength: 100, autocomplete: "off", "aria-describedby": "problem-save" });
  const hook = h("input", { id: "save-webhook", type: "url", autocomplete: "off", placeholder: "https://",
    "aria-describedby": "problem-webhook" });
  const wrongHook = problemLine({ id: "problem-webhook" });
  const form = h("form", { className: "card save", noValidate: true },
    h("h3", { t: "save.title" }), h("p", { className: "soft", t: "save.hint" }),
    h("label", { htmlFor: "save-name", t: "save.name" }),
    h("div", { className: "row" }, name, h("button", { t: "save.go" })), wrong,
    h("details", {}, h("summary", { t: "save.webhookTitle" }),
      h("label", { htmlFor: "save-webhook", t: "save.webhook" }), hook, wrongHook));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem(wrong, null);
    problem(wrongHook, null);
    const said = { search, name: name.value.trim(), ...(hook.value.trim() ? { webhook: hook.value.trim() } : {}) };
    if (!said.name) return problem(wrong, { key: "save.needsName" });
    if (form.ariaBusy === "true") return; // a second click would save it twice
    form.ariaBusy = "true";
    try {
      form.replaceWith(savedBox(await api.save(said), said.name));
    } catch (error) {
      refuse(error, { name: wrong, webhook: wrongHook }, wrong);
    } finally {
      form.ariaBusy = null;
    }
  });
  return form;
}

function savedBox({ saved, token }, name) {
  const one = { id: saved, token, name };
  know("searches", one);
  const title = h("h3", { tabIndex: -1, t: "save.done", v: { name } });
  queueMicrotask(() => title.focus());
  return h("div", { className: "card done" }, title, h("p", { t: "save.doneText" }),
    copyable(linkOf(one), "save.link"),
    remember("searches", one),
    h("p", {}, h("a", { href: "#mine", t: "save.toMine" }), " · ",
      h("a", { href: api.feed(saved, token), t: "save.feed" })));
}

/** The address that opens a saved search; what is behind # is not sent to any server. */
const linkOf = ({ id, token }) => `${location.origin}${location.pathname}#saved/${id}/${token}`;

/** The box that keeps a token in this browser, if the person wants it. */
export function remember(what, one) {
  const wrong = problemLine();
  const changed = () => {
    try {
      keep(what, one, box.checked);
    } catch {
      box.checked = false;
      problem(wrong, { key: "keepsNothing" });
    }
  };
  const box = h("input", { type: "checkbox", checked: Boolean(one.kept), onchange: changed });
  return h("div", {}, h("label", { className: "check" }, box, h("span", { t: "remember" })), wrong);
}
