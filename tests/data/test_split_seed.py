"""The choice of held-out pairs has a seed of its own, apart from the seed of training."""

from __future__ import annotations

from pathlib import Path

from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.data.prepare import prepare


def vocabularies(folder: Path, *, split: int, training: int) -> tuple[str, str]:
    """The digests of both vocabularies. Every word stands in one pair, so they tell the split."""
    folder.mkdir()
    pairs = folder / "pairs.tsv"
    pairs.write_text("".join(f"mot{i}\tword{i}\n" for i in range(60)), encoding="utf-8")
    word = {"level": "word"}
    tree = {
        "data": {"split_seed": split},
        "source": word,
        "target": word,
        "training": {"seed": training},
    }
    found = prepare([pairs], folder, merge(Config(), tree, place="test"), print)
    return found.source.digest, found.target.digest


def test_runs_that_differ_in_their_training_seed_hold_out_the_same_pairs(tmp_path: Path) -> None:
    one, two = (vocabularies(tmp_path / f"t{n}", split=1, training=n) for n in (1, 2))
    assert one == two


def test_another_split_seed_holds_out_other_pairs(tmp_path: Path) -> None:
    one, two = (vocabularies(tmp_path / f"s{n}", split=n, training=1) for n in (1, 2))
    assert one != two
