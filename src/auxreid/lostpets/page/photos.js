// Up to six photographs of one dog: chosen, dropped, pasted or taken, and cropped by hand.

import { crop } from "./crop.js";
import { announce, h, problem, problemLine } from "./dom.js";

const MOST = 6;
const WHOLE = [0, 0, 1, 1]; // said so by hand: no dog is to be looked for
const KEPT_AS_IT_IS = ["image/jpeg", "image/png", "image/webp"];
const LONGEST_SIDE = 2048; // pixels; larger photographs are made smaller before they are sent
const QUALITY = 0.92;

/** A photograph as it is sent: upright, of a format that the server takes, and not larger than need be. */
async function ready(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && KEPT_AS_IT_IS.includes(file.type)) return file;
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

/** `sha` is its name on the server, once that has looked at it. */
const entry = (file, part = null) => ({ file, url: URL.createObjectURL(file), crop: part, sha: null, byHand: part !== null });

/** The photographs of a form, in `root`; `changed` is called after each change. */
export class PhotoBox {
  constructor(root, name, changed) {
    Object.assign(this, { root, name, changed, photos: [] });
    this.list = h("ul", { className: "photos" });
    this.problem = problemLine({ id: `problem-${name}-photos` });
    root.append(this.list, this.dropZone(), this.problem);
    this.render();
  }

  dropZone() {
    const pick = this.picker("photos.choose", { multiple: true, "aria-describedby": `${this.name}-hint` });
    const camera = this.picker("photos.camera", { capture: "environment" });
    const hint = h("p", { className: "soft", id: `${this.name}-hint`, t: "photos.hint" });
    this.zone = h("div", { className: "drop" }, h("div", { className: "pickers" }, pick, camera), hint);
    this.zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.zone.classList.add("over");
    });
    for (const name of ["dragleave", "drop"])
      this.zone.addEventListener(name, () => this.zone.classList.remove("over"));
    this.zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
    return this.zone;
  }

  picker(text, props) {
    const input = h("input", { type: "file", accept: "image/*", ...props });
    input.addEventListener("change", () => {
      this.add([...input.files]);
      input.value = "";
    });
    return h("label", { className: "pick" }, input, h("span", { t: text }));
  }

  get files() {
    return this.photos.map((one) => one.file);
  }

  get crops() {
    return this.photos.map((one) => one.crop ?? (one.byHand ? WHOLE : null));
  }

  /** Take files; those that are none or too many are refused in words. */
  async add(files) {
    this.refuse(null);
    for (const file of files) {
      try {
        const made = this.photos.length < MOST ? await ready(file) : null;
        if (this.photos.length >= MOST) { // others may have come meanwhile
          this.refuse({ key: "photos.tooMany", values: { most: MOST } });
          break;
        }
        this.photos.push(entry(made));
      } catch {
        this.refuse({ key: "photos.unreadable", values: { name: file.name } });
      }
    }
    this.tell();
  }

  /** Take another form's photographs, with their crops. */
  take(other) {
    this.refuse(null);
    this.photos = other.photos.map(({ file, crop: part }) => entry(file, part));
    this.tell();
  }

  remove(photo) {
    const place = this.photos.indexOf(photo); // its address stays: an answer may show it
    this.photos.splice(place, 1);
    this.tell();
    (this.list.children[Math.min(place, this.photos.length - 1)] ?? this.zone).querySelector("button, input").focus();
  }

  /** What the server has looked at: its names, and the crops that it made where the person has made none. */
  looked(some, names, crops) {
    some.forEach((one, place) => {
      one.sha = names[place];
      if (!one.byHand) one.crop = crops[place];
    });
    if (crops.some((one, place) => one && !some[place].byHand)) this.render();
  }

  clear() {
    for (const one of this.photos) URL.revokeObjectURL(one.url);
    this.photos = [];
    this.refuse(null);
    this.tell();
  }

  async cut(photo) {
    const chosen = await crop(photo.url, photo.crop);
    if (chosen === undefined) return;
    Object.assign(photo, { crop: chosen, byHand: true });
    this.tell();
    this.list.children[this.photos.indexOf(photo)]?.querySelector("button").focus();
  }

  refuse(error) {
    problem(this.problem, error);
  }

  tell() {
    this.render();
    announce("photos.number", { number: this.photos.length });
    this.changed?.();
  }

  render() {
    this.list.hidden = !this.photos.length;
    this.zone.hidden = this.photos.length >= MOST;
    this.zone.classList.toggle("more", this.photos.length > 0);
    this.list.replaceChildren(...this.photos.map((one, place) => this.card(one, { number: place + 1 })));
  }

  card(photo, v) {
    const box = h("div", { className: "shade", hidden: !photo.crop });
    if (photo.crop) outline(box, photo.crop);
    const picture = h("div", { className: "picture" }, h("img", { src: photo.url, tAlt: "photos.one", v }), box);
    const button = (key, label, action) => h("button", { type: "button", t: key, tLabel: label, v, onclick: action });
    return h("li", {}, picture, h("div", { className: "line" },
      button(photo.crop ? "photos.cropped" : "photos.crop", photo.crop ? "photos.croppedOne" : "photos.cropOne",
        () => this.cut(photo)),
      button("photos.remove", "photos.removeOne", () => this.remove(photo))));
  }
}

/** Put a box where a crop is, in shares of the photograph. */
export function outline(box, [left, top, width, height]) {
  for (const [name, value] of Object.entries({ left, top, width, height })) box.style[name] = `${100 * value}%`;
}
