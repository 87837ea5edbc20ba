// Shows a model card: the few forms of Markdown that cards use, as elements.

import {make, table} from "./elements.js";

// Text without the escapes of HTML; the contents of a text area are never elements.
function plain(text) {
  const area = make("textarea");
  area.innerHTML = text;
  return area.value;
}

function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map(part =>
    part.startsWith("**") ? make("strong", {}, plain(part.slice(2, -2)))
      : part.startsWith("`") ? make("code", {}, plain(part.slice(1, -1))) : plain(part));
}

const cells = row => row.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll("\\|", "|"));

function block(text) {
  const lines = text.split("\n");
  const heading = /^(#{1,4}) (.*)/.exec(text);
  if (heading) return make(`h${heading[1].length}`, {}, inline(heading[2]));
  if (lines.every(line => line.startsWith("    ") || !line))
    return make("pre", {}, plain(lines.map(line => line.slice(4)).join("\n")));
  if (lines.every(line => line.startsWith("|"))) {
    const [heads, , ...rows] = lines.map(cells);
    return table({}, heads.map(head => make("th", {scope: "col"}, inline(head))),
      rows.map(row => make("tr", {}, row.map(cell => make("td", {}, inline(cell))))));
  }
  if (text.startsWith("- "))
    return make("ul", {}, text.slice(2).split("\n- ").map(item => make("li", {}, inline(item))));
  return make("p", {}, inline(text));
}

export function cardOf(markdown) {
  const text = markdown.replace(/^---\n[^]*?\n---\n/, "").replace(/<!--[^]*?-->/g, "");
  const blocks = [];
  for (const part of text.split(/\n{2,}/).map(one => one.replace(/^\n+|\s+$/g, "")).filter(Boolean)) {
    const isCode = part.startsWith("    ");
    if (isCode && blocks.at(-1)?.startsWith("    ")) blocks.push(`${blocks.pop()}\n\n${part}`);
    else blocks.push(part);
  }
  return blocks.map(block);
}
