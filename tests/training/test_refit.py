"""A second training on all pairs, after a first one has shown how long."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import dragoman
from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge
from dragoman.data.corpus import Corpus
from dragoman.data.prepare import prepare
from dragoman.layout import REFIT
from dragoman.model.folder import load_folder
from dragoman.runs.history import History
from dragoman.training import run as run_room
from dragoman.training.observer import Event, Measured, Observer
from dragoman.training.plan import resolve
from dragoman.training.run import Outcome, train
from dragoman.training.state import Run

pytestmark = pytest.mark.slow

WORDS = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lnrst"]  # 100
SMALL = {"model": {"embedding": 8, "hidden": 12, "dropout": 0.1}}
SHORT: dict[str, Any] = {
    "steps": 12,
    "validate_every": 4,
    "save_every": 3,
    "report_every": 3,
    "refit": True,
    "precision": "fp32",
    "learning_rate": 0.01,
    "batch_tokens": 100,
    "warmup": 0,
}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Words to be said with spaces between letters."""
    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"{word}\t{' '.join(word)}\n" for word in WORDS))
    return file


def run(pairs: Path, out: Path, *observers: Observer, **training: Any) -> tuple[Outcome, str]:
    """Train, and give back what was said."""
    text, config = io.StringIO(), merge(Config(), SMALL | {"training": SHORT | training}, place="")
    console = Console(file=text, width=200)
    outcome = train([pairs], out, config, console=console, observers=observers)
    return outcome, text.getvalue()


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_folder(out).model.state_dict())


def test_a_refit_is_a_training_on_all_pairs_for_as_long(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, set[str]]] = []
    real = run_room.train_loop

    def watched(again: Run) -> str:
        if again.folder.name != REFIT:
            return real(again)
        corpus = again.prepared.train
        assert isinstance(corpus, Corpus)
        texts = {again.prepared.source.decode(corpus.pair(n)[0].ids) for n in range(len(corpus))}
        reason = real(again)
        seen.append((again.state.step, again.config.training.steps, texts))
        return reason

    monkeypatch.setattr(run_room, "train_loop", watched)
    monkeypatch.setattr(run_room, "deciding", lambda scores, metric: [1.0])  # had one been right
    began, events = time.monotonic(), list[Event]()
    outcome, said = run(pairs, tmp_path / "m", events.append)
    ((steps, asked, texts),) = seen
    best = outcome.state.best_step
    assert best == 4 and steps == asked == round(best * 100 / 90) and texts == set(WORDS)
    assert f"refit: learning anew from all 100 pairs, for {steps} steps" in said
    assert not (tmp_path / "m" / REFIT).exists()
    rows = [e.row for e in events if isinstance(e, Measured) and e.row["kind"] == "train"]
    assert [row["step"] for row in rows] == [3, 6, 9, 12, 3]
    assert rows[-1]["tokens_per_second"] > rows[-1]["tokens"] / (time.monotonic() - began)
    plain, _ = run(pairs, tmp_path / "plain", refit=False)
    assert plain.state.best_scores == outcome.state.best_scores  # of the first training
    ours, theirs = weights(tmp_path / "m"), weights(tmp_path / "plain")
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_the_scores_are_of_is_said(pairs: Path, tmp_path: Path) -> None:
    tree = SMALL | {"training": SHORT}
    dragoman.train(pairs, tmp_path / "m", merge(Config(), tree, place="test"))
    note = "The scores are those of the first training, which did not know the held-out pairs."
    for name in ("README.md", "report.html"):
        assert note in (tmp_path / "m" / name).read_text()
    result = dragoman.load(tmp_path / "m").evaluate()
    assert result.examples.name == "TRAINING pairs (held out at first, known since the refit)"
    rows = (tmp_path / "m" / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(row)["step"] for row in rows if '"validation"' in row} == {4, 8, 12}


def test_the_same_command_does_not_refit_again(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "m")
    before = weights(tmp_path / "m")
    _, said = run(pairs, tmp_path / "m")
    assert "nothing to do" in said and "refit" not in said
    assert all(
        torch.equal(before[name], tensor) for name, tensor in weights(tmp_path / "m").items()
    )


