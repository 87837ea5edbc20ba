"""The steps of a tokenizer that options decide: normalising, cutting text and joining tokens."""

import json
import re
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from dragoman.config.options import SideOptions
from dragoman.data.invisible import INVISIBLE
from dragoman.data.tokenizer import BYTES, SPACE, SPECIAL, UNK
from dragoman.errors import OptionError

_FORMS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}
_PUNCTUATION = Regex(f"{SPACE}?[\\p{{P}}$+<=>^`|~]")
"""A punctuation mark is a token of its own and keeps the space before it: "va ?" -> "▁va" "▁?"."""


def spells_bytes(options: SideOptions) -> bool:
    """Whether a character outside the vocabulary is spelt in UTF-8, one token a byte."""
    return options.byte_fallback is True and options.level in ("bpe", "unigram")


def special_tokens(options: SideOptions) -> list[str]:
    """The tokens that are not learned."""
    return [*SPECIAL, *(BYTES if spells_bytes(options) else ())]


def build_normalizer(options: SideOptions) -> normalizers.Normalizer:
    """Build the steps that bring text to its normal form before it is cut into tokens.

    Order: Unicode form, invisible characters, accents, case, spaces around punctuation, characters
    outside ``keep_only``. Last, white space of every kind becomes single spaces, none at the ends.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class.
    """
    steps: list[normalizers.Normalizer] = []
    if options.unicode in _FORMS:
        steps.append(_FORMS[options.unicode]())
    steps.append(normalizers.Replace(Regex(f"[{INVISIBLE}]"), ""))
    if options.strip_accents:
        steps += [normalizers.NFD(), normalizers.StripAccents()]
        if options.unicode in ("nfc", "nfkc"):
            steps.append(_FORMS[options.unicode]())
    if options.lowercase:
        steps.append(normalizers.Lowercase())
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


def untrained(options: SideOptions) -> Tokenizer:
    """A Hugging Face tokenizer with the steps that ``options`` ask for and no vocabulary.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class.
    """
    unknown = SPECIAL[UNK]
    if options.level == "bpe":
        backend = Tokenizer(models.BPE(unk_token=unknown))
    elif options.level == "unigram":
        backend = Tokenizer(models.Unigram())
    else:
        backend = Tokenizer(models.WordLevel(unk_token=unknown))
    backend.normalizer = build_normalizer(options)
    if options.level == "char":
        backend.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
        backend.decoder = decoders.Fuse()
        return backend
    if options.level == "word" and not options.split_punctuation:
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # no decoder: spaces join words
        return backend
    cuts = [
        pre_tokenizers.Metaspace(SPACE, prepend_scheme="always"),
        pre_tokenizers.Split(_PUNCTUATION, "isolated"),
    ]
    if options.level != "word":
        cuts.append(pre_tokenizers.Digits(individual_digits=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence(cuts)
    spaces = decoders.Metaspace(SPACE, prepend_scheme="always")
    by_bytes = decoders.Sequence([decoders.ByteFallback(), spaces])
    backend.decoder = by_bytes if spells_bytes(options) else spaces
    return backend


def with_vocabulary(model: dict[str, Any], options: SideOptions) -> Tokenizer:
    """A tokenizer with the steps that ``options`` ask for and the vocabulary of ``model``.

    Special tokens are not "added" ones, which would be found inside user text.

    Args:
        model: the part of a ``tokenizer.json`` that is learned from text.
        options: decide everything else.
    """
    tree = json.loads(untrained(options).to_str())
    learned = {name: model[name] for name in ("vocab", "merges", "unk_id") if name in tree["model"]}
    tree["model"] |= learned
    tree["added_tokens"] = []
    if spells_bytes(options):
        tree["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(tree, ensure_ascii=False, allow_nan=False))
