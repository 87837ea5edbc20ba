// Where translations come from: the server that sent this page. The page of a static site has
// another module with the same functions, for a model in the browser.

let key = "";
export const setKey = text => { key = text };

class Refusal extends Error {
  constructor(text, status, seconds) {
    super(text);
    this.status = status;
    this.seconds = seconds; // to wait before another try; NaN: there is no use in one
  }
}

async function ask(path, fields, signal) {
  const options = {signal};
  if (fields) {
    options.method = "POST";
    options.headers = {"Content-Type": "application/json"};
    options.body = JSON.stringify({...fields, api_key: key});
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer.", 0, 3);
  }
  const answer = await response.json().catch(() => ({error: response.statusText}));
  if (!response.ok)
    throw new Refusal(answer.error, response.status, parseFloat(response.headers.get("Retry-After")));
  return answer;
}

// What the page begins with: [{name, source, target, card}], and whether a key is needed.
export async function models() {
  const [list, settings] = await Promise.all([ask("models"), ask("frontend/settings")]);
  return {list, keyRequired: settings.keyRequired};
}

// {translatedText, alternatives, confidence?, detectedLanguage?, alignment} of a text.
export const translate = (text, source, target, signal) =>
  ask("translate", {q: text, source, target, alternatives: 3, alignment: true}, signal);

// What each step of the translation of one line looked at and thought of.
export const explain = (line, source, target, signal) =>
  ask("explain", {q: line, source, target}, signal);
