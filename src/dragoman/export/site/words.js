// How a word is cut into tokens of a vocabulary: whole, by merges (BPE), or as the most probable
// sequence (unigram). Each gives a list of {id, size}, size in UTF-16 units.

export const UNK = 1;

const code = byte => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

// A text that is no token: the bytes of its letters where each byte is one, else the unknown token.
// Each byte has the size of its letter; more: another byte of the same letter follows.
function spelled(text, ids, hasBytes) {
  const encoder = new TextEncoder();
  const bytes = hasBytes ? Array.from(text).flatMap(letter => {
    const found = Array.from(encoder.encode(letter), byte => ids.get(code(byte)));
    return found.map((id, n) => ({id, size: letter.length, more: n < found.length - 1}));
  }) : [];
  const known = bytes.length && bytes.every(({id}) => id !== undefined);
  return known ? bytes : [{id: UNK, size: text.length}];
}

function wholeWords({vocab}) {
  const ids = new Map(Object.entries(vocab));
  return word => [{id: ids.get(word) ?? UNK, size: word.length}];
}

function merges({vocab, merges, byte_fallback}) {
  const ids = new Map(Object.entries(vocab));
  const pair = (one, other) => `${one} ${other}`; // no token holds a space
  const ranks = new Map(merges.map((both, rank) => [Array.isArray(both) ? pair(...both) : both, rank]));
  return word => {
    const parts = Array.from(word);
    for (;;) {
      let best = Infinity, place = 0;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = ranks.get(pair(parts[i], parts[i + 1])) ?? Infinity;
        if (rank < best) [best, place] = [rank, i];
      }
      if (best === Infinity) break;
      parts.splice(place, 2, parts[place] + parts[place + 1]);
    }
    return parts.flatMap(part => ids.has(part) ? [{id: ids.get(part), size: part.length}]
      : spelled(part, ids, byte_fallback));
  };
}

// Viterbi's search (Kudo 2018): the sequence with the largest sum of scores. Letters of no token
// have 10 less than the lowest score, and those side by side are one unknown text.
function likeliest({vocab, byte_fallback}) {
  const ids = new Map(vocab.map(([token], id) => [token, id]));
  const longest = Math.max(...vocab.map(([token]) => Array.from(token).length));
  const unknown = Math.min(...vocab.map(([, score]) => score)) - 10;
  return word => {
    const letters = Array.from(word);
    const best = [{score: 0}];
    const offer = (end, one) => { if (!best[end] || one.score > best[end].score) best[end] = one };
    for (let from = 0; from < letters.length; from++) {
      let text = "", single = false;
      for (let end = from + 1; end <= Math.min(letters.length, from + longest); end++) {
        text += letters[end - 1];
        const id = ids.get(text);
        if (id === undefined) continue;
        offer(end, {from, id, text, score: best[from].score + vocab[id][1]});
        single ||= end === from + 1;
      }
      if (!single)
        offer(from + 1, {from, id: UNK, text: letters[from], score: best[from].score + unknown});
    }
    const found = [];
    for (let end = letters.length; end > 0; end = best[end].from) {
      const {id, text} = best[end], after = found.at(-1);
      if (id === UNK && after?.id === UNK) after.text = text + after.text;
      else found.push({id, text});
    }
    return found.reverse().flatMap(({id, text}) => id === UNK ? spelled(text, ids, byte_fallback)
      : [{id, size: text.length}]);
  };
}

// The function that cuts words as a tokenizer's model says.
export const wordCutter = model => ({WordLevel: wholeWords, BPE: merges, Unigram: likeliest})[model.type](model);

// The tokens of a vocabulary by id.
export const tokensOf = ({type, vocab}) => type === "Unigram" ? vocab.map(([token]) => token)
  : Object.entries(vocab).reduce((found, [token, id]) => { found[id] = token; return found }, []);
