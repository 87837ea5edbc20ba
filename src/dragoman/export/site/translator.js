// Translates texts with the model in this page: answers have the form of those of the server.

import {search} from "./search.js";
import {BOS, EOS, PAD, UNK} from "./tokenizer.js";

// Marks after which a line is cut; those with a space behind them also stand inside numbers.
const SENTENCE_END = /^([.!?…؟۔]\s|[。！？।॥])/, PAUSE = /^([,;:،]\s|[、，；：])/;
// Text that needs no space behind it: none, or that ends in Chinese or Japanese.
const UNSPACED = /(^|[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff65\u{20000}-\u{3ffff}])$/u;

// The place after the last token whose end is such; 0 when none is.
const lastThat = (ends, mark) => ends.findLastIndex(end => mark.test(end)) + 1;

// The pieces of a line that is too long: cut where a sentence ends, else at a pause, else anywhere;
// or only its beginning.
function parts(line, spans, longest, way) {
  if (spans.length <= longest) return [line];
  if (way === "truncate") return [line.slice(0, spans[longest - 1][1])];
  const cuts = [0];
  for (let begun = 0; spans.length - begun > longest;) {
    const ends = spans.slice(begun, begun + longest).map(([, end]) => line.slice(end - 1, end + 1));
    begun += lastThat(ends, SENTENCE_END) || lastThat(ends, PAUSE) || longest;
    cuts.push(spans[begun][0]);
  }
  return cuts.map((cut, n) => line.slice(cut, cuts[n + 1]));
}

// How probable it is that an answer is right (dragoman.evaluation.confidence).
function confidenceOf({exponent, slope, offset}, {best}) {
  if (!best) return 1;
  if (!best.complete) return 0;
  const divided = best.logProb / (best.ids.length + 1) ** exponent;
  const x = -Math.log(1e-3 - Math.min(divided, 0));
  return 1 / (1 + Math.exp(-Math.min(500, Math.max(-500, slope * x + offset))));
}

export class Translator {
  // source, target: tokenizers; facts: the site's model.json.
  constructor(network, source, target, facts) {
    Object.assign(this, {network, source, target, facts});
  }

  // The parts of a line as the model reads them: {text, ids, copies, own}, own the source's words
  // that a copying model can say although the vocabulary lacks them.
  read(line) {
    const whole = this.source.encode(line).spans;
    return parts(line, whole, this.facts.longest, this.facts.search.long).map(text => {
      const {ids, spans, pieces} = this.source.encode(text), own = new Map();
      const copies = !this.network.copies ? [] : pieces.map(piece => {
        const known = this.target.idOf(piece);
        if (known === undefined && !own.has(piece)) own.set(piece, this.target.texts.length + own.size);
        return known ?? own.get(piece);
      });
      return {text, ids, spans, copies, own: [...own.keys()]};
    }).filter(({ids}) => ids.length);
  }

  // The tokens of an output, with the source word that attention looked at for an unknown one.
  said({ids, weights}, {text, spans, own}) {
    const tokens = this.target.tokens(ids, own);
    if (this.facts.search.unknown !== "copy" || !weights) return tokens;
    return tokens.map((token, at) => {
      if (ids[at] !== UNK) return token;
      const looked = Array.from(weights[at].subarray(0, spans.length));
      const [first, end] = spans[looked.indexOf(Math.max(...looked))];
      const found = text.slice(first, end);
      const apart = !text.slice(0, first).trim() || found !== found.trimStart();
      return this.target.asToken(this.target.normalize(found.trim()), apart);
    });
  }

  // The answer to one line: {best, texts, tokens, weights, length}, length the number of source
  // tokens that were read; no best for an empty line.
  async line(line, options, pause) {
    const pieces = this.read(line), found = [];
    for (const piece of pieces) found.push(await search(this.network, piece, options, pause));
    if (!pieces.length) return {best: null, texts: [""], tokens: [], weights: null, length: 0};
    const length = pieces.reduce((sum, {ids}) => sum + ids.length, 0);
    const said = pieces.map((piece, n) => this.said(found[n][0], piece));
    const text = said.map(tokens => this.target.join(tokens)).filter(Boolean)
      .reduce((line, next) => line + (UNSPACED.test(line) ? "" : " ") + next, "");
    if (pieces.length === 1) {
      const others = found[0].map(one => this.target.join(this.said(one, pieces[0])));
      const texts = [...new Set([text, ...others])].slice(0, options.n_best);
      return {best: found[0][0], texts, tokens: said[0], weights: found[0][0].weights, length};
    }
    const firsts = found.map(([first]) => first);
    const best = {
      ids: firsts.flatMap(({ids}) => ids),
      logProb: firsts.reduce((sum, {logProb}) => sum + logProb, 0),
      complete: firsts.every(({complete}) => complete),
      steps: firsts.flatMap(({steps}) => steps),
    };
    return {best, texts: [text], tokens: said.flat(), weights: null, length};
  }

  // The answer to a text: {translatedText, alternatives, confidence?, alignment}.
  //
  // options: dragoman.SearchOptions that differ from the model's; pause: awaited before every step.
  async translate(text, options = {}, alternatives = 0, pause = undefined) {
    const lines = text.replaceAll("\r\n", "\n").split("\n"), answers = [];
    const all = {...this.facts.search, ...options};
    for (const line of lines) answers.push(await this.line(line, all, pause));
    const joined = n => answers.map(({texts}) => texts[n] ?? texts[0]).join("\n");
    const most = Math.max(...answers.map(({texts}) => texts.length));
    const result = {translatedText: joined(0), alternatives: []};
    for (let n = 1; n <= alternatives && n < most; n++) result.alternatives.push(joined(n));
    if (this.facts.confidence)
      result.confidence = Math.min(...answers.map(answer => confidenceOf(this.facts.confidence, answer)));
    result.alignment = answers.map(({best, tokens, weights, length}, n) => ({
      source: this.source.encode(lines[n]).spans.slice(0, length).map(([first, end]) => lines[n].slice(first, end)),
      target: tokens.map(token => token.replaceAll("▁", " ")),
      log_probs: best ? best.steps : [],
      weights: weights && weights.map(row => Array.from(row)),
    }));
    return result;
  }

  // The words that each step of the best output of a line found most probable.
  async explain(line) {
    const [piece] = this.read(line);
    if (!piece) return {examples: [{steps: []}]};
    const [best] = await search(this.network, piece, this.facts.search);
    const said = this.said(best, piece);
    const ids = best.complete ? [...best.ids, EOS] : best.ids, steps = [];
    let {memory, state} = await this.network.encode(piece.ids, piece.copies);
    for (let t = 0; t < ids.length; t++) {
      const found = await this.network.step([ids[t - 1] ?? BOS], state, memory, 5, [PAD, BOS]);
      state = found.state;
      const texts = this.target.tokens(found.tokens[0], piece.own);
      steps.push({
        real: true,
        expected: {text: said[t] ?? "</s>"},
        candidates: texts.map((text, n) => [{text}, Math.exp(found.logProbs[0][n])]),
      });
    }
    return {examples: [{steps}]};
  }
}
