"""Outputs may be as long as the training pairs show; where a limit cuts one, it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dragoman.cli import main
from dragoman.config.options import Config, SearchOptions, SideOptions
from dragoman.config.toml import load_config
from dragoman.data.prepare import prepare
from dragoman.training.plan import resolve

TINY = ["--steps", "2", "--hidden", "16", "--embedding", "8", "--validation-sample", "4"]
WORDS = Config(source=SideOptions(level="word"), target=SideOptions(level="word"))


def write(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    path = folder / "p.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), "utf-8")
    return path


@pytest.mark.parametrize(
    ("length", "options", "added"),
    [
        (45, SearchOptions(), 43),  # two tokens of the source's one, and 43 more
        (45, SearchOptions(max_ratio=1.5), 44),  # 43.5 above
        (22, SearchOptions(), "auto"),  # the usual 20 suffice
        (45, SearchOptions(max_added=7), 7),
    ],
)
def test_outputs_may_be_as_long_as_the_targets(
    tmp_path: Path, length: int, options: SearchOptions, added: int | str
) -> None:
    pairs = [(f"code{n}", " ".join(["word"] * (length - n))) for n in range(12)]
    config = replace(WORDS, search=options)
    found = prepare([write(tmp_path, pairs)], tmp_path, config, lambda text: None)
    assert resolve(found.config, found.train).search.max_added == added


@pytest.mark.slow
def test_a_cut_output_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model's folder holds the limit; a command that lowers it tells which outputs it cut.

    The model has learned little but that ``word`` is by far the most frequent token.
    """
    pairs = [(f"code{n}", " ".join(["word"] * 45)) for n in range(12)]
    train = ["train", str(write(tmp_path, pairs)), "--out", str(tmp_path / "m"), *TINY]
    assert main([*train, "--source.level", "word", "--target.level", "word"]) == 0
    assert load_config(tmp_path / "m").search.max_added == 43
    (tmp_path / "in").write_text("code1\n\ncode2\n")
    capsys.readouterr()
    lines = ["translate", str(tmp_path / "m"), "--input", str(tmp_path / "in"), "--min-ratio", "3"]
    assert main([*lines, "--max-ratio", "3", "--max-added", "0", "--beam", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 3
    assert "the length limit cut the output of 2 lines, the first of them 1 (--max-added or" in err
