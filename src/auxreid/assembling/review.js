"use strict";
// What a person decides is a list of steps, each with lines (action, photograph, other) in terms of photographs. What is
// shown follows from the dogs that were proposed and the steps since: undoing is one more step, and the rest is replayed.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const PHOTO = 0, NAME = 1, FLAGS = 2, SEQUENCE = 3, FILE = 4, SHOWN_NEAR = 5, IN_STRIP = 4, MOST_OTHERS = 10;
const store = `auxreid-review-${data.key}`;
const applied = new Set(data.applied), inFile = new Set(data.decisions.map(line => line[0]));
const numberOf = new Map(data.photos.map((photo, number) => [photo[PHOTO], number]));
let steps = [], dogs = [], current = null, place = 0, from = 0, marked = new Set(), failed = false;
let said = "Is this one dog? Enter if all photographs show it; else mark those of another dog and split them off.";

// steps ---------------------------------------------------------------------------------------------------------------

function load() {
  const kept = JSON.parse(localStorage.getItem(store) || "[]").filter(step => !inFile.has(step.step));
  const later = new Map();
  for (const [step, action, photo, other] of data.decisions) if (!applied.has(step)) {
    if (!later.has(step)) later.set(step, {step, lines: []});
    later.get(step).lines.push([action, photo, other]);
  }
  steps = [...later.values(), ...kept];
  keep();
}

const unsaved = () => steps.filter(step => !inFile.has(step.step));

function keep() { localStorage.setItem(store, JSON.stringify(unsaved())); }

function newStep(lines) {
  const last = steps.length ? Number.parseInt(steps[steps.length - 1].step, 10) || 0 : 0;
  const time = Math.max(Date.now(), last + 1); // in order, also if the clock was set back
  const end = Math.floor(Math.random() * 0x10000).toString(16).padStart(4, "0");
  return {step: `${String(time).padStart(14, "0")}-${end}`, lines};
}

function decide(lines, text) {
  steps.push(newStep(lines));
  said = text;
  keep();
  send();
}

function undo() {
  const undone = new Set(steps.flatMap(step => step.lines).filter(line => line[0] === "undo").map(line => line[2]));
  const last = steps.filter(step => step.lines[0][0] !== "undo" && !undone.has(step.step)).pop();
  if (!last) { said = "Nothing to undo."; return draw(); }
  const back = last.lines.map(line => numberOf.get(line[1])).find(number => number !== undefined);
  decide([["undo", "", last.step]], "Undone.");
  replay();
  go(dogs.find(dog => dog.photos.includes(back)) || dogs[0]);
}

async function send() {
  if (!data.token) return;
  const some = unsaved();
  try {
    const answer = await fetch("decisions", {
      method: "POST", headers: {"Content-Type": "application/json", "X-Review-Token": data.token},
      body: JSON.stringify(some.flatMap(({step, lines}) => lines.map(line => [step, ...line]))),
    });
    if (!answer.ok) throw new Error(await answer.text());
    for (const {step} of some) inFile.add(step);
    failed = false;
    keep();
  } catch { failed = true; }
  drawSaved();
}

function csv() {
  const lines = [...data.decisions, ...unsaved().flatMap(({step, lines}) => lines.map(line => [step, ...line]))];
  return ["step,action,photo,other", ...lines.map(line => line.join(","))].join("\n") + "\n";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = "decisions.csv";
  link.click();
  URL.revokeObjectURL(link.href);
  said = "Saved by the browser. Put decisions.csv beside this page, then run auxreid assemble again.";
  draw();
}

// dogs ----------------------------------------------------------------------------------------------------------------

function replay() {
  dogs = data.dogs.map(dog => ({...dog, photos: [...dog.photos], decided: dog.seen, apart: new Set()}));
  const undone = new Set(steps.flatMap(step => step.lines).filter(line => line[0] === "undo").map(line => line[2]));
  for (const step of steps) if (!undone.has(step.step)) for (const line of step.lines) apply(line);
}

const dogOf = number => dogs.find(dog => dog.photos.includes(number));

function apply([action, photo, other]) {
  const one = numberOf.get(photo), two = numberOf.get(other);
  const dog = one === undefined ? undefined : dogOf(one), next = two === undefined ? undefined : dogOf(two);
  if (!dog) return;
  if (action === "reject") takeOut(dog, one);
  if (action === "split" && next === dog && one !== two) {
    takeOut(dog, one);
    const names = dogs.map(each => each.id);
    let count = 2;
    while (names.includes(`${dog.id} (${count})`)) count += 1;
    const added = {...dog, id: `${dog.id} (${count})`, photos: [one], decided: false, two: false, apart: new Set()};
    dogs.splice(dogs.indexOf(dog) + 1, 0, added);
  }
  if (action === "split" && next && dogOf(one) !== next) { dogOf(one).apart.add(two); next.apart.add(one); }
  if (!next) return;
  if (["merge", "confirm", "together"].includes(action) && next !== dog) {
    next.photos = [...next.photos, ...dog.photos].sort((a, b) => a - b);
    for (const each of dog.apart) next.apart.add(each);
    next.decided = false;
    dogs.splice(dogs.indexOf(dog), 1);
  }
  if (action === "confirm") next.decided = true;
}

