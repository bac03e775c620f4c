// The page: its parts are put together here, and a search is asked.

import * as api from "./api.js";
import { candidates, showAnswer, showEmpty } from "./answer.js";
import { Chips } from "./chips.js";
import { $, $$, announce, h, problem, refuse } from "./dom.js";
import { showLinked } from "./linked.js";
import { openForm, recognise, showMine, unknown } from "./mine.js";
import { PhotoBox } from "./photos.js";
import { Position } from "./position.js";
import { anotherReport, reportForm } from "./report.js";
import { say, speak, spoken, t, wanted } from "./words.js";
import { showUnderstood } from "./understood.js";

const VIEWS = ["search", "report", "mine"];
const DISTANCES = [1, 2, 5, 10, 20, 50, 100]; // km
const USUAL_DISTANCE = 10;
const GONE = 404;

let looking = null; // the request for what the photographs say, to be given up when they change
let chips, photos, position, reporting;
let known = null; // what the service tells of itself

const places = () => ({
  photos: $("#problem-query-photos"), crops: $("#problem-query-photos"), stated: $("#problem-stated"),
  text: $("#problem-text"), near: $("#problem-near"), position: $("#problem-query-coordinates"),
  since: $("#problem-since"), until: $("#problem-until"), kinds: $("#problem-kinds"),
});

/** Ask what the photographs say; the chips are filled with it. */
async function look() {
  looking?.abort();
  reporting.offer();
  await counts().catch(() => null);
  if (!photos.photos.length) return chips.predict({});
  looking = new AbortController();
  const asked = [...photos.photos];
  $("#attributes").setAttribute("aria-busy", "true");
  try {
    const answer = await api.look(photos.files, photos.crops, looking.signal);
    photos.looked(asked, answer.photos, answer.crops);
    chips.predict(answer.together);
    announce("attributes.filled");
    $("#attributes").setAttribute("aria-busy", "false");
  } catch (error) {
    if (error.name === "AbortError") return;
    $("#attributes").setAttribute("aria-busy", "false");
    chips.predict({});
    refuse(error, places(), $("#problem-query-photos"));
  }
}

/** What is asked, beside the photographs. Throws what to show where a field is wrong. */
function query() {
  const where = position.value();
  const [since, until] = [$("#since").value, $("#until").value];
  if (since && until && since > until) throw { key: "facts.order", field: "until" };
  const kinds = $$("input[name=kind]:checked").map((one) => one.value);
  if (!kinds.length) throw { key: "facts.needsKind", field: "kinds" };
  const asked = { stated: chips.query(), text: $("#text").value.trim(), rerank: $("#rerank").checked,
    crops: photos.crops, kinds: kinds.length === 3 ? [] : kinds };
  if (where) asked.near = { ...where, km: Number($("#km").value) };
  if (since) asked.since = since;
  if (until) asked.until = until;
  const said = asked.text || Object.values(asked.stated).some((one) => one.words.length);
  if (!photos.photos.length && !said) throw { key: "search.needs" };
  return asked;
}

/** Search by the photographs' names, and with the files where the server does not keep them any more. */
async function ask(asked) {
  const names = photos.photos.map((one) => one.sha);
  if (names.every(Boolean)) {
    try {
      return await api.search([], { ...asked, photos: names });
    } catch (error) {
      if (error.status !== GONE) throw error;
    }
  }
  return api.search(photos.files, asked);
}

async function search() {
  for (const one of [...Object.values(places()), $("#problem-query")]) problem(one, null);
  const results = $("#results");
  results.setAttribute("aria-busy", "true");
  $("#go").disabled = true;
  announce("search.running");
  try {
    const asked = photos.photos.map((one) => one.url);
    const answer = await ask(query());
    showAnswer(answer, asked);
    showUnderstood(answer.answer.understood);
    $("#results-title").focus({ preventScroll: true });
    results.scrollIntoView({ block: "start" });
  } catch (error) {
    announce("search.failed");
    refuse(error, places(), $("#problem-query"));
  } finally {
    results.setAttribute("aria-busy", "false");
    $("#go").disabled = false;
  }
}

