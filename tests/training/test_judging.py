"""A score that cannot tell answers apart does not decide; what is scored is told by its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dragoman.cli import main
from dragoman.config.options import Config, SideOptions, TrainingOptions
from dragoman.data.prepare import prepare
from dragoman.errors import OptionError
from dragoman.training.validation import check_metric

TINY = ["--steps", "2", "--hidden", "16", "--embedding", "8", "--validation-sample", "4"]
WORDS = Config(source=SideOptions(level="word"), target=SideOptions(level="word"))


def write(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    path = folder / "p.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), "utf-8")
    return path


def test_a_score_that_cannot_move_does_not_decide(tmp_path: Path) -> None:
    """BLEU of right answers of fewer than four words is 0."""
    config = replace(WORDS, training=TrainingOptions(metric="bleu"))
    for words, is_refused in ((3, True), (4, False)):
        pairs = [(f"n{n}", " ".join([f"w{n}"] * words)) for n in range(20)]
        found = prepare([write(tmp_path, pairs)], tmp_path, config, lambda text: None)
        if is_refused:
            said = "training.metric 'bleu': it is always 0 on targets of fewer than four words"
            with pytest.raises(OptionError, match=f"{said} .try --metric chrf"):
                check_metric(found)
        else:
            check_metric(found)


@pytest.mark.slow
def test_outputs_are_as_many_as_the_lines_of_the_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [(f"n{n % 7}", f"word{n % 7} and {n}") for n in range(40)]
    assert main(["train", str(write(tmp_path, pairs)), "--out", str(tmp_path / "m"), *TINY]) == 0
    test = tmp_path / "t.tsv"
    test.write_text("n1\tword1\nno pair\n\nn2\tword2\n")
    asked = ["evaluate", str(tmp_path / "m"), str(test), "--tolerance", "0.5", "--json"]
    capsys.readouterr()
    assert main([*asked, "--outputs", str(tmp_path / "out")]) == 0
    lines = (tmp_path / "out").read_text("utf-8").split("\n")
    assert len(lines) == 5 and lines[1] == lines[2] == lines[4] == ""
    assert json.loads(capsys.readouterr().out)["left_out"] == 2


@pytest.mark.slow
def test_scores_far_from_those_of_the_validation_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, folder = [(f"n{n}", f"w{n}") for n in range(40)], tmp_path / "m"
    test = write(tmp_path, pairs)
    assert main(["train", str(test), "--out", str(folder), "--validation", "10", *TINY]) == 0
    with (folder / "metrics.jsonl").open("a") as file:  # as if the model had learned the task
        row = {"kind": "validation", "step": 2, "best": True, "exact": 87.5}
        file.write(f"{json.dumps(row)}\n")
    said = "but was 87.5 in validation: harder lines"
    for files, times in (([str(test)], 1), ([], 0)):  # the pairs themselves are scored in silence
        capsys.readouterr()
        assert main(["evaluate", str(folder), *files]) == 0
        assert capsys.readouterr().err.count(said) == times
    bundle = tmp_path / "m.zip"
    assert main(["export", str(folder), "--out", str(bundle), "--zip"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(bundle), str(test)]) == 0  # it holds no measurements
    assert said not in capsys.readouterr().err