function takeOut(dog, number) {
  dog.photos.splice(dog.photos.indexOf(number), 1);
  if (!dog.photos.length) dogs.splice(dogs.indexOf(dog), 1);
}

function nearest(dog) {
  const score = new Map();
  const of = new Map(dogs.flatMap(each => each.photos.map(number => [number, each])));
  for (const number of dog.photos) for (const [other, alike] of data.near[number] || []) {
    const next = of.get(other);
    if (!next || next === dog || next.photos.some(each => dog.apart.has(each))) continue;
    if (!(score.get(next) >= alike)) score.set(next, alike);
  }
  return [...score].sort((a, b) => b[1] - a[1]).map(([next]) => next);
}

// what keys do --------------------------------------------------------------------------------------------------------

const hash = number => data.photos[number][PHOTO];
const many = count => count === 1 ? "1 photograph" : `${count} photographs`;
const chosen = () => marked.size ? [...marked].sort((a, b) => a - b) : current.photos.slice(place, place + 1);

function confirm() {
  const [first] = current.photos, name = current.id;
  decide(current.photos.map(number => ["confirm", hash(number), hash(first)]), `${name}: ${many(current.photos.length)}, one dog.`);
  replay();
  advance(name);
}

function merge(next) {
  const [first] = current.photos, all = [...current.photos.slice(1), ...next.photos];
  decide(all.map(number => ["merge", hash(number), hash(first)]), `${next.id} is ${current.id}.`);
  replay();
  go(dogOf(first));
}

function split() {
  const off = chosen(), stay = current.photos.filter(number => !off.includes(number));
  if (!stay.length) { said = "All are marked: leave those that stay together unmarked."; return draw(); }
  const others = stay.slice(0, MOST_OTHERS), [first] = off;
  const lines = off.flatMap(number => others.map(other => ["split", hash(number), hash(other)]));
  decide([...lines, ...off.slice(1).map(number => ["together", hash(number), hash(first)])], `${many(off.length)} split off: the next dog in the list.`);
  replay();
  go(dogOf(stay[0]));
}

function reject() {
  const off = chosen(), name = current.id, stay = current.photos.find(number => !off.includes(number));
  decide(off.map(number => ["reject", hash(number), ""]), `${many(off.length)} rejected.`);
  replay();
  if (stay === undefined) advance(name); else go(dogOf(stay));
}

function advance(name) {
  const start = Math.max(0, data.dogs.findIndex(dog => dog.id === name), dogs.findIndex(dog => dog.id === name));
  const open = [...dogs.slice(start), ...dogs.slice(0, start)].find(dog => !dog.decided);
  if (!open) said += " All dogs are decided.";
  go(open || dogs[Math.min(start, dogs.length - 1)]);
}

function go(dog, at = 0) {
  current = dog || null;
  place = Math.min(at, current ? current.photos.length - 1 : 0);
  from = 0;
  marked = new Set();
  draw();
}

function step(by) {
  const at = dogs.indexOf(current) + by;
  if (at >= 0 && at < dogs.length) go(dogs[at]);
}

function move(by) {
  place = Math.max(0, Math.min(current.photos.length - 1, place + by));
  focusPhoto();
}

function mark(number) {
  if (marked.has(number)) marked.delete(number); else marked.add(number);
  drawMarks();
}

function markSequence() {
  const sequence = number => data.photos[number][SEQUENCE], own = sequence(current.photos[place]);
  const some = current.photos.filter(number => sequence(number) === own), all = some.every(number => marked.has(number));
  for (const number of some) if (all) marked.delete(number); else marked.add(number);
  drawMarks();
}

function more() {
  from = from + SHOWN_NEAR < nearest(current).length ? from + SHOWN_NEAR : 0;
  drawNear();
}

const columns = () => getComputedStyle($("photos")).gridTemplateColumns.split(" ").length;

function enlarge() {
  const photo = data.photos[current.photos[place]], box = $("large");
  box.querySelector("img").src = `photos/${photo[FILE]}`;
  box.querySelector("p").textContent = photo[NAME];
  box.showModal();
}

const KEYS = {
  Enter: confirm, s: split, x: reject, j: () => step(1), k: () => step(-1), z: enlarge, a: markSequence, m: more,
  " ": () => mark(current.photos[place]),
  ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => move(-columns()), ArrowDown: () => move(columns()),
};

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ($("large").open) {
    if (["z", "Z", "Enter", " "].includes(event.key)) { event.preventDefault(); $("large").close(); }
    return;
  }
  if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(event.key)) return; // it is pressed
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "u") { event.preventDefault(); return undo(); }
  if (!current) return;
  if (key >= "1" && key <= String(SHOWN_NEAR)) {
    const next = nearest(current)[from + Number(key) - 1];
    if (next) { event.preventDefault(); merge(next); }
  } else if (KEYS[key]) { event.preventDefault(); KEYS[key](); }
});

