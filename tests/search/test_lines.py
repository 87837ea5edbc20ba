"""Thousands of random lines: each is answered, the same in any batch and order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from dragoman.config.options import ModelOptions, SearchOptions, SideOptions
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.network import TorchNetwork
from dragoman.search.batched import BatchedScorer
from dragoman.search.hypotheses import NONE_FOUND, joined
from dragoman.search.reading import join_parts, read_pieces
from dragoman.search.translator import Translator

pytestmark = pytest.mark.slow

SIDE = replace(SideOptions(), level="word", vocabulary=100)
WORDS = [f"w{n}" for n in range(60)]
STRANGE = [
    "",
    " ",
    "\t",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\u0085",
    "\x0b",
    "\0",
    "a\0b",
    "\ud800",
    "w1 \udfff",
    "א",
    "שלום עולם",
    "\u202eabc",
    "مرحبا",
    "🎉",
    "👩‍👩‍👧 w2",
    "e\u0301",
    "<unk>",
    "<s> w3",
    "</s>",
    "▁",
    "x" * 500,
    ".",
    "…",
    "?!.,",
    "\x1b[31m",
    "\\n",
    "'\"",
    "﷽",
    "ﬁ",
    "Ⅷ",
    "中文。",
]


def test_pieces_of_which_nothing_came_are_joined() -> None:
    """Weights that are no numbers leave a search without a single step."""
    assert joined([NONE_FOUND, NONE_FOUND], SearchOptions()).score == -np.inf


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("one two three. four", ["one two three. ", "four"]),
        ("it is 4.2 km. go on", ["it is 4.2 km. ", "go on"]),
        ("it is 4.2 km, go on now", ["it is 4.2 km, ", "go on now"]),
        ("सीता आई। राम गया", ["सीता आई। ", "राम गया"]),
        ("老人喝绿茶。小孩踢足球", ["老人喝绿茶。", "小孩踢足球"]),
        ("no mark in all of it", ["no mark in all ", "of it"]),
    ],
)
@pytest.mark.parametrize("level", ["word", "char"])
def test_long_lines_are_cut_where_sentences_end(level: str, line: str, parts: list[str]) -> None:
    tokenizer = train_tokenizer([line], replace(SIDE, level=level))
    spaces = sum(map(len, tokenizer.encode(parts[:1])))
    pieces = read_pieces([line], [tokenizer], None, spaces)
    found = [piece.text for piece in pieces]
    assert "".join(found) == line
    assert [text.strip() for text in found] == [part.strip() for part in parts]


@pytest.mark.parametrize("mark", [".", "?", "।", "॥", "۔", "؟"])
def test_the_end_of_a_sentence_goes_before_a_later_space(mark: str) -> None:
    line = f"सीता घर आई{mark} राम गया घर"
    tokenizer = train_tokenizer([line], replace(SIDE, level="word"))
    (fitting,) = tokenizer.encode([f"सीता घर आई{mark} राम"])
    pieces = read_pieces([line], [tokenizer], None, len(fitting))
    assert next(iter(pieces)).text.strip() == f"सीता घर आई{mark}"


def test_answers_of_parts_are_joined_as_their_script_is_written() -> None:
    assert join_parts(["Er geht.", "", "Sie kommt."]) == "Er geht. Sie kommt."
    assert join_parts(["老人喝绿茶。", "小孩踢足球", "今"]) == "老人喝绿茶。小孩踢足球今"
    assert join_parts(["", "가다.", "오다"]) == "가다. 오다"
    assert join_parts([]) == ""


def random_lines(count: int) -> list[str]:
    random = np.random.default_rng(3)
    lines = []
    for _ in range(count):
        words = random.choice(WORDS, size=random.integers(0, 12)).tolist()
        if random.random() < 0.8:
            words.insert(random.integers(0, len(words) + 1), STRANGE[random.integers(len(STRANGE))])
        lines.append((" " if random.random() < 0.9 else "").join(words))
    lines[17], lines[1005] = "w1 w2. " * 14_286, "x" * 100_000  # 100,000 characters each
    return lines


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A model as small as this one is no faster with more, and the lines are many."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def translator() -> Translator:
    tokenizer = train_tokenizer([" ".join(WORDS) + " . , ?"], SIDE)
    torch.manual_seed(5)
    small = replace(ModelOptions(), embedding=8, hidden=16, dropout=0.0)
    model = build_model(small, source_vocabulary=len(tokenizer), target_vocabulary=len(tokenizer))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
        model.output.bias[EOS] = 2.0  # short answers
    return Translator(BatchedScorer(TorchNetwork(model)), [tokenizer], tokenizer, 100)


@pytest.mark.parametrize("beam", [1, 3])
def test_every_line_is_answered_alike_in_any_batch(translator: Translator, beam: int) -> None:
    lines = random_lines(4000)
    assert len(lines[17]) > 100_000 - 10 and len({*lines}) > 3500
    options = SearchOptions(beam=beam, max_ratio=0.5)
    whole = list(translator.translate(lines, replace(options, batch_size=64)))
    assert len(whole) == len(lines)
    for answer in whole:
        assert not {*answer.text} & {*"\n\r\u2028\x85"}
        answer.text.encode()  # no half characters
    assert len({answer.text for answer in whole}) > 1500  # it says many things
    order = np.random.default_rng(7).permutation(len(lines))
    some = [17, *order[:1500]]  # small batches take their time
    for batch_size, rows in ((8, some), (1, some[1:300])):
        shuffled = replace(options, batch_size=batch_size)
        answers = translator.translate((lines[i] for i in rows), shuffled)
        for answer, i in zip(answers, rows, strict=True):
            assert answer.text == whole[i].text
            for one, other in zip(answer.hypotheses, whole[i].hypotheses, strict=True):
                assert one.ids == other.ids
                assert one.score == pytest.approx(other.score, abs=1e-5)  # torch rounds otherwise
