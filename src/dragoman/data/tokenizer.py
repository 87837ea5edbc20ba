"""Text to ids and back, at word, character, BPE or unigram level.

A tokenizer is one Hugging Face ``tokenizer.json``, so that the same file works in Python, Rust
and JavaScript. Word and subword tokens carry the space before them as ``▁`` (as SentencePiece
does), so that text comes back as it was, without rules of detokenisation. Where subwords fall back
to bytes, a character outside the vocabulary is spelt in UTF-8, one token ``<0x..>`` a byte.
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

from dragoman.config.options import SideOptions
from dragoman.data.normalizer import build_normalizer
from dragoman.data.tokenizer_file import OWN, Tree, checked
from dragoman.errors import DataError, DragomanError, FolderError, OptionError

Ids = npt.NDArray[np.int32]

PAD, UNK, BOS, EOS = range(4)
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(0x21, 0x100) if byte != 0x7F)
"""No space, which is ``▁``, and no control characters: those stay unknown."""

_MARK = "▁"
# A punctuation mark is a token of its own and keeps the space before it: "va ?" -> "▁va" "▁?"
_PUNCTUATION = Regex(f"{_MARK}?[\\p{{P}}$+<=>^`|~]")
_BYTE = re.compile("<0x([0-9A-F]{2})>")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What could end a line of output, or command a terminal."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES_FROM = 1000
"""The smallest vocabulary that has bytes when nobody asked for them."""
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
        spans = list(encoding.offsets)
        run, at = (0, 0), 0  # unigram: one span for all bytes of several characters
        for n, i in enumerate(encoding.ids):
            if byte := self._bytes.get(i):
                at = spans[n][0] if spans[n] != run else at + (byte & 0xC0 != 0x80)
                run = spans[n]
                spans[n] = min(at, run[1] - 1), min(at + 1, run[1])
            else:
                run = 0, 0
        return spans

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
        text = str(decoder.decode(list(tokens)) if decoder else " ".join(tokens)).strip()
        return _CONTROL.sub("\ufffd", text) if self._bytes else text

    def as_token(self, word: str, *, apart: bool) -> str:
        """A word outside the vocabulary as a token; ``apart``: a space stands before it."""
        spaced = apart and isinstance(
            self._backend.decoder, (decoders.Metaspace, decoders.Sequence)
        )
        return f"{_MARK}{word}" if spaced else word

    def tokens(self, ids: Iterable[int], copied: Sequence[str] = ()) -> list[str]:
        """The token of each id, as it stands in the vocabulary or among the words ``copied``."""
        words, own = self._vocabulary, dict(enumerate(copied, len(self)))
        return [
            words[i] if 0 <= i < len(words) else own.get(i, SPECIAL[UNK]) for i in map(int, ids)
        ]

    @cached_property
    def _vocabulary(self) -> list[str]:
        """Every token: to ask the library for each one again is a tenth of a greedy search."""
        return [str(self._backend.id_to_token(i) or SPECIAL[UNK]) for i in range(len(self))]

    @cached_property
    def texts(self) -> list[str]:
        """The text of every token, a space before it as ``▁``; nothing for the special ones.

        A byte that is no character by itself stands as its token.
        """
        mark = "" if self._backend.decoder else _MARK  # words without a mark are joined by spaces
        texts = [mark + token for token in self.tokens(range(len(self)))]
        letters = {i: chr(byte) for i, byte in self._bytes.items() if byte < 0x80}
        return ["" if i <= EOS else letters.get(i, text) for i, text in enumerate(texts)]

    @cached_property
    def _bytes(self) -> dict[int, int]:
        """The byte of each token that is one; none where characters may be unknown."""
        if not isinstance(self._backend.decoder, decoders.Sequence):
            return {}
        matches = ((i, _BYTE.fullmatch(token)) for token, i in self._backend.get_vocab().items())
        return {i: int(match[1], 16) for i, match in matches if match}

    @cached_property
    def starts(self) -> frozenset[int] | None:
        """Tokens that begin a word or a mark, the end among them; None where every token does."""
        if not isinstance(self._backend.model, (models.BPE, models.Unigram)):
            return None
        texts = enumerate(self.texts)  # before a byte at a word's beginning a mark stands alone
        return frozenset(i for i, t in texts if not (t[:1].isalnum() or i in self._bytes))

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
    into subwords, about one for every 60 running words, and bytes for what these cannot spell.
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
    fallback = level in ("bpe", "unigram") and options.byte_fallback
    if fallback == "auto":
        fallback = vocabulary == "auto" or vocabulary >= _BYTES_FROM
    if vocabulary == "auto":
        subwords = min(8000, max(500, statistics.words // _WORDS_PER_SUBWORD // 100 * 100))
        subwords += len(BYTES) if fallback else 0
        vocabulary = subwords if level in ("bpe", "unigram") else 50_000
    return replace(options, level=level, vocabulary=vocabulary, byte_fallback=fallback)


def train_tokenizer(texts: Iterable[str], options: SideOptions, side: str = "source") -> Tokenizer:
    """Learn a vocabulary from ``texts``.

    Args:
        texts: the training text of one side (or of both, for a shared vocabulary).
        options: without ``"auto"``.
        side: whose options they are, for messages.

    Raises:
        DataError: nothing is left of the text to learn from.
        OptionError: the vocabulary is too small.
    """
    vocabulary, level = options.vocabulary, options.level
    assert vocabulary != "auto" and level != "auto", "choose_level first"
    if vocabulary <= (taken := len(_special(options))):
        raise OptionError(
            f"{vocabulary} tokens leave none to learn: {taken} are taken",
            place=f"{side}.vocabulary",
            cure="raise it, or turn byte_fallback off",
        )
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
    tokenizer = Tokenizer(_finished(backend, options))
    if len(tokenizer) <= len(_special(options)):
        raise DataError(
            "no token is left to learn from", cure="lower min_count, or look at keep_only"
        )
    return tokenizer


def _spells_bytes(options: SideOptions) -> bool:
    return options.byte_fallback is True and options.level in ("bpe", "unigram")


def _special(options: SideOptions) -> list[str]:
    """The tokens that are not learned."""
    return [*SPECIAL, *(BYTES if _spells_bytes(options) else ())]


def _model(level: str) -> models.Model:
    if level == "bpe":
        return models.BPE(unk_token=SPECIAL[UNK])
    if level == "unigram":
        return models.Unigram()
    return models.WordLevel(unk_token=SPECIAL[UNK])


def _trainer(options: SideOptions, vocabulary: int) -> trainers.Trainer:
    special = _special(options)
    if options.level == "bpe":
        return trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            show_progress=False,
            min_frequency=max(2, options.min_count),
            limit_alphabet=max(1, vocabulary - len(special)),
        )
    if options.level == "unigram":
        return trainers.UnigramTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            show_progress=False,
            unk_token=SPECIAL[UNK],
        )
    return trainers.WordLevelTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        show_progress=False,
        min_frequency=options.min_count,
    )


def _cutting(options: SideOptions) -> tuple[pre_tokenizers.PreTokenizer, decoders.Decoder | None]:
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
    spaces = decoders.Metaspace(_MARK, prepend_scheme="always")
    if _spells_bytes(options):
        return pre_tokenizers.Sequence(steps), decoders.Sequence([decoders.ByteFallback(), spaces])
    return pre_tokenizers.Sequence(steps), spaces


@cache
def _ours() -> tuple[list[Tree], list[Tree]]:
    """How our tokenizers cut and join, and their models without a vocabulary: as JSON."""
    cuts, models = [], []
    for options in (
        SideOptions(level="char"),
        SideOptions(level="word"),
        SideOptions(level="bpe"),
        SideOptions(level="word", split_punctuation=False),
        SideOptions(level="bpe", byte_fallback=True),
    ):
        backend = Backend(_model("word"))
        backend.pre_tokenizer, decoder = _cutting(options)
        if decoder is not None:
            backend.decoder = decoder
        tree = json.loads(backend.to_str())
        cuts.append({name: tree[name] for name in ("pre_tokenizer", "decoder")})
    for level in ("word", "bpe", "unigram"):
        model = json.loads(Backend(_model(level)).to_str())["model"]
        own = {name: value for name, value in model.items() if name not in OWN}
        models += [own, own | {"byte_fallback": True}] if "byte_fallback" in own else [own]
    return cuts, models


def without_surrogates(text: str) -> str:
    """Half a character, as text of another encoding leaves it behind, reads as U+FFFD."""
    return text if text.isprintable() else _SURROGATE.sub("\ufffd", text)


def _finished(backend: Backend, options: SideOptions) -> Backend:
    """Without the special tokens as "added" ones, which would be found inside user text."""
    tree = json.loads(backend.to_str())
    tree["added_tokens"] = []
    if _spells_bytes(options):  # a trainer does not keep it
        tree["model"]["byte_fallback"] = True
    return Backend.from_str(json.dumps(tree, ensure_ascii=False))