// drawing -------------------------------------------------------------------------------------------------------------

const picture = photo => `.assemble/thumbs/${photo[PHOTO]}.jpg`;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function draw() {
  const decided = dogs.filter(dog => dog.decided).length, bar = document.querySelector(".progress");
  $("count").textContent = `${decided} of ${dogs.length} dogs decided`;
  bar.setAttribute("aria-valuemax", dogs.length);
  bar.setAttribute("aria-valuenow", decided);
  bar.firstElementChild.style.width = `${dogs.length ? 100 * decided / dogs.length : 100}%`;
  $("said").textContent = said;
  drawSaved();
  drawList();
  drawDog();
  drawNear();
}

function drawSaved() {
  const open = unsaved().length, note = $("saved");
  note.classList.toggle("unsaved", open > 0);
  if (!open) note.textContent = "All decisions are in decisions.csv";
  else note.textContent = failed ? `Server gone: ${open} kept in this browser` : `${open} kept in this browser`;
}

function drawList() {
  const list = $("list"), rows = list.children;
  while (rows.length > dogs.length) list.lastChild.remove();
  while (rows.length < dogs.length) {
    const button = element("button", {type: "button", tabIndex: -1}, element("span", {className: "mark"}), element("span"), element("small"));
    button.addEventListener("click", () => { go(dogs[[...rows].indexOf(button.parentElement)]); });
    list.append(element("li", {}, button));
  }
  dogs.forEach((dog, at) => {
    const button = rows[at].firstChild;
    button.classList.toggle("decided", dog.decided);
    button.children[1].textContent = dog.id;
    button.children[2].textContent = dog.decided ? many(dog.photos.length).split(" ")[0] : `${dog.photos.length} · ${dog.doubt.toFixed(2)}`;
    button.title = dog.decided ? "decided" : `${many(dog.photos.length)}, doubt ${dog.doubt.toFixed(2)}`;
    if (dog === current) { button.setAttribute("aria-current", "true"); rows[at].scrollIntoView({block: "nearest"}); }
    else button.removeAttribute("aria-current");
  });
}

function drawDog() {
  $("name").textContent = current ? current.id : "No photographs are left.";
  const about = $("about");
  about.replaceChildren();
  if (!current) return $("photos").replaceChildren();
  about.append(`${many(current.photos.length)} · ${current.decided ? "decided" : `doubt ${current.doubt.toFixed(2)}`}`);
  if (current.two && !current.decided) about.append(" · ", element("b", {textContent: "may be two dogs"}));
  if (current.new && !current.decided) about.append(" · ", element("b", {textContent: "new photographs since you decided"}));
  $("photos").replaceChildren(...current.photos.map((number, at) => {
    const photo = data.photos[number];
    const caption = element("figcaption", {title: photo[NAME]}, element("span", {}, element("bdi", {textContent: photo[NAME].split("/").pop()})));
    if (photo[FLAGS]) caption.append(element("b", {textContent: photo[FLAGS]}));
    const figure = element("figure", {tabIndex: -1}, element("img", {src: picture(photo), alt: photo[NAME]}), caption);
    figure.dataset.number = number;
    figure.setAttribute("role", "option");
    figure.addEventListener("click", () => { place = at; mark(number); focusPhoto(); });
    return figure;
  }));
  drawMarks();
  focusPhoto();
}

function drawMarks() {
  for (const figure of $("photos").children) figure.setAttribute("aria-selected", marked.has(Number(figure.dataset.number)));
}

function focusPhoto() {
  const figure = $("photos").children[place];
  if (figure) { figure.focus({preventScroll: true}); figure.scrollIntoView({block: "nearest"}); }
}

// Some of a dog's photographs, from the first to the last: neighbours are often of one moment.
function strip(dog) {
  const count = Math.min(IN_STRIP, dog.photos.length), last = dog.photos.length - 1;
  return [...Array(count).keys()].map(at => dog.photos[count === 1 ? 0 : Math.round(at * last / (count - 1))]);
}

function drawNear() {
  const all = current ? nearest(current) : [], some = all.slice(from, from + SHOWN_NEAR);
  $("which").textContent = some.length ? `${from + 1} to ${from + some.length} of ${all.length}; a number merges` : "no other dog";
  $("near").replaceChildren(...some.map((dog, at) => {
    const note = element("small", {textContent: dog.decided ? `${dog.photos.length}, decided` : many(dog.photos.length)});
    const pictures = strip(dog).map(number => element("img", {src: picture(data.photos[number]), alt: data.photos[number][NAME]}));
    const button = element("button", {type: "button"}, element("kbd", {textContent: at + 1}),
      element("span", {}, dog.id, " ", note), element("span", {className: "strip"}, ...pictures));
    button.addEventListener("click", () => merge(dog));
    return element("li", {}, button);
  }));
}

$("save").addEventListener("click", download);
load();
replay();
if (data.token && unsaved().length) send();
go(dogs.find(dog => !dog.decided) || dogs[0]);
