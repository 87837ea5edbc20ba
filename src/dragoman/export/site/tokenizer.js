// Text to ids and back, as the Python package tokenizers does with the same file.
//
// The npm packages of that name give other ids: they do not cut at "▁", read digits and Greek
// letters otherwise, and do not say where a token stood in the text.

import {expression, normalized, stepsOf} from "./normal.js";
import {UNK, tokensOf, wordCutter} from "./words.js";

export {UNK};
export const PAD = 0, BOS = 2, EOS = 3;
const SPACE = "▁";
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

// The pieces of a text, cut so that each that matches stands alone.
function cut(text, pattern) {
  const ends = [...text.matchAll(pattern)].flatMap(({0: found, index}) => [index, index + found.length]);
  return [0, ...ends].map((begin, i) => text.slice(begin, ends[i])).filter(Boolean);
}

function cutsOf({type, pattern, pretokenizers}) {
  const all = {Metaspace: /▁?[^▁]+|▁/gu, WhitespaceSplit: /\p{White_Space}/gu, Digits: /\p{N}/gu};
  return type === "Sequence" ? pretokenizers.flatMap(cutsOf) : [all[type] ?? expression(pattern)];
}

export class Tokenizer {
  // tree: a tokenizer.json that Dragoman made.
  constructor(tree) {
    const before = tree.pre_tokenizer;
    this.steps = stepsOf(tree.normalizer);
    this.cuts = cutsOf(before);
    this.marksSpaces = before.pretokenizers?.[0].type === "Metaspace";
    this.dropsSpaces = before.type === "WhitespaceSplit";
    this.model = wordCutter(tree.model);
    this.texts = tokensOf(tree.model);
    this.ids = new Map(this.texts.map((token, id) => [token, id]));
    this.decoder = tree.decoder?.type;
  }

  normalize(text) { return normalized(text, this.steps).text }

  // {ids, spans, pieces} of a text: spans are [first, end) in it, pieces its words as text.
  encode(written) {
    let {text, begins, ends} = normalized(written, this.steps);
    if (this.marksSpaces && text) {
      text = text.replaceAll(" ", SPACE);
      if (!text.startsWith(SPACE))
        [text, begins, ends] = [SPACE + text, [begins[0], ...begins], [ends[0], ...ends]];
    }
    const ids = [], spans = [], pieces = [];
    let place = 0;
    for (const piece of this.cuts.reduce((found, pattern) => found.flatMap(one => cut(one, pattern)), [text])) {
      const begin = place;
      place += piece.length;
      if (this.dropsSpaces && !piece.trim()) continue;
      pieces.push(piece);
      let from = begin;
      for (const {id, size, more} of this.model(piece)) {
        ids.push(id <= EOS ? UNK : id); // text that spells "<s>" is not the begin token
        spans.push([begins[from], ends[from + size - 1]]);
        if (!more) from += size;
      }
    }
    return {ids, spans, pieces};
  }

  // The id of a token; undefined when it is not in the vocabulary.
  idOf(piece) {
    const id = this.ids.get(piece);
    return id > EOS ? id : undefined;
  }

  // The tokens of ids; own: the words of the ids from the vocabulary's size on.
  tokens(ids, own = []) { return ids.map(id => this.texts[id] ?? own[id - this.texts.length]) }

  // The text that tokens spell.
  join(tokens) {
    if (!this.decoder) return tokens.join(" ").trim();
    if (this.decoder === "Fuse") return tokens.join("").trim();
    const hasBytes = this.decoder === "Sequence";
    const text = (hasBytes ? lettersOf(tokens) : tokens.join("")).replaceAll(SPACE, " ").trim();
    return hasBytes ? text.replace(CONTROL, "\ufffd") : text;
  }

  // A word outside the vocabulary as a token; apart: a space stands before it.
  asToken(word, apart) { return apart && ["Metaspace", "Sequence"].includes(this.decoder) ? SPACE + word : word }
}

// The text of tokens among which bytes spell letters; U+FFFD for each byte of a run that is no UTF-8.
function lettersOf(tokens) {
  let text = "", bytes = [];
  const flush = () => {
    try {
      text += new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(new Uint8Array(bytes));
    } catch {
      text += "\ufffd".repeat(bytes.length);
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
    if (byte) {
      bytes.push(parseInt(byte[1], 16));
      continue;
    }
    flush();
    text += token;
  }
  flush();
  return text;
}
