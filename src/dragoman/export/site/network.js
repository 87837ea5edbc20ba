// The model's graphs in ONNX Runtime, for one source at a time.
//
// N hypotheses, S source positions, H hidden, V vocabulary, W words that are scored.

import {EOS, UNK} from "./tokenizer.js";

const BLOCK = 64; // the decoder's graph scores a multiple of so many words

export class Network {
  // runtime: the module onnxruntime-web; encoder, decoder: sessions; vocabulary: V.
  constructor(runtime, encoder, decoder, vocabulary) {
    this.Tensor = runtime.Tensor;
    this.encoder = encoder;
    this.decoder = decoder;
    this.vocabulary = vocabulary;
    this.states = decoder.inputNames.filter(name => name.startsWith("state."));
    this.attends = decoder.outputNames.includes("weights");
    this.copies = decoder.inputNames.includes("copies");
  }

  whole(numbers, shape = undefined) {
    const values = BigInt64Array.from(numbers, BigInt);
    return new this.Tensor("int64", values, shape ?? [values.length]);
  }

  // Encode a source: its ids, and for a model that copies each as an id of the target's words, S - 1
  // of both. Gives what every step reads, and the first state: tensors [1, ...].
  async encode(ids, copies) {
    const width = ids.length + 1;
    const mask = new this.Tensor("bool", new Uint8Array(width).fill(1), [1, width]);
    const found = await this.encoder.run({ids: this.whole([...ids, EOS], [1, width]), mask});
    const memory = {states: found.states, keys: found.keys};
    memory.padding = new this.Tensor("float32", new Float32Array(width), [1, 1, width]);
    memory.words = this.vocabulary;
    if (this.copies) {
      memory.words = Math.max(this.vocabulary, ...copies.map(id => id + 1));
      memory.copies = this.whole([...copies, EOS], [1, width]);
      memory.last = this.whole([memory.words - 1]);
      memory.width = this.whole([Math.ceil(memory.words / BLOCK) * BLOCK]);
    }
    return {memory, state: this.states.map(name => found[name])};
  }

  // Score what follows the last tokens [N].
  //
  // state: of the hypotheses, tensors [N, ...]; top: score only so many best words, 0: all; never:
  // words that cannot follow, at least one. Gives logProbs and tokens of each hypothesis (tokens is null when all
  // words are scored), its attention weights, and the new state.
  async step(tokens, state, memory, top, never) {
    const rows = tokens.length, cells = this.whole(tokens.keys());
    const known = tokens.map(id => id < this.vocabulary ? id : UNK);
    const given = {...memory, token: this.whole(known), cells, taken: cells};
    Object.assign(given, {top: this.whole([top || 1]), never: this.whole(never)});
    given.sentences = this.whole(tokens.map(() => 0));
    this.states.forEach((name, k) => { given[name] = state[k]; });
    const read = this.decoder.inputNames.map(name => [name, given[name]]);
    const unread = top ? ["log_probs"] : ["best", "tokens"];
    const names = this.decoder.outputNames.filter(name => !unread.includes(name));
    const found = await this.decoder.run(Object.fromEntries(read), names);
    const row = (values, n) => values.subarray(n * values.length / rows, (n + 1) * values.length / rows);
    const each = change => tokens.map((_, n) => change(n));
    return {
      logProbs: each(n => top ? row(found.best.data, n) : row(found.log_probs.data, n).subarray(0, memory.words)),
      tokens: top ? each(n => Array.from(row(found.tokens.data, n), Number)) : null,
      weights: this.attends ? each(n => row(found.weights.data, n)) : null,
      state: this.states.map((_, k) => found[`next.${k}`]),
    };
  }
}

// The rows of a state that hypotheses continue.
export function select(state, parents) {
  return state.map(({constructor: Tensor, type, data, dims}) => {
    const width = data.length / dims[0], chosen = new data.constructor(parents.length * width);
    parents.forEach((parent, n) => chosen.set(data.subarray(parent * width, (parent + 1) * width), n * width));
    return new Tensor(type, chosen, [parents.length, ...dims.slice(1)]);
  });
}
