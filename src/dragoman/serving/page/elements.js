// Makes elements: make("td", {class: "n"}, "text", otherElement).

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat());
  return node;
}

// A table that scrolls by itself when it is wider than the page.
export const table = (attributes, heads, rows) => make("div", {class: "wide", tabindex: "0"},
  make("table", attributes, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)));

export const isRightToLeft = text => /[\u0590-\u08ff\ufb1d-\ufefc]/.test(text);

export const percent = share => `${Math.round(100 * share)} %`;

// Three classes of probability, the same for words and whole translations.
export const sureness = share => share >= .7 ? "sure" : share >= .3 ? "fair" : "unsure";
