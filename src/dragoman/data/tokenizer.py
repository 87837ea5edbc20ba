"""Text to ids and back, at word, character, BPE or unigram level.

A tokenizer is one Hugging Face ``tokenizer.json``, so that the same file works in Python, Rust
and JavaScript. Word and subword tokens carry the space before them as ``▁`` (as SentencePiece
does), so that text comes back as it was, without rules of detokenisation. Where subwords fall back
to bytes, a character outside the vocabulary is spelt in UTF-8, one token ``<0x..>`` a byte.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from dragoman.data.tags import Cut, Tags

Ids = npt.NDArray[np.int32]

PAD, UNK, BOS, EOS = range(4)
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(0x21, 0x100) if byte != 0x7F)
"""Byte tokens: none for the space, which is ``▁``; control characters stay unknown."""
SPACE = "▁"
"""Stands for the space before a token."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What could end a line of output, or command a terminal."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer:
    """Turns text into ids and ids into text; see the module's docstring.

    Attributes:
        json: the whole tokenizer as Hugging Face's ``tokenizer.json``.
        tags: those of the vocabulary; what a text has of them is taken from it before all else.

    Args:
        backend: a Hugging Face tokenizer whose first four tokens are those of ``SPECIAL``.
        text: the file that it was read from; its digest stays the same when a newer library
            would write it otherwise.
    """

    def __init__(self, backend: Backend, text: str = "") -> None:
        self._backend = backend
        self.json = text or str(backend.to_str(pretty=False))
        self.tags = Tags(backend.get_vocab(with_added_tokens=False))

    def __len__(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=False)

    @property
    def made(self) -> str:
        """The ``tokenizer.json`` of what is used, where ``json`` is the file that was read."""
        return str(self._backend.to_str())

    def normalize(self, text: str) -> str:
        """The text as the model sees it: its tags, then its words."""
        cut, words = self._cut(text)
        return _joined(cut.tags, str(self._backend.normalizer.normalize_str(words)))

    def _cut(self, text: str) -> tuple[Cut, str]:
        """Where the tags of a text are, and the rest of it."""
        text = without_surrogates(text)
        cut = self.tags.cut(text)
        return cut, text[cut.start : cut.end]

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of each text, without begin and end tokens; empty where nothing is left of it."""
        cuts = list(map(self._cut, texts)) if self.tags else []
        words = [words for _, words in cuts] or list(map(without_surrogates, texts))
        encodings = self._backend.encode_batch_fast(words, add_special_tokens=False)
        rows = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        for ids in rows:
            # Text that spells "<s>" must not become the begin token.
            ids[ids <= EOS] = UNK
        for row, (cut, _) in enumerate(cuts):
            if cut.tags and len(rows[row]):
                tags = [self._backend.token_to_id(tag) for tag in cut.tags]
                rows[row] = np.array([*tags, *rows[row]], np.int32)
        return rows

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where in ``text`` each of its tokens stands: first character, and the one after it."""
        cut, words = self._cut(text)
        encoding = self._backend.encode(words, add_special_tokens=False)
        spans = [(cut.start + first, cut.start + end) for first, end in encoding.offsets]
        run, at = (0, 0), 0  # unigram: one span for all bytes of several characters
        for n, i in enumerate(encoding.ids):
            if byte := self._bytes.get(i):
                at = spans[n][0] if spans[n] != run else at + (byte & 0xC0 != 0x80)
                run = spans[n]
                spans[n] = min(at, run[1] - 1), min(at + 1, run[1])
            else:
                run = 0, 0
        return [*cut.spans, *spans] if spans else []

    def pieces(self, text: str) -> list[str]:
        """The tokens of ``text`` as text, unknown ones included; at word and character level."""
        cut, words = self._cut(text)
        words = self._backend.normalizer.normalize_str(words)
        pieces = [piece for piece, _ in self._backend.pre_tokenizer.pre_tokenize_str(words)]
        return [*cut.tags, *pieces] if pieces else []

    def token_id(self, piece: str) -> int | None:
        """The id of a token; None when it is not in the vocabulary."""
        found = self._backend.token_to_id(piece)
        return None if found is None or found <= EOS else int(found)

    def decode(self, ids: Iterable[int], copied: Sequence[str] = ()) -> str:
        """Text of ``ids``; of the special tokens only the unknown word's is shown, as ``<unk>``.

        ``copied`` are the words of the ids from the vocabulary's size on.
        """
        shown = [int(i) for i in ids if i > EOS or i == UNK]
        tags = [self._tags[i] for i in shown if i in self._tags]
        words = self.join(self.tokens((i for i in shown if i not in self._tags), copied))
        return _joined(tags, words)

    def join(self, tokens: Sequence[str]) -> str:
        """The text that tokens spell."""
        decoder = self._backend.decoder
        text = str(decoder.decode(list(tokens)) if decoder else " ".join(tokens)).strip()
        return _CONTROL.sub("\ufffd", text) if self._bytes else text

    def as_token(self, word: str, *, apart: bool) -> str:
        """A word outside the vocabulary as a token; ``apart``: a space stands before it."""
        carry_spaces = isinstance(self._backend.decoder, decoders.Metaspace | decoders.Sequence)
        return f"{SPACE}{word}" if apart and carry_spaces else word

    def tokens(self, ids: Iterable[int], copied: Sequence[str] = ()) -> list[str]:
        """The token of each id, as it stands in the vocabulary or among the words ``copied``.

        A tag stands as itself, without its column.
        """
        known, beyond = self._vocabulary, dict(enumerate(copied, len(self)))
        return [beyond.get(i) or known.get(i, SPECIAL[UNK]) for i in map(int, ids)]

    @cached_property
    def _vocabulary(self) -> dict[int, str]:
        """Every token, kept here: asking the library each time takes a tenth of a greedy search."""
        known = {i: str(self._backend.id_to_token(i) or SPECIAL[UNK]) for i in range(len(self))}
        return known | {i: token.split()[1] for i, token in self._tags.items()}

    @cached_property
    def _tags(self) -> dict[int, str]:
        """The tokens of the tags by their ids."""
        ids = self._backend.get_vocab(with_added_tokens=False)
        return {ids[token]: token for token in self.tags.tokens}

    @cached_property
    def texts(self) -> list[str]:
        """The text of every token, a space before it as ``▁``; nothing for the special ones.

        A byte that is no character by itself stands as its token.
        """
        texts = [self.text_of(token) for token in self.tokens(range(len(self)))]
        letters = {i: chr(byte) for i, byte in self._bytes.items() if byte < 0x80}
        return ["" if i <= EOS else letters.get(i, text) for i, text in enumerate(texts)]

    def text_of(self, token: str) -> str:
        """The text of a token, a space before it as ``▁``."""
        return token if self._backend.decoder else SPACE + token  # words that spaces join

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

    @property
    def digest(self) -> str:
        """SHA-256 of ``json``: equal digests, equal tokenizers."""
        return hashlib.sha256(self.json.encode()).hexdigest()


def _joined(tags: Sequence[str], words: str) -> str:
    """Tokens of tags and a text, as one text."""
    return " ".join((*(token.split()[1] for token in tags), words))


def without_surrogates(text: str) -> str:
    """``text`` with U+FFFD for each lone surrogate, which text of another encoding leaves."""
    return text if text.isprintable() else _SURROGATE.sub("\ufffd", text)