@pytest.mark.parametrize("at", [1, 4])
def test_a_refit_that_was_stopped_goes_on_with_the_same_numbers(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    run(pairs, tmp_path / "whole")
    real = run_room.train_loop

    def stopped(again: Run) -> str:
        def stop(_: object) -> None:
            if again.state.step >= at:
                raise KeyboardInterrupt

        if again.folder.name == REFIT:
            again.observers.append(stop)
        return real(again)

    monkeypatch.setattr(run_room, "train_loop", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "m", report_every=1)
    assert (tmp_path / "m" / REFIT).exists()
    first = weights(tmp_path / "m")  # still a whole model: that of the first training
    monkeypatch.setattr(run_room, "train_loop", real)
    _, said = run(pairs, tmp_path / "m", report_every=1)
    whole, found = weights(tmp_path / "whole"), weights(tmp_path / "m")
    assert "refit" in said and all(torch.equal(whole[name], found[name]) for name in whole)
    assert any(not torch.equal(first[name], found[name]) for name in whole)


def test_a_signal_between_the_two_trainings_stops_the_refit(pairs: Path, tmp_path: Path) -> None:
    run(pairs, tmp_path / "whole")

    def stop(event: Event) -> None:
        if isinstance(event, Measured) and event.row["kind"] == "end":
            os.kill(os.getpid(), signal.SIGTERM)

    outcome, _ = run(pairs, tmp_path / "m", stop)
    assert outcome.interrupted and (tmp_path / "m" / REFIT).exists()
    run(pairs, tmp_path / "m")
    assert not (tmp_path / "m" / REFIT).exists()
    whole, found = weights(tmp_path / "whole"), weights(tmp_path / "m")
    assert all(torch.equal(whole[name], found[name]) for name in whole)


def test_a_refit_that_is_no_longer_wanted_is_not_waited_for(pairs: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Measured) and event.row["kind"] == "end":
            os.kill(os.getpid(), signal.SIGTERM)

    run(pairs, tmp_path / "m", stop)
    run(pairs, tmp_path / "m", refit=False)
    assert History.of(tmp_path / "m").last["interrupted"] is False


def test_where_no_validation_found_anything_right_all_steps_count(
    pairs: Path, tmp_path: Path
) -> None:
    """The first of equal validations is the best one: its few steps would teach a refit little."""
    outcome, said = run(pairs, tmp_path / "m")
    scores = outcome.state.best_scores
    assert outcome.state.best_step == 4 and scores["exact"] == scores["chrf"] == 0
    assert "refit: learning anew from all 100 pairs, for 13 steps" in said


def test_without_a_step_there_is_no_refit(pairs: Path, tmp_path: Path) -> None:
    """A budget that the preparation used up leaves a whole model, and says so."""
    text = io.StringIO()
    config = merge(Config(), SMALL | {"training": SHORT | {"steps": 0, "budget": "9s"}}, place="")
    long_ago, console = time.monotonic() - 60, Console(file=text, width=200)
    outcome = train([pairs], tmp_path / "m", config, console=console, began=long_ago)
    assert outcome.state.step == 0
    assert "no refit: the first training made no step" in text.getvalue()
    assert load_folder(tmp_path / "m") and not (tmp_path / "m" / REFIT).exists()


def test_patience_does_not_make_a_refit_short(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_room, "_FEWEST_STEPS", 25)
    _, said = run(pairs, tmp_path / "m", steps=0, patience=1, learning_rate=1e-9)
    assert "no better exact in 1 validations" in said and "for 25 steps" in said


@pytest.mark.parametrize(
    ("count", "asked", "expected"),
    [
        (100, {}, True),
        (100, {"budget": "1m"}, True),
        (100, {"steps": 5}, False),
        (100, {"epochs": 5}, False),
        (100, {"refit": False}, False),
        (100, {"metric": "chrf"}, True),
        (3500, {}, False),
    ],
)
def test_few_pairs_of_words_are_refitted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    asked: dict[str, Any],
    expected: bool,
) -> None:
    file = tmp_path / "pairs.tsv"
    words = [WORDS[n % 100] + WORDS[n // 100] for n in range(count)]
    file.write_text("".join(f"{word}\t{word}\n" for word in words))
    found = prepare([file], tmp_path, merge(Config(), {"training": asked}, place="test"), print)
    chosen = resolve(found.config, found.train)
    assert chosen.training.refit is expected
    assert chosen.model.dropout == 0.5
    tagged = resolve(found.config, found.train, tagged=True)
    assert tagged.model.dropout == (0.5 if count == 100 else 0.3)
    monkeypatch.setattr("dragoman.training.plan._HALF_DROPPED", 3000)
    for tags in (False, True):
        chosen = resolve(found.config, found.train, tagged=tags)
        assert chosen.model.dropout == (0.5 if count == 100 else 0.1)


def test_a_budget_is_shared_by_both_trainings(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets, real = list[float](), run_room._train

    def watched(first: Run) -> str:
        budgets.append(first.budget)
        return real(first)

    monkeypatch.setattr(run_room, "_train", watched)
    _, said = run(pairs, tmp_path / "m", steps=0, budget="4s")
    run(pairs, tmp_path / "plain", steps=0, budget="2s", refit=False)
    assert budgets == [2.0, 2.0]
    assert "the budget of 4s is used up" in said and "refit: learning anew" in said
    assert load_config(tmp_path / "m").training.budget == "4s"


def test_training_pairs_that_are_all_learned_are_not_refitted(pairs: Path, tmp_path: Path) -> None:
    tree = SMALL | {"training": SHORT, "data": {"validation": 0}}
    config = merge(Config(), tree, place="test")
    text = io.StringIO()
    train([pairs], tmp_path / "m", config, console=Console(file=text, width=200))
    assert "refit" not in text.getvalue() and not (tmp_path / "m" / REFIT).exists()
