// A report of a lost or found dog.

import * as api from "./api.js";
import { $, $$, confirmed, copyable, h, problem, problemLine, refuse } from "./dom.js";
import { know } from "./keep.js";
import { writeTo } from "./message.js";
import { PhotoBox } from "./photos.js";
import { Position } from "./position.js";
import { factsOf, pictureOf } from "./reported.js";
import { remember } from "./save.js";

const MINUTE = 60_000; // milliseconds

const places = () => ({
  photos: $("#problem-report-photos"), kind: $("#problem-report-kind"), date: $("#problem-report-date"),
  place: $("#problem-report-place"), text: $("#problem-report-text"), contact: $("#problem-report-contact"),
  name: $("#problem-report-name"), position: $("#problem-report-coordinates"),
});

/** The form of a report; `query` is the search's photographs, which can be taken over. */
export function reportForm(query) {
  const photos = new PhotoBox($("#report-photos"), "report", offer);
  const position = new Position($("#report-position"), "report-coordinates");
  function offer() {
    $("#report-take").hidden = !query.photos.length || photos.photos.length > 0;
  }
  $("#report-take").addEventListener("click", () => photos.take(query));
  const now = new Date();
  const here = new Date(now - now.getTimezoneOffset() * MINUTE); // the day of the person's clock
  $("#report-date").max = here.toISOString().slice(0, 10);
  $("#report").addEventListener("submit", (event) => {
    event.preventDefault();
    post(photos, position);
  });
  return { offer, photos };
}

function said(photos, position) {
  const where = { name: $("#report-place").value.trim(), ...(position.value() ?? {}) };
  return {
    kind: $("input[name=report-kind]:checked").value,
    date: $("#report-date").value || null,
    place: where,
    text: $("#report-text").value.trim(),
    contact: $("#report-contact").value.trim(),
    name: $("#report-name").value.trim(),
    crops: photos.crops,
  };
}

function missing(photos, report) {
  if (!photos.length) return { key: "report.needsPhoto", field: "photos" };
  if (!report.contact) return { key: "report.needsContact", field: "contact" };
  return null;
}

async function post(photos, position) {
  for (const one of [...Object.values(places()), $("#problem-report")]) problem(one, null);
  const button = $("#report .main");
  button.disabled = true;
  try {
    const report = said(photos, position);
    const lacks = missing(photos.files, report);
    if (lacks) throw lacks;
    const answer = await api.post(photos.files, report);
    show(answer, report);
    $("#report").reset();
    photos.clear();
  } catch (error) {
    refuse(error, places(), $("#problem-report"));
  } finally {
    button.disabled = false;
  }
}

function show({ report: id, token, duplicates, matches }, report) {
  const one = { id, token, name: report.kind };
  know("reports", one);
  const title = h("h2", { tabIndex: -1, t: `posted.${report.kind}` });
  $("#posted").replaceChildren(h("div", { className: "card done" }, title,
    h("p", { t: "posted.token" }), copyable(id, "posted.idLabel"), copyable(token, "posted.tokenLabel"),
    remember("reports", one),
    matches.length ? others("matches", matches, reporter) : null,
    duplicates.length ? others("alike", duplicates, (other) => merger(id, token, other)) : null,
    h("p", {}, h("a", { href: "#mine", t: "posted.toMine" }))));
  $("#report").hidden = true;
  title.focus();
}

/** Back to an empty form, when the view is opened again. */
export function anotherReport() {
  $("#report").hidden = false;
  $("#posted").replaceChildren();
  for (const one of $$("#view-report .problem")) problem(one, null);
}

/** Reports that may be of the same dog, each with what can be done: a person decides. */
function others(name, all, actions) {
  return h("section", { className: "alike", "aria-labelledby": `${name}-title` },
    h("h3", { id: `${name}-title`, t: `${name}.title`, v: { number: all.length } }),
    h("p", { className: "soft", t: `${name}.hint` }),
    h("ul", { className: "plain" }, ...all.map((other) => another(other, actions(other)))));
}

function another(other, actions) {
  const picture = h("div", { className: "pictures" });
  const facts = h("p", { className: "soft" });
  const wrong = problemLine();
  api.report(other.report).then((known) => {
    picture.replaceChildren(...pictureOf(known, "alike.photo"));
    facts.replaceChildren(factsOf(known));
  }).catch((error) => problem(wrong, error));
  const why = h("p", { t: `alike.why.${other.why.replace(" ", "_")}` });
  const told = h("div", {}, h("h4", { t: `alike.${other.kind}` }), why, facts, actions, wrong);
  return h("li", { className: "own" }, picture, told);
}

const reporter = (other) => h("div", { className: "actions" },
  h("button", { type: "button", t: "dog.write", onclick: () => writeTo(other.report) }));

/** The buttons that merge a report into another, or leave both. */
function merger(id, token, other) {
  const wrong = problemLine();
  const said = h("p", { className: "soft", role: "status" });
  const done = (key) => {
    said.replaceChildren(h("span", { t: key }));
    buttons.remove();
  };
  const merge = async () => {
    if (!(await confirmed("alike.confirm", "alike.merge"))) return;
    problem(wrong, null);
    try {
      await api.merge(id, token, other.report);
      done("alike.merged");
    } catch (error) {
      problem(wrong, error);
    }
  };
  const buttons = h("div", { className: "actions" }, h("button", { type: "button", t: "alike.merge", onclick: merge }),
    h("button", { type: "button", className: "quiet", t: "alike.different", onclick: () => done("alike.left") }));
  return h("div", {}, buttons, said, wrong);
}
