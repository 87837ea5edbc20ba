"""The steps of a tokenizer that options decide: normalising, cutting text and joining tokens."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from dragoman.config.options import SideOptions
from dragoman.data.normalizer import build_normalizer
from dragoman.data.tokenizer import BYTES, SPACE, SPECIAL, UNK

_PUNCTUATION = Regex(f"{SPACE}?[\\p{{P}}$+<=>^`|~]")
"""A punctuation mark is a token of its own and keeps the space before it: "va ?" -> "▁va" "▁?"."""


def spells_bytes(options: SideOptions) -> bool:
    """Whether a character outside the vocabulary is spelt in UTF-8, one token a byte."""
    return options.byte_fallback is True and options.level in ("bpe", "unigram")


def special_tokens(options: SideOptions) -> list[str]:
    """The tokens that are not learned."""
    return [*SPECIAL, *(BYTES if spells_bytes(options) else ())]


def untrained(options: SideOptions) -> Tokenizer:
    """A Hugging Face tokenizer with the steps that ``options`` ask for and no vocabulary.

    Raises:
        OptionError: ``keep_only`` is not the inside of a regular-expression class.
    """
    backend = Tokenizer(_model(options.level))
    backend.normalizer = build_normalizer(options)
    backend.pre_tokenizer, decoder = _cutting(options)
    if decoder is not None:
        backend.decoder = decoder
    return backend


def _model(level: str) -> models.Model:
    if level == "bpe":
        return models.BPE(unk_token=SPECIAL[UNK])
    if level == "unigram":
        return models.Unigram()
    return models.WordLevel(unk_token=SPECIAL[UNK])


def _cutting(options: SideOptions) -> tuple[pre_tokenizers.PreTokenizer, decoders.Decoder | None]:
    """Where text may be cut, and how tokens are joined again; None: by spaces."""
    if options.level == "char":
        return pre_tokenizers.Split(Regex("(?m:.)"), "isolated"), decoders.Fuse()
    if options.level == "word" and not options.split_punctuation:
        return pre_tokenizers.WhitespaceSplit(), None
    steps = [
        pre_tokenizers.Metaspace(SPACE, prepend_scheme="always"),
        pre_tokenizers.Split(_PUNCTUATION, "isolated"),
    ]
    if options.level != "word":
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    spaces = decoders.Metaspace(SPACE, prepend_scheme="always")
    if spells_bytes(options):
        return pre_tokenizers.Sequence(steps), decoders.Sequence([decoders.ByteFallback(), spaces])
    return pre_tokenizers.Sequence(steps), spaces
