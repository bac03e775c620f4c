// The attributes: what the photographs say, corrected with a click.

import { $, h } from "./dom.js";
import { say } from "./words.js";

const UNKNOWN = "?";

/** Groups of chips, one for each attribute of the vocabulary. `stated` holds what the person said, by attribute. */
export class Chips {
  constructor(root, vocabulary) {
    Object.assign(this, { root, vocabulary, predicted: {}, stated: {} });
    this.root.replaceChildren(...Object.keys(vocabulary).map((name) => this.group(name)));
    $("#attributes-reset").addEventListener("click", () => this.reset());
    this.render();
  }

  group(name) {
    const options = [...this.vocabulary[name], UNKNOWN].map((word) => this.chip(name, word));
    const back = h("button", { type: "button", className: "quiet back", t: "attributes.reset",
      onclick: () => this.back(name) });
    return h("fieldset", { className: "attribute", id: `attribute-${name}` },
      h("legend", {}, h("span", { t: `attribute.${name}` }), " ", h("small", { className: "state" })),
      h("div", { className: "chips" }, ...options, back));
  }

  chip(name, word) {
    const chosen = () => this.state(name, word);
    const input = h("input", { type: "radio", name: `attribute-${name}`, value: word, onclick: chosen });
    const text = word === UNKNOWN ? "attributes.unknown" : `word.${name}.${word}`;
    return h("label", { className: word === UNKNOWN ? "chip unsure" : "chip" }, input, h("span", { t: text }),
      h("small", { className: "share" }));
  }

  state(name, word) {
    this.stated[name] = word === UNKNOWN ? null : word;
    this.show(name);
  }

  back(name) {
    delete this.stated[name];
    this.show(name);
    $(`#attribute-${CSS.escape(name)} input:checked`).focus();
  }

  reset() {
    this.stated = {};
    this.render();
    $("#attributes input:checked")?.focus();
  }

  /** Take what the photographs say; what the person stated stands. */
  predict(predicted) {
    this.predicted = predicted;
    this.render();
  }

  /** As a search is asked: a word, or none where the person does not know. */
  query() {
    return Object.fromEntries(Object.entries(this.stated).map(([name, word]) =>
      [name, { words: word === null ? [] : [word], excluded: [] }]));
  }

  render() {
    for (const name of Object.keys(this.vocabulary)) this.show(name);
  }

  show(name) {
    const group = $(`#attribute-${CSS.escape(name)}`);
    const shares = this.predicted[name];
    const said = name in this.stated;
    const best = shares ? this.vocabulary[name].reduce((a, b) => (shares[b] > shares[a] ? b : a)) : UNKNOWN;
    const chosen = said ? this.stated[name] ?? UNKNOWN : best;
    group.dataset.state = said ? "stated" : shares ? "predicted" : "none";
    say(group.querySelector(".state"), `attributes.${group.dataset.state}`);
    group.querySelector(".back").hidden = !said;
    for (const input of group.querySelectorAll("input")) {
      input.checked = input.value === chosen;
      share(input.parentElement, shares?.[input.value]);
    }
    $("#attributes-reset").hidden = Object.keys(this.stated).length === 0;
  }
}

function share(chip, value) {
  chip.style.setProperty("--share", value ?? 0);
  say(chip.querySelector(".share"), value === undefined ? "" : "attributes.share", { share: { share: value ?? 0 } });
}
