"""Text to ids and back, at word, character, BPE or unigram level.

A tokenizer is one Hugging Face ``tokenizer.json``, so that the same file works in Python, Rust
and JavaScript. Word and subword tokens carry the space before them as ``▁`` (as SentencePiece
does), so that text comes back as it was, without rules of detokenisation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from dragoman.config import SideOptions
from dragoman.data.normalizer import build_normalizer
from dragoman.data.tokenizer_file import OWN, Tree, checked
from dragoman.errors import DataError, DragomanError, FolderError, OptionError

Ids = npt.NDArray[np.int32]

PAD, UNK, BOS, EOS = range(4)
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")

_MARK = "▁"
# A punctuation mark is a token of its own and keeps the space before it: "va ?" -> "▁va" "▁?"
_PUNCTUATION = Regex(f"{_MARK}?[\\p{{P}}$+<=>^`|~]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS_PER_SUBWORD = 60
"""Running words of training text for each subword of the vocabulary, when it is "auto"."""


class Tokenizer:
    """Turns text into ids and ids into text; see the module's docstring.

    Args:
        backend: a Hugging Face tokenizer whose first four tokens are those of ``SPECIAL``.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __len__(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=False)

    def normalize(self, text: str) -> str:
        """The text as the model sees it."""
        return str(self._backend.normalizer.normalize_str(text))

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of each text, without begin and end tokens; empty where nothing is left of it."""
        encodings = self._backend.encode_batch_fast(
            [without_surrogates(text) for text in texts], add_special_tokens=False
        )
        rows = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        for ids in rows:
            # Text that spells "<s>" is text, not a command.
            ids[ids <= EOS] = UNK
        return rows

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in ``text`` each of its tokens stands: first character, and the one after it."""
        encoding = self._backend.encode(without_surrogates(text), add_special_tokens=False)
        return list(encoding.offsets)

    def pieces(self, text: str) -> list[str]:
        """The tokens of ``text`` as text, unknown ones included; at word and character level."""
        normal = self._backend.normalizer.normalize_str(text)
        return [piece for piece, _ in self._backend.pre_tokenizer.pre_tokenize_str(normal)]

    def token_id(self, piece: str) -> int | None:
        """The id of a token; None when it is not in the vocabulary."""
        found = self._backend.token_to_id(piece)
        return None if found is None or found <= EOS else int(found)

    def decode(self, ids: Iterable[int], copied: Sequence[str] = ()) -> str:
        """Text of ``ids``; the special tokens say nothing, but for the unknown word's ``<unk>``.

        ``copied`` are the words of the ids from the vocabulary's size on.
        """
        return self.join(self.tokens((i for i in ids if i > EOS or i == UNK), copied))

    def join(self, tokens: Sequence[str]) -> str:
        """The text that tokens spell."""
        decoder = self._backend.decoder
        return str(decoder.decode(list(tokens)) if decoder else " ".join(tokens)).strip()

    def as_token(self, word: str, *, apart: bool) -> str:
        """A word outside the vocabulary as a token; ``apart``: a space stands before it."""
        spaced = apart and isinstance(self._backend.decoder, decoders.Metaspace)
        return f"{_MARK}{word}" if spaced else word

    def tokens(self, ids: Iterable[int], copied: Sequence[str] = ()) -> list[str]:
        """The token of each id, as it stands in the vocabulary or among the words ``copied``."""
        known = len(self)
        return [
            copied[int(i) - known]
            if 0 <= int(i) - known < len(copied)
            else str(self._backend.id_to_token(int(i)) or SPECIAL[UNK])
            for i in ids
        ]

    @cached_property
    def texts(self) -> list[str]:
        """The text of every token, a space before it as ``▁``; nothing for the special ones."""
        mark = "" if self._backend.decoder else _MARK  # words without a mark are joined by spaces
        tokens = self.tokens(range(len(self)))
        return ["" if i <= EOS else mark + token for i, token in enumerate(tokens)]

    @cached_property
    def starts(self) -> frozenset[int] | None:
        """Tokens that begin a word or a mark, the end among them; None where every token does."""
        if not isinstance(self._backend.model, (models.BPE, models.Unigram)):
            return None
        return frozenset(i for i, text in enumerate(self.texts) if not text[:1].isalnum())

    def to_json(self) -> str:
        """The whole tokenizer as Hugging Face's ``tokenizer.json``."""
        return str(self._backend.to_str(pretty=False))

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_json`: equal digests, equal tokenizers."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a ``tokenizer.json``.

        Raises:
            FolderError: it cannot be read, is damaged, or lacks the special tokens.
        """
        try:
            backend = Backend.from_str(checked(path.read_text(encoding="utf-8"), *_ours()))
        except OSError as error:
            raise FolderError(f"cannot be read: {error.strerror}", place=str(path)) from error
        except Exception as error:  # tokenizers raises plain Exception
            raise FolderError(
                f"is not a tokenizer: {error}", place=str(path), cure="copy the folder again"
            ) from error
        if tuple(backend.id_to_token(i) for i in range(4)) != SPECIAL:
            raise FolderError(
                f"is not one of Dragoman's: its first tokens are not {' '.join(SPECIAL)}",
                place=str(path),
            )
        return cls(backend)


@dataclass(slots=True)
class TextStatistics:
    """What :func:`choose_level` must know of one side's text."""

    lines: int
    words: int
    """Running words, split at white space."""
    distinct: int
    """Different words."""
    characters: int = 0

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextStatistics:
        """Count in one pass."""
        words: Counter[str] = Counter()
        lines = characters = 0
        for text in texts:
            lines += 1
            characters += len(text)
            words.update(text.split())
        return cls(lines, words.total(), len(words), characters)


def choose_level(options: SideOptions, statistics: TextStatistics) -> SideOptions:
    """Put a level and a size in the place of ``"auto"``.

    One word a line is spelt (characters), and so is a script that sets no spaces; up to 200
    different words, or up to 1,500 that each return often, are kept whole; everything else is cut
    into subwords, about one for every 60 running words.
    """
    level, vocabulary = options.level, options.vocabulary
    if level == "auto":
        often = statistics.words / max(1, statistics.distinct)
        clauses = statistics.characters > 20 * statistics.words
        if clauses or statistics.words < 1.5 * statistics.lines:
            level = "char"
        elif statistics.distinct <= 200 or (statistics.distinct <= 1500 and often >= 50):
            level = "word"
        else:
            level = "bpe"
    if vocabulary == "auto":
        subwords = min(8000, max(500, statistics.words // _WORDS_PER_SUBWORD // 100 * 100))
        vocabulary = subwords if level in ("bpe", "unigram") else 50_000
    return replace(options, level=level, vocabulary=vocabulary)


def train_tokenizer(texts: Iterable[str], options: SideOptions) -> Tokenizer:
    """Learn a vocabulary from ``texts``.

    Args:
        texts: the training text of one side (or of both, for a shared vocabulary).
        options: without ``"auto"``.

    Raises:
        DataError: nothing is left of the text to learn from.
    """
    vocabulary, level = options.vocabulary, options.level
    assert vocabulary != "auto" and level != "auto", "choose_level first"
    backend = Backend(_model(level))
    backend.normalizer = build_normalizer(options)
    backend.pre_tokenizer, decoder = _cutting(options)
    if decoder is not None:
        backend.decoder = decoder
    try:
        backend.train_from_iterator(texts, _trainer(options, vocabulary))
    except (DragomanError, OSError):
        raise
    except Exception as error:  # tokenizers raises plain Exception
        raise OptionError(
            f"no {level} vocabulary of {vocabulary} can be learned: {error}",
            cure="raise the vocabulary, or choose another level",
        ) from error
    # The trainer registers the special tokens as "added", which would be found inside user text.
    backend = _without_added_tokens(backend)
    tokenizer = Tokenizer(backend)
    if len(tokenizer) <= len(SPECIAL):
        raise DataError(
            "no token is left to learn from", cure="lower min_count, or look at keep_only"
        )
    return tokenizer


def _model(level: str) -> models.Model:
    if level == "bpe":
        return models.BPE(unk_token=SPECIAL[UNK])
    if level == "unigram":
        return models.Unigram()
    return models.WordLevel(unk_token=SPECIAL[UNK])


def _trainer(options: SideOptions, vocabulary: int) -> trainers.Trainer:
    special = list(SPECIAL)
    if options.level == "bpe":
        return trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=special, show_progress=False,
            min_frequency=max(2, options.min_count),
            limit_alphabet=max(1, vocabulary - len(special)),
        )  # fmt: skip
    if options.level == "unigram":
        return trainers.UnigramTrainer(
            vocab_size=vocabulary, special_tokens=special, show_progress=False,
            unk_token=SPECIAL[UNK],
        )  # fmt: skip
    return trainers.WordLevelTrainer(
        vocab_size=vocabulary, special_tokens=special, show_progress=False,
        min_frequency=options.min_count,
    )  # fmt: skip


def _cutting(
    options: SideOptions,
) -> tuple[pre_tokenizers.PreTokenizer, decoders.Decoder | None]:
    """Where text may be cut, and how tokens are joined again."""
    if options.level == "char":
        return pre_tokenizers.Split(Regex("(?m:.)"), "isolated"), decoders.Fuse()
    if options.level == "word" and not options.split_punctuation:
        return pre_tokenizers.WhitespaceSplit(), None  # joined by spaces
    steps = [
        pre_tokenizers.Metaspace(_MARK, prepend_scheme="always"),
        pre_tokenizers.Split(_PUNCTUATION, "isolated"),
    ]
    if options.level != "word":
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    return pre_tokenizers.Sequence(steps), decoders.Metaspace(_MARK, prepend_scheme="always")


@cache
def _ours() -> tuple[list[Tree], list[Tree]]:
    """How our tokenizers cut and join, and their models without a vocabulary: as JSON."""
    cuts, models = [], []
    for level, split in (("char", True), ("word", True), ("word", False), ("bpe", True)):
        backend = Backend(_model("word"))
        options = SideOptions(level=level, split_punctuation=split)  # type: ignore[arg-type]
        backend.pre_tokenizer, decoder = _cutting(options)
        if decoder is not None:
            backend.decoder = decoder
        tree = json.loads(backend.to_str())
        cuts.append({name: tree[name] for name in ("pre_tokenizer", "decoder")})
    for level in ("word", "bpe", "unigram"):
        model = json.loads(Backend(_model(level)).to_str())["model"]
        models.append({name: value for name, value in model.items() if name not in OWN})
    return cuts, models


def without_surrogates(text: str) -> str:
    """Half a character, as text of another encoding leaves it behind, reads as U+FFFD."""
    return text if text.isprintable() else _SURROGATE.sub("\ufffd", text)


def _without_added_tokens(backend: Backend) -> Backend:
    tree = json.loads(backend.to_str())
    tree["added_tokens"] = []
    return Backend.from_str(json.dumps(tree, ensure_ascii=False))
