// The page: what is typed is translated a moment later; the last answer is shown.

import {mapOf, stepsOf, wordsOf} from "./alignment.js";
import {cardOf} from "./card.js";
import {make, percent, sureness} from "./elements.js";

const PAUSE = 250; // milliseconds without a key before the text is sent
const at = id => document.getElementById(id);
const source = at("source"), translation = at("translation"), direction = at("direction");

let translator = null; // the module that translates: see server.js
let served = [];
let timer = 0;
let running = new AbortController();
let shown = null; // {text, from, to} of the translation on the page

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], {type: "language"}).of(code);
  } catch {
    return code; // no language code, such as that of a model for dates
  }
}
const chosen = () => direction.value.split(":");
const model = () => {
  const [from, to] = chosen();
  return served.find(one => one.target === to && (one.source === from || from === "auto"));
};

function fillDirections() {
  const option = (value, text) => make("option", {value}, text);
  direction.append(...served.map(one => option(`${one.source}:${one.target}`,
    `${languageName(one.source)} → ${languageName(one.target)}`)));
  for (const target of new Set(served.map(one => one.target)))
    if (served.filter(one => one.target === target).length > 1)
      direction.append(option(`auto:${target}`, `Any of these → ${languageName(target)}`));
}

function directionChanged() {
  const [from, to] = chosen();
  source.lang = from === "auto" ? "" : from;
  translation.lang = to;
  at("swap").hidden = !served.some(one => one.source === to && one.target === from);
  translateNow();
}

function showProblem(error) {
  at("problem").textContent = error ? error.message : "";
  translation.classList.toggle("old", Boolean(error));
}

function showAnswer(text, from, to, answer) {
  const language = answer.detectedLanguage?.language ?? from;
  shown = {text, from: language, to};
  showProblem(null);
  translation.textContent = answer.translatedText;
  const facts = [];
  if (answer.detectedLanguage)
    facts.push(make("span", {}, `${languageName(language)} (${answer.detectedLanguage.confidence} %)`));
  if (answer.confidence !== undefined)
    facts.push(make("span", {class: `confidence ${sureness(answer.confidence)}`},
      `confidence ${percent(answer.confidence)}`));
  at("facts").replaceChildren(...facts);
  const others = answer.alternatives.filter(other => other !== answer.translatedText);
  at("others").replaceChildren(...others.map(other => make("li", {dir: "auto", lang: to}, other)));
  at("alternatives").hidden = !others.length;
  const lines = answer.alignment.filter(line => line.target.length);
  const seen = lines.filter(line => line.weights);
  at("alignment").hidden = !lines.length;
  at("lines").replaceChildren(...lines.map(line => wordsOf(line, [language, to])));
  at("map-details").hidden = !seen.length;
  at("maps").replaceChildren(...seen.map(mapOf));
  at("steps-details").open = false;
}

function clear() {
  shown = null;
  translation.textContent = "";
  showProblem(null);
  at("facts").replaceChildren();
  at("alternatives").hidden = at("alignment").hidden = true;
}

async function translateNow() {
  clearTimeout(timer);
  running.abort();
  running = new AbortController();
  const mine = running, text = source.value, [from, to] = chosen();
  if (!to) return; // the models are not known yet
  if (!text.trim()) return clear();
  try {
    const answer = await translator.translate(text, from, to, mine.signal);
    if (mine === running) showAnswer(text, from, to, answer);
  } catch (error) {
    if (error.name === "AbortError" || mine !== running) return;
    showProblem(error);
    if (error.seconds > 0) timer = setTimeout(translateNow, 1000 * error.seconds);
  }
}

async function showSteps() {
  if (!at("steps-details").open || !shown) return;
  const {text, from, to} = shown, place = at("steps");
  place.replaceChildren("…");
  try {
    const line = text.split("\n").find(one => one.trim());
    place.replaceChildren(stepsOf(await translator.explain(line, from, to)));
  } catch (error) {
    place.replaceChildren(error.message);
  }
}

function showCard() {
  const one = model();
  if (!one) return;
  const parts = one.card ? cardOf(one.card) : [make("p", {}, "This model has no card.")];
  const title = parts.find(part => part.tagName === "H1") ?? make("h1", {}, one.name);
  title.id = "card-title";
  at("card-text").replaceChildren(...(parts.includes(title) ? parts : [title, ...parts]));
  at("card").showModal();
}

function swap() {
  const [from, to] = chosen();
  source.value = translation.textContent || source.value;
  direction.value = `${to}:${from}`;
  directionChanged();
}

// Show what a translator can do, and ask it for what is typed.
export async function begin(given) {
  translator = given;
  at("facts").textContent = "Loading …";
  try {
    const {list, keyRequired} = await translator.models();
    served = list;
    at("key-label").hidden = !keyRequired;
  } catch (error) {
    at("facts").textContent = "";
    return showProblem(error);
  }
  fillDirections();
  directionChanged();
}

source.addEventListener("input", event => {
  if (event.isComposing) return; // an input method is in the middle of a word
  clearTimeout(timer);
  timer = setTimeout(translateNow, PAUSE);
});
source.addEventListener("compositionend", () => { timer = setTimeout(translateNow, PAUSE) });
direction.addEventListener("change", directionChanged);
at("swap").addEventListener("click", swap);
at("show-card").addEventListener("click", showCard);
at("steps-details").addEventListener("toggle", showSteps);
at("key").addEventListener("change", event => { translator.setKey(event.target.value); translateNow() });