function clear() {
  $("#query").reset();
  chips.reset();
  photos.clear();
  for (const one of [...Object.values(places()), $("#problem-query")]) problem(one, null);
  showUnderstood([]);
  showEmpty();
  summarise();
  $("#search-title").focus();
}

/** Say in the closed part which facts are in it. */
function summarise() {
  const said = ["since", "until"].filter((name) => $(`#${name}`).value)
    .map((name) => ({ t: `facts.short.${name}`, v: { date: { day: $(`#${name}`).value } } }));
  if (position.input.value.trim()) said.push({ t: "facts.short.near", v: { km: Number($("#km").value) } });
  say($("#facts-summary"), said.length ? "facts.set" : "facts.none", { list: { list: said } });
}

/** Show the view that the address names: #search, #report, #mine, or #saved/<id>/<token>. */
async function route(event) {
  const [name, id, token] = location.hash.slice(1).split("/");
  if (name === "saved") return openSaved(id, token);
  const view = VIEWS.includes(name) ? name : VIEWS[0];
  if (name && view !== name && !VIEWS.every((one) => $(`#view-${one}`).hidden)) return; // a place within a view
  for (const one of VIEWS) $(`#view-${one}`).hidden = one !== view;
  for (const one of $$("nav a")) {
    if (one.hash === `#${view}`) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  if (view === "report") {
    if (event) anotherReport(); // a choice of language leaves the key, which is shown once
    reporting.offer();
  }
  if (view === "mine") mine();
  document.title = `${t(`nav.${view}`)} · ${t("brand")}`;
  if (event) {
    $(`#${view}-title`).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** A link to a saved search: its token leaves the address, and the search is among the person's own. */
async function openSaved(id, token) {
  history.replaceState(null, "", "#mine");
  await route(true);
  try {
    await recognise("searches", id, token);
  } catch (error) {
    problem($("#problem-mine"), unknown(error));
    $("#mine-open").closest("details").open = true;
  }
}

const mine = () => showMine(candidates);

function languages() {
  for (const button of $$("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === spoken()));
    button.onclick = () => speak(button.dataset.language, true);
  }
}

/** Ask what the service has and knows, until it has told once. */
async function counts() {
  if (known) return;
  known = await api.about();
  say($("#about"), "about", { photos: known.counts.photographs, reports: known.counts.reports });
  chips = new Chips($("#attributes"), known.vocabulary);
}

function distances() {
  $("#km").replaceChildren(...DISTANCES.map((km) =>
    h("option", { value: km, defaultSelected: km === USUAL_DISTANCE, t: "facts.kilometres", v: { km } })));
}

/** A photograph from the clipboard goes to the form that is shown. */
function paste(event) {
  const files = [...(event.clipboardData?.files ?? [])];
  const box = { search: photos, report: reporting.photos }[VIEWS.find((one) => !$(`#view-${one}`).hidden)];
  if (files.length && box && !$("dialog[open]")) {
    event.preventDefault();
    box.add(files);
  }
}

function listen() {
  $("#query").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  $("#clear").addEventListener("click", clear);
  $("#facts").addEventListener("input", summarise);
  document.addEventListener("paste", paste);
  document.addEventListener("owned", () => $("#view-mine").hidden || mine());
  document.addEventListener("language", () => {
    languages();
    route();
  });
  addEventListener("hashchange", route);
  for (const link of $$("nav a"))
    link.addEventListener("click", (event) => link.hash === location.hash && route(event));
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
}

async function start() {
  await speak(wanted());
  languages();
  distances();
  photos = new PhotoBox($("#query-photos"), "query", look);
  position = new Position($("#query-place"), "query-coordinates");
  chips = new Chips($("#attributes"), {});
  reporting = reportForm(photos);
  openForm(mine);
  showEmpty();
  summarise();
  try {
    await counts();
  } catch (error) {
    problem($("#problem-stated"), error);
  }
  listen();
  await route();
  const linked = new URLSearchParams(location.search).get("report");
  if (linked) await showLinked(linked);
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  const text = `The page could not be loaded; reload it. / Страница не загрузилась; обновите её. (${error.message})`;
  document.body.append(h("p", { className: "notice", role: "alert", textContent: text }));
});
