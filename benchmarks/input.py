"""How fast pairs of text become ids: ``python -m benchmarks.input``.

Tatoeba's English-French pairs, with a number behind each sentence from the second round on so that
none comes twice, go through what ``dragoman train`` does with its file of pairs:

    prepared   all of it: read, split, vocabularies learned, tokenised, encoded, stored
    encoded    of that, tokenised, encoded and stored, with vocabularies that are known

Wall time means something on quiet cores only; processor time stands beside it, and the largest
memory of the process up to then.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Print a line a level and stage, and keep them as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("levels", nargs="*", default=["word", "bpe"])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--vocabulary", type=int, default=16_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    asked = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(asked.threads)  # read when tokenizers first asks
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="dragoman-input-") as place:
        pairs = Path(place, "pairs.tsv")
        numbered = islice(lines(asked.data / "tatoeba" / "eng-fra.tsv.gz"), asked.pairs)
        with pairs.open("w", encoding="utf-8") as file:
            file.writelines(numbered)
        for level in asked.levels:
            for row in _measure(level, asked.vocabulary, pairs, Path(place)):
                wall, processor = row["wall"], row["processor"]
                row |= {"pairs": asked.pairs, "threads": asked.threads}
                rows.append(row)
                print(
                    f"{level:8}{row['stage']:10}{wall:6.1f} s wall, "
                    f"{processor:6.1f} s of processors: "
                    f"{60e-6 * asked.pairs / wall:.2f} million pairs/min, "
                    f"{60e-6 * asked.pairs / processor:.2f} a core; "
                    f"{row['peak'] / 2**20:.0f} MiB at most so far",
                    flush=True,
                )
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "input.json").write_text(json.dumps(rows, indent=1))


def lines(path: Path) -> Iterator[str]:
    """The pairs of ``path`` again and again, numbered from the second time on."""
    for number in count():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                source, target = line.rstrip("\n").split("\t")[:2]
                more = f" {number}" if number else ""
                yield f"{source}{more}\t{target}{more}\n"


def _measure(level: str, vocabulary: int, pairs: Path, place: Path) -> Iterator[dict[str, Any]]:
    from dragoman.config.options import Config
    from dragoman.config.toml import merge
    from dragoman.data.corpus import write_corpus
    from dragoman.data.pairs import Faults
    from dragoman.data.prepare import encode, prepare
    from dragoman.data.readers import read_pairs
    from dragoman.data.text import store_text

    side = {"level": level, "vocabulary": vocabulary}
    config = merge(Config(), {"source": side, "target": side}, place="benchmark")
    folder = place / level
    folder.mkdir()
    with _timed(level, "prepared") as row:
        made = prepare([pairs], folder, config, print)
    yield row
    text = store_text(
        [[], read_pairs([pairs], config.data, Faults())], place / "text.arrow", config
    )
    with _timed(level, "encoded") as row:
        write_corpus(place / "x", encode(text.pairs(), [made.source, made.target], config))
    yield row


@contextmanager
def _timed(level: str, stage: str) -> Iterator[dict[str, Any]]:
    row: dict[str, Any] = {"level": level, "stage": stage}
    wall, processor = time.perf_counter(), time.process_time()
    yield row
    row |= {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    row["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
