// Greedy search and beam search for one source, as dragoman.search does it in Python.
//
// A hypothesis is {ids, logProb, steps, weights}: its tokens, the natural logarithm of its
// probability, that of each token, and for each token the attention over the source.

import {select} from "./network.js";
import {BOS, EOS, PAD, UNK} from "./tokenizer.js";

const NONE_FOUND = {ids: [], logProb: -Infinity, score: -Infinity, complete: false, steps: [], weights: null};

// Half way between two whole numbers: the even one, as Python rounds.
function rounded(number) {
  const whole = Math.round(number);
  return Math.abs(number % 1) === .5 && whole % 2 ? whole - 1 : whole;
}

// A log-probability divided by a power of the length, which counts the end (Wu 2016, eq. 14).
function normalized(logProb, length, {normalization, length_penalty: power}) {
  return logProb / (normalization === "wu" ? (length + 5) / 6 : length) ** power;
}

// The coverage penalty of Wu 2016, eq. 14.
function coverage(weights, tokens, factor) {
  let sum = 0;
  for (let at = 0; at < tokens; at++)
    sum += Math.log(Math.min(1, Math.max(1e-9, weights.reduce((all, row) => all + row[at], 0))));
  return factor * sum;
}

// The last words of n-grams of this size that would come a second time.
function repeats(ids, size) {
  const begun = ids.slice(ids.length - size + 1).join();
  const gram = at => ids.slice(at, at + size - 1).join() === begun;
  return size > ids.length ? [] : ids.slice(size - 1).filter((_, at) => gram(at));
}

// The best words of all that may follow a hypothesis, best first; where none may, it ends.
function allowed(row, ids, never, options, shortest) {
  const barred = new Set([...never, ...(options.no_repeat ? repeats(ids, options.no_repeat) : [])]);
  if (ids.length < shortest) barred.add(EOS);
  const words = Array.from(row.keys()).filter(word => row[word] > -Infinity && !barred.has(word));
  return words.length ? words.sort((a, b) => row[b] - row[a]).slice(0, options.beam) : [EOS];
}

// The continuations of the open hypotheses, best first: {parent, token, step, logProb}. scores hold the
// best words, or all: then chosen(row, ids) gives those that may follow.
function continuations(open, {logProbs, tokens}, diversity, chosen) {
  const found = open.flatMap((hypothesis, parent) => {
    const row = logProbs[parent];
    return (tokens?.[parent] ?? chosen(row, hypothesis.ids)).map((token, n) => {
      const step = row[tokens ? n : token], logProb = hypothesis.logProb + step;
      // Li, Monroe & Jurafsky 2016, eq. 3: the n-th child of a parent loses n.
      return {parent, token, step, logProb, rank: logProb - diversity * (n + 1)};
    });
  });
  // Words with probability 0 (entmax) are about 10,000 below the others: kept only where there are no others.
  const best = Math.max(...found.map(({rank}) => rank));
  return found.filter(({rank}) => rank > best - 5000).sort((a, b) => b.rank - a.rank);
}

// A hypothesis with one token more; the end is no token of its output.
function extended(open, weights, {parent, token, step, logProb}) {
  const before = open[parent];
  return {
    ids: token === EOS ? before.ids : [...before.ids, token],
    logProb,
    steps: [...before.steps, step],
    weights: weights && [...before.weights, weights[parent]],
  };
}

// The outputs of a source {ids, copies}, best first; at least one. options are those of
// dragoman.SearchOptions; pause is awaited before every step.
export async function search(network, {ids, copies}, options, pause = () => {}) {
  const {beam, n_best: wanted, coverage_penalty: factor, max_added: added} = options;
  const shortest = rounded(options.min_ratio * ids.length);
  const longest = Math.trunc(options.max_ratio * ids.length) + (added === "auto" ? 20 : added);
  const saysUnknown = options.unknown === "keep" || (options.unknown === "copy" && network.attends);
  const never = saysUnknown ? [PAD, BOS] : [PAD, BOS, UNK];
  const top = shortest > 0 || options.no_repeat > 0 ? 0 : beam;
  const chosen = (row, said) => allowed(row, said, never, options, shortest);
  let {memory, state} = await network.encode(ids, copies);
  let open = [{ids: [], logProb: 0, steps: [], weights: []}];
  const ended = [];
  while (open.length) {
    await pause();
    const last = open.map(hypothesis => hypothesis.ids.at(-1) ?? BOS);
    const scores = await network.step(last, state, memory, top, never);
    const found = continuations(open, scores, options.diversity, chosen);
    const parents = [], next = [], room = beam - ended.length;
    for (const one of found.slice(0, room)) {
      const made = extended(open, scores.weights, one), length = made.steps.length;
      const complete = one.token === EOS;
      if (complete || length > longest) {
        const covered = factor && made.weights ? coverage(made.weights, ids.length, factor) : 0;
        ended.push({...made, complete, score: normalized(made.logProb, length, options) + covered});
      } else {
        parents.push(one.parent);
        next.push(made);
      }
    }
    ended.sort((a, b) => b.score - a.score);
    // The best that can come of an open hypothesis is its log-probability at the greatest length.
    const bound = Math.max(...next.map(({logProb}) => normalized(logProb, longest + 1, options)));
    const done = ended.length >= wanted && bound <= ended[wanted - 1].score;
    state = select(scores.state, parents);
    open = done ? [] : next;
  }
  return ended.length ? ended : [NONE_FOUND];
}
