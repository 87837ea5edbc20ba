"""The level and the metric that are chosen where nobody asks for one, for each kind of task."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random

import pytest

from dragoman.config.options import Config
from dragoman.data.prepare import prepare
from dragoman.training.plan import resolve

SYLLABLES = ["".join(s) for s in product("bdgklmnprst", "aeiou", ["", "n", "r"])]  # 165
PHONES = {
    letter: f"{letter.upper()}{number % 3}" for number, letter in enumerate("abdegiklmnoprstu")
}


def spelt(rng: Random, syllables: int) -> str:
    return "".join(rng.choices(SYLLABLES, k=syllables))


def pairs_of(kind: str) -> list[tuple[str, str]]:
    """900 pairs that are like those of one kind of task."""
    rng = Random(7)
    found = []
    for n in range(900):
        word = spelt(rng, 3)
        match kind:
            case "pronunciation":
                pair = word, " ".join(map(PHONES.__getitem__, word))
            case "pronunciation of syllables":  # as in Vietnamese: one or two apart
                words = [spelt(rng, 2) for _ in range(1 + (n % 3 > 0))]
                pair = " ".join(words), " ".join(map(PHONES.__getitem__, "".join(words)))
            case "inflection":
                word = spelt(Random(n // 6), 3)
                pair = f"{'N' if n % 2 else 'V'};T{n % 6} {word}", f"{word}{SYLLABLES[n % 6]}"
            case "inflection with a particle":  # as in Turkish: forms of one or two words
                word = spelt(Random(n // 6), 3)
                pair = f"{word} V T{n % 6}", f"{word}{'' if n % 2 else ' ' + spelt(Random(n), 2)}"
            case "spelling":
                pair = word.replace("k", "c"), word
            case "commands":
                verbs = [rng.choice(["walk", "run", "look", "jump"]) for _ in range(3)]
                pair = " and ".join(verbs), " ".join(verb.upper() for verb in verbs)
            case "short phrases":
                words = [spelt(rng, 1) for _ in range(2 + n % 3)]
                pair = " ".join(words), " ".join(word.upper() for word in words)
            case _:
                words = [spelt(Random(rng.randrange(400)), 2) for _ in range(7)]
                pair = " ".join(words) + ".", " ".join(reversed(words)) + "!"
        found.append(pair)
    return found


@pytest.mark.parametrize(
    ("kind", "source", "target", "metric"),
    [
        ("pronunciation", "char", "word", "exact"),
        ("pronunciation of syllables", "char", "word", "exact"),
        ("inflection", "char", "char", "exact"),
        ("inflection with a particle", "char", "char", "exact"),
        ("spelling", "char", "char", "exact"),
        ("commands", "word", "word", "chrf"),
        ("short phrases", "word", "word", "chrf"),
        ("sentences", "bpe", "bpe", "chrf"),
    ],
)
def test_words_are_spelt_and_scored_whole(
    tmp_path: Path, kind: str, source: str, target: str, metric: str
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"{a}\t{b}\n" for a, b in pairs_of(kind)))
    found = prepare([file], tmp_path, Config(), print)
    assert (found.config.source.level, found.config.target.level) == (source, target)
    assert resolve(found.config, found.train).training.metric == metric
    assert bool(found.source.tags) == kind.startswith("inflection")


def test_forms_of_one_or_two_words_are_spelt_in_a_small_file_too(tmp_path: Path) -> None:
    file, pairs = tmp_path / "pairs.tsv", pairs_of("inflection with a particle")[:160]
    assert sum(len(target.split()) for _, target in pairs) == 240  # of fewer than 200 words
    file.write_text("".join(f"{a}\t{b}\n" for a, b in pairs))
    found = prepare([file], tmp_path, Config(), print)
    assert (found.config.source.level, found.config.target.level) == ("char", "char")
