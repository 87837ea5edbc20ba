"""Draws the pairs of the ``phrases`` sample and packs them as the package's data.

python -m tools.phrases [FILE]
"""

from __future__ import annotations

import bz2
import sys
from pathlib import Path
from random import Random

from tools.phrases.sentences import draw_phrase

COUNT, SEED = 25_000, 1
PACKED = Path(__file__).parents[2] / "src/dragoman/data/samples/phrases.tsv.bz2"


def draw() -> list[str]:
    """``COUNT`` lines of source, tab and target in random order, no source twice."""
    rng = Random(SEED)
    targets: dict[str, str] = {}
    while len(targets) < COUNT:
        targets.setdefault(*draw_phrase(rng))
    # Frequent short sentences are drawn early and never again: the end would be the harder part.
    pairs = list(targets.items())
    rng.shuffle(pairs)
    return [f"{source}\t{target}\n" for source, target in pairs]


def packed() -> bytes:
    """The bytes of the package's file.

    Its lines stand so that ``sample_pairs``, which shuffles them by the caller's seed, gives the
    order of ``draw`` for the seed 1.
    """
    places = list(range(COUNT))
    Random(SEED).shuffle(places)
    lines = [line for _, line in sorted(zip(places, draw(), strict=True))]
    return bz2.compress("".join(lines).encode())


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PACKED).write_bytes(packed())
