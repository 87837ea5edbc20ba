"""Makes a tokenizer: its steps from options, its vocabulary from text or a ``tokenizer.json``.

A file of unknown origin may hold any regular expression and any chain of replacements, which the
library would compile and run: endless time or memory. So only the vocabulary is taken from it, and
the options make the rest. The vocabulary must be plain: tokens without control characters, whose
ids are 0, 1, 2 ...
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from dragoman.config.options import SideOptions
from dragoman.data.invisible import INVISIBLE
from dragoman.data.tokenizer import BYTES, SPACE, SPECIAL, UNK, Tokenizer
from dragoman.errors import DataError, OptionError
from dragoman.files import parse_json, reading

_CONTROL = re.compile("[\0-\x1f\x7f]")
"""A token with one could end a line of output, or command a terminal."""
_PUNCTUATION = Regex(f"{SPACE}?[\\p{{P}}$+<=>^`|~]")
"""A punctuation mark is a token of its own and keeps the space before it: "va ?" -> "▁va" "▁?"."""


def train_tokenizer(
    texts: Iterable[str], options: SideOptions, side: str = "source", tags: Sequence[str] = ()
) -> Tokenizer:
    """Learn a vocabulary from ``texts``.

    Args:
        texts: the training text of one side (or of both, for a shared vocabulary).
        options: without ``"auto"``.
        side: whose options they are, for messages.
        tags: tokens of tags (:mod:`dragoman.data.tags`), which the vocabulary has besides.

    Raises:
        DataError: nothing is left of the text to learn from.
        OptionError: the vocabulary is too small.
    """
    size, level = options.vocabulary, options.level
    assert size != "auto" and level != "auto", "choose_level first"
    special = [*SPECIAL, *(BYTES if spells_bytes(options) else ())]
    if size <= len(special):
        cause = f"{size} tokens leave none to learn: {len(special)} are taken"
        raise OptionError(cause, place=f"{side}.vocabulary", cure="raise it")
    common: dict[str, Any] = {"vocab_size": size + len(tags), "show_progress": False}
    common["special_tokens"] = [*special, *tags]
    trainer: trainers.Trainer
    if level == "bpe":
        fewest, letters = max(2, options.min_count), max(1, size - len(special))
        trainer = trainers.BpeTrainer(**common, min_frequency=fewest, limit_alphabet=letters)
    elif level == "unigram":
        trainer = trainers.UnigramTrainer(**common, unk_token=SPECIAL[UNK])
    else:
        trainer = trainers.WordLevelTrainer(**common, min_frequency=options.min_count)
    backend = _untrained(options)
    try:
        backend.train_from_iterator(texts, trainer)
    except Exception as error:  # tokenizers raises plain Exception
        cause = f"no {level} vocabulary of {size} can be learned: {error}"
        raise OptionError(cause, cure="raise it, or choose another level") from error
    model = json.loads(backend.to_str())["model"]
    if level == "unigram":
        model["vocab"] = _in_order(model["vocab"], len(common["special_tokens"]))
    tokenizer = Tokenizer(_with_vocabulary(model, options))
    if len(tokenizer) <= len(special) + len(tags):
        raise DataError("no token is left to learn from", cure="see min_count and keep_only")
    return tokenizer


def _in_order(vocabulary: list[tuple[str, float]], special: int) -> list[tuple[str, float]]:
    """Order and round a unigram vocabulary, so that the same text always gives the same one.

    The library orders pieces of equal score by a hash that changes from run to run. The characters
    that it keeps only because they occur get scores from the lowest up, 0.0001 apart, in such an
    order. And it sums scores in several threads. Without this step equal runs would differ in their
    ids, and runs of several seeds would form no ensemble.
    """
    learned = vocabulary[special:]
    lowest = min(score for _, score in learned)
    kept = lowest + 0.0001 * sum(len(piece) == 1 for piece, _ in learned)
    scores = {p: lowest if len(p) == 1 and score < kept else score for p, score in learned}
    ordered = sorted((-round(score, 6), piece) for piece, score in scores.items())
    return [*vocabulary[:special], *((piece, -score) for score, piece in ordered)]


def load_tokenizer(path: Path, options: SideOptions) -> Tokenizer:
    """Read the vocabulary of a ``tokenizer.json``; ``options`` make everything else.

    Raises:
        FolderError: it cannot be read, is damaged, or was learned at another level.
    """
    with reading(path, "is not a tokenizer"):
        text = path.read_text(encoding="utf-8")
        model = parse_json(text)["model"]
        if model["type"] != type(_untrained(options).model).__name__:
            raise ValueError(f"its model is {model['type']!r}, the level is {options.level}")
        _check_vocabulary(model["vocab"], scored=options.level == "unigram")
        return Tokenizer(_with_vocabulary(model, options), text)


def _check_vocabulary(vocabulary: Any, *, scored: bool) -> None:
    """Check that ``{token: id}``, or ``[[token, score]]`` where it is ``scored``, is plain.

    Raises:
        ValueError: it is not, or does not begin with the special tokens.
    """
    if scored:
        tokens = [token for token, _ in vocabulary]
        plain = all(isinstance(score, float) and math.isfinite(score) for _, score in vocabulary)
    else:
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        plain = [vocabulary[token] for token in tokens] == list(range(len(tokens)))
    if not plain or not all(isinstance(t, str) and not _CONTROL.search(t) for t in tokens):
        raise ValueError("its vocabulary is not plain tokens with ids from 0 on")
    if tokens[: len(SPECIAL)] != list(SPECIAL):
        raise ValueError(f"its first tokens are not {' '.join(SPECIAL)}")


def build_normalizer(options: SideOptions) -> normalizers.Normalizer:
    """Build the steps that bring text to its normal form before it is cut into tokens.

    Order: Unicode form, invisible characters, accents, case, spaces around punctuation, characters
    outside ``keep_only``. Last, white space of every kind becomes single spaces, none at the ends.
    An option that is still "auto" does nothing, but a Unicode form that is "auto" is NFC.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class, or
            ``keep_invisible`` does not consist of code points.
    """
    name = "nfc" if options.unicode == "auto" else options.unicode
    form = [] if name == "none" else [getattr(normalizers, name.upper())()]
    steps = [*form, normalizers.Replace(Regex(_dropped(options.keep_invisible)), "")]
    if options.strip_accents:
        composed = form if name in ("nfc", "nfkc") else []
        steps += [normalizers.NFD(), normalizers.StripAccents(), *composed]
    if options.lowercase:
        steps += _lower(options.casing)
    for mark in dict.fromkeys(options.space_punctuation):
        steps.append(normalizers.Replace(mark, f" {mark} "))
    if kept := options.keep_only:
        try:
            # Only the inside of one class: more would let an option bring its own expression.
            if not re.fullmatch(r"(?:[^\[\]\\]|\\.)+", kept, re.DOTALL):
                raise ValueError("brackets within need a backslash")
            re.compile(f"[^{kept}]")
            steps.append(normalizers.Replace(Regex(f"[^{kept}]"), " "))
        except Exception as error:  # tokenizers raises plain Exception for its regex engine
            cause = f"{kept!r} is not a set of characters"
            raise OptionError(cause, place="keep_only", cure="such as 'a-zA-Z,.!?'") from error
    steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence(steps)


def _dropped(kept: str) -> str:
    """An expression for the invisible characters that are not ``kept`` (``U+200B U+00AD``)."""
    codes = [] if kept == "auto" else kept.split()
    if not all(re.fullmatch("U\\+[0-9A-F]{4}", code) for code in codes):
        cause, cure = f"{kept!r} does not consist of code points", "such as 'U+200B U+00AD'"
        raise OptionError(cause, place="keep_invisible", cure=cure)
    spared = "".join(f"{chr(int(code[2:], 16))}" for code in codes)
    return f"(?![{spared}])[{INVISIBLE}]" if codes else f"[{INVISIBLE}]"


def _lower(casing: str) -> list[normalizers.Normalizer]:
    """Lower-casing by a language's rules, for letters that Unicode's SpecialCasing treats apart."""
    steps: list[normalizers.Normalizer] = [normalizers.Lowercase()]
    if casing == "turkish":
        dotted = normalizers.Replace(Regex("İ|I\u0307"), "i")
        steps = [dotted, normalizers.Replace("I", "ı"), *steps]
    if casing == "greek":
        steps.append(normalizers.Replace(Regex("(?<=[\\p{L}\\p{M}])σ(?![\\p{L}\\p{M}])"), "ς"))
    if casing == "lithuanian":
        for composed, accent in zip("ìíĩ", "\u0300\u0301\u0303", strict=True):
            steps.append(normalizers.Replace(Regex(f"{composed}|i{accent}"), f"i\u0307{accent}"))
    return steps


def spells_bytes(options: SideOptions) -> bool:
    """Whether a character outside the vocabulary is spelt in UTF-8, one token a byte."""
    return options.byte_fallback is True and options.level in ("bpe", "unigram")


def _untrained(options: SideOptions) -> Backend:
    """A Hugging Face tokenizer with the steps that ``options`` ask for and no vocabulary.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class.
    """
    unknown = SPECIAL[UNK]
    subwords = {"bpe": models.BPE(unk_token=unknown), "unigram": models.Unigram()}
    backend = Backend(subwords.get(options.level, models.WordLevel(unk_token=unknown)))
    backend.normalizer = build_normalizer(options)
    if options.level == "char":
        backend.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
        backend.decoder = decoders.Fuse()
    elif options.level == "word" and not options.split_punctuation:
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # no decoder: spaces join words
    else:
        spaces = pre_tokenizers.Metaspace(SPACE, prepend_scheme="always")
        marks = pre_tokenizers.Split(_PUNCTUATION, "isolated")
        digits = pre_tokenizers.Digits(individual_digits=True)
        cuts = [spaces, marks] if options.level == "word" else [spaces, marks, digits]
        backend.pre_tokenizer = pre_tokenizers.Sequence(cuts)
        joins = decoders.Metaspace(SPACE, prepend_scheme="always")
        by_bytes = decoders.Sequence([decoders.ByteFallback(), joins])
        backend.decoder = by_bytes if spells_bytes(options) else joins
    return backend


def _with_vocabulary(model: dict[str, Any], options: SideOptions) -> Backend:
    """A tokenizer with the steps that ``options`` ask for and the vocabulary of ``model``.

    Special tokens are not "added" ones, which would be found inside user text.

    Args:
        model: the part of a ``tokenizer.json`` that is learned from text.
        options: decide everything else.
    """
    tree = json.loads(_untrained(options).to_str())
    tree["model"] |= {n: model[n] for n in ("vocab", "merges", "unk_id") if n in tree["model"]}
    tree["added_tokens"] = []
    if spells_bytes(options):
        tree["model"]["byte_fallback"] = True
    return Backend.from_str(json.dumps(tree, ensure_ascii=False, allow_nan=False))
