// Attention: two rows of words that light each other up, and a map.

import {isRightToLeft, make, percent, sureness, table} from "./elements.js";

const direction = tokens => isRightToLeft(tokens.join("")) ? "rtl" : "ltr";
const name = token => token.trim() || "space";

// For each source token the strongest links, for a screen reader: "from Hund 93 %, ein 5 %".
function links(weights, names, word) {
  const order = names.map((_, i) => i).filter(i => weights[i] >= .1)
    .sort((a, b) => weights[b] - weights[a]).slice(0, 3);
  return order.length ? ` ${word} ${order.map(i => `${name(names[i])} ${percent(weights[i])}`).join(", ")}` : "";
}

// The words of one line above those of its translation. One word of a row is reached with Tab, the
// others with the arrow keys; the word that is pointed at or focused shades those it is linked to.
export function wordsOf(line, languages) {
  const {source, target, weights, log_probs: logs} = line;
  const column = at => target.map((_, t) => weights ? weights[t][at] : 0);
  const read = source.map((token, at) => make("span", {class: "token", role: "listitem",
    "aria-label": name(token) + links(column(at), target, "becomes")}, token));
  const said = target.map((token, t) => {
    const share = Math.exp(logs[t] ?? 0);
    const label = `${name(token)}, ${percent(share)} probable`;
    return make("span", {class: `token ${sureness(share)}`, role: "listitem", title: label,
      "aria-label": label + (weights ? links(weights[t], source, "from") : "")}, token.trim() || token);
  });
  const shade = (nodes, values) => nodes.forEach((node, i) =>
    node.style.setProperty("--weight", values ? values[i] : 0));
  const clear = () => {
    shade(read); shade(said);
    [...read, ...said].forEach(node => node.classList.remove("on"));
  };
  const light = (nodes, i) => {
    clear();
    nodes[i].classList.add("on");
    if (!weights) return;
    if (nodes === said) shade(read, weights[i]); else shade(said, column(i));
  };
  const row = (nodes, tokens, lang, label) => {
    nodes.forEach((node, i) => {
      node.tabIndex = i ? -1 : 0;
      node.addEventListener("pointerenter", () => light(nodes, i));
      node.addEventListener("pointerleave", clear);
      node.addEventListener("focus", () => light(nodes, i));
      node.addEventListener("blur", clear);
      node.addEventListener("keydown", event => {
        const ahead = direction(tokens) === "rtl" ? "ArrowLeft" : "ArrowRight";
        const back = direction(tokens) === "rtl" ? "ArrowRight" : "ArrowLeft";
        const to = {[ahead]: i + 1, [back]: i - 1, Home: 0, End: nodes.length - 1}[event.key];
        if (!nodes[to]) return;
        event.preventDefault();
        node.tabIndex = -1;
        nodes[to].tabIndex = 0;
        nodes[to].focus();
      });
    });
    return make("div", {class: "words", role: "list", dir: direction(tokens), lang,
      "aria-label": label}, nodes);
  };
  return make("div", {class: "line"}, row(read, source, languages[0], "Words of the text"),
    row(said, target, languages[1], "Words of the translation"));
}

// Attention as a table: a row for each word of the translation, shaded by weight.
export function mapOf({source, target, weights}) {
  const cell = (t, at) => {
    const text = `${name(target[t])} from ${name(source[at])}: ${percent(weights[t][at])}`;
    const node = make("td", {title: text}, make("span", {class: "unseen"}, percent(weights[t][at])));
    node.style.setProperty("--weight", weights[t][at]);
    return node;
  };
  const heads = [make("td"), ...source.map(token => make("th", {scope: "col"}, name(token)))];
  const rows = target.map((token, t) => make("tr", {}, make("th", {scope: "row", dir: "auto"}, name(token)),
    source.map((_, at) => cell(t, at))));
  return table({class: "map", dir: direction(source)}, heads, rows);
}

// The words that each step found most probable, from an explanation.
export function stepsOf(explanation) {
  const text = token => token.text === "</s>" ? "(end)" : token.stands_for || token.text.replaceAll("▁", " ").trim();
  const word = token => make("bdi", {}, text(token));
  const rows = explanation.examples[0].steps.filter(step => step.real).map((step, t) => make("tr", {},
    make("td", {}, String(t + 1)), make("td", {}, word(step.expected)),
    make("td", {}, step.candidates.map(([token, share], n) =>
      [n ? ", " : "", word(token), ` ${percent(share)}`]).flat())));
  return table({}, ["step", "word", "most probable"].map(head => make("th", {scope: "col"}, head)), rows);
}
