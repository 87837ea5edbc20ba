// Text in its normal form, and where each letter of it stood in the text as it was written.
//
// A text is {text, begins, ends}: the UTF-16 unit i of it comes from the written text's units from
// begins[i] up to, without, ends[i].

const SPACE = "\\p{White_Space}";
const CLASSES = {s: SPACE, S: "\\P{White_Space}", d: "\\p{Nd}", w: "\\p{L}\\p{M}\\p{N}\\p{Pc}"};
const PLAIN = /[^\p{L}\p{N}^$\\.*+?()[\]{}|/-]/u; // letters whose backslash says nothing

// A pattern of a tokenizer's file. Its expressions are Oniguruma's: there \s and its like know all
// of Unicode, and a backslash may stand before any letter.
export function expression({Regex: source, String: letters}) {
  if (letters !== undefined) return new RegExp(letters.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&"), "gu");
  const translated = source.replace("(?m:.)", ".")
    .replace(/\\(.)/gsu, (both, letter) => CLASSES[letter] ?? (PLAIN.test(letter) ? letter : both));
  return new RegExp(translated, "gsu");
}

// The steps of a normalizer: each is an expression, and what becomes of the text that it finds.
export function stepsOf(normalizer) {
  return normalizer.normalizers.map(({type, pattern, content}) => {
    if (type === "Replace") return [expression(pattern), () => content];
    if (type === "StripAccents") return [/\p{M}/gu, () => ""];
    if (type === "Strip") return [new RegExp(`^${SPACE}+|${SPACE}+$`, "gu"), () => ""];
    // Letter by letter: JavaScript's rule for a sigma at the end of a word is not the tokenizer's.
    if (type === "Lowercase") return [/./gsu, letter => letter.toLowerCase()];
    // A letter with what may be composed with it: marks, and the later parts of Korean syllables.
    if (/^NFK?[CD]$/.test(type)) return [/.[\p{M}\u1160-\u11ff]*/gsu, part => part.normalize(type)];
    throw new Error(`The tokenizer has a step ${type}, which this page does not know.`);
  });
}

function replaced({text, begins, ends}, [pattern, change]) {
  const made = {text: "", begins: [], ends: []};
  let done = 0;
  const add = (part, place) => {
    made.text += part;
    for (let i = 0; i < part.length; i++) {
      const [first, last] = place(i);
      made.begins.push(begins[first]);
      made.ends.push(ends[last]);
    }
  };
  const keep = until => add(text.slice(done, until), i => [done + i, done + i]);
  for (const {0: found, index} of text.matchAll(pattern)) {
    const other = change(found), after = index + found.length;
    if (other === found) continue;
    keep(index);
    // Spaces that become one stand where the last was: the others belong to the word before.
    const first = other.trim() ? index : after - 1;
    add(other, () => [first, after - 1]);
    done = after;
  }
  keep(text.length);
  return made;
}

// The normal form of a written text; half a surrogate pair becomes U+FFFD.
export function normalized(written, steps) {
  const text = written.replace(/\p{Cs}/gu, "\ufffd"), places = [...text.split("").keys()];
  return steps.reduce(replaced, {text, begins: places, ends: places.map(i => i + 1)});
}
