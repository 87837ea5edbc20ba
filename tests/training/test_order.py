"""How well targets keep the order of their sources, and what is chosen by it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from random import Random

import numpy as np
import pytest

from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.data.corpus import Corpus, write_corpus
from dragoman.data.pairs import Pair
from dragoman.data.prepare import prepare
from dragoman.data.source import Source
from dragoman.training.order import cost_of_order
from dragoman.training.plan import resolve

Words = list[list[int]]


def corpus(folder: Path, sources: Words, targets: Words) -> Corpus:
    rows = [
        (0, Pair("", "", n), Source(np.array(s, np.int32)), np.array(t, np.int32))
        for n, (s, t) in enumerate(zip(sources, targets, strict=True))
    ]
    write_corpus(folder / "pairs", rows)
    return Corpus(folder / "pairs")


def naive_cost(sources: Words, targets: Words) -> float:
    """IBM model 1 in dictionaries, and every placement of every target gone through."""
    known, written = {w for s in sources for w in s}, {w for t in targets for w in t}
    highest = max(written) + 1
    table = {(s, t): 1 / highest for s in known for t in range(highest)}
    for _ in range(5):
        counts = dict.fromkeys(table, 1e-6)
        for source, target in zip(sources, targets, strict=True):
            for t in target:
                for s in source:
                    counts[s, t] += table[s, t] / sum(table[other, t] for other in source)
        sums = {s: sum(counts[s, t] for t in range(highest)) for s in known}
        table = {(s, t): count / sums[s] for (s, t), count in counts.items()}
    lost = 0.0
    for source, target in zip(sources, targets, strict=True):
        free = sum(max(math.log(table[s, t]) for s in source) for t in target)
        placings = itertools.combinations_with_replacement(source, len(target))
        in_order = max(
            sum(math.log(table[s, t]) for s, t in zip(placed, target, strict=True))
            for placed in placings
        )
        lost += free - in_order
    return lost / sum(map(len, targets))


def test_the_cost_is_that_of_every_placement(tmp_path: Path) -> None:
    random = Random(3)
    sources = [random.choices(range(4, 9), k=random.randint(1, 4)) for _ in range(40)]
    targets = [[*map((9).__add__, s), random.choice([4, 5])] for s in sources]
    for target in targets[::3]:
        random.shuffle(target)
    found = cost_of_order(corpus(tmp_path, sources, targets))
    assert found == pytest.approx(naive_cost(sources, targets), rel=1e-9) and found > 0.05


def word(random: Random) -> str:
    return "".join(random.choices("abdegiklmnoprstu", k=random.randint(4, 9)))


@pytest.mark.parametrize(
    ("kind", "asked", "attention"),
    [
        ("sounds", {}, "monotonic"),
        ("sounds", {"attention": "luong"}, "luong"),
        ("sounds", {"attention_weights": "sparsemax"}, "luong"),
        ("sounds", {"family": "transformer"}, "luong"),
        ("sounds", {"family": "hybrid"}, "monotonic"),
        ("backwards", {}, "luong"),
        ("backwards", {"attention": "monotonic"}, "monotonic"),
        ("day first", {}, "luong"),
        ("many", {}, "luong"),
        ("tags", {}, "bahdanau"),
        ("tags", {"attention": "luong"}, "luong"),
        ("tags", {"input_feeding": True}, "luong"),
        ("tags", {"family": "transformer"}, "luong"),
        ("few tags", {}, "bahdanau"),
        ("tags inside", {}, "bahdanau"),
    ],
)
def test_attention_that_is_auto(
    tmp_path: Path, kind: str, asked: dict[str, str], attention: str
) -> None:
    random, lines = Random(1), []
    reading = {"features_column": (3,)} if kind in ("tags", "few tags") else {}
    for number in range(3_500 if kind in ("many", "tags") else 300):
        one = word(random)
        match kind:
            case "backwards":
                pair = one, one[::-1]
            case "day first":
                day, month, year = number % 28 + 1, "jfmasond"[number % 8], 1900 + number % 97
                pair = f"{day} {month * 3} {year}", f"{year}-{ord(month)}-{day:02}"
            case _:
                pair = one + str(number), " ".join(f"{one.upper().replace('U', 'OO')}{number}")
        if kind == "tags inside":
            pair = f"{random.choice(['N;SG', 'N;PL'])} {pair[0]}", pair[1]
        elif reading:
            pair = *pair, "N;SG"
        lines.append("\t".join(pair) + "\n")
    (tmp_path / "pairs.tsv").write_text("".join(lines), encoding="utf-8")
    spelt = {"level": "char"}
    tree = {"model": asked, "source": spelt, "target": spelt, "data": reading}
    config = merge(Config(), tree, place="test")
    found = prepare([tmp_path / "pairs.tsv"], tmp_path, config, lambda text: None)
    tagged = bool(found.source.tags)
    assert resolve(found.config, found.train, tagged=tagged).model.attention == attention
