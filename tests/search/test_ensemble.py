"""Several models that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dragoman.api import Model
from dragoman.config.options import ModelOptions, SearchOptions
from dragoman.data.tags import Tags
from dragoman.data.tokenizer import EOS
from dragoman.errors import FolderError
from dragoman.search.batched import BatchedScorer
from table_network import WORDS, TableNetwork, outputs, source

OPTIONS = SearchOptions(beam=3, n_best=3, max_ratio=0.0, unknown="drop")


def test_one_model_twice_is_the_model() -> None:
    one = TableNetwork(4)
    both = BatchedScorer(one, TableNetwork(4))
    for options in (OPTIONS, replace(OPTIONS, no_repeat=2), replace(OPTIONS, temperature=1.0)):
        assert outputs(both, [(6, 6)], options) == outputs(one, [6], options)


def test_probabilities_are_averaged_and_each_reads_its_own_source() -> None:
    members = [TableNetwork(1), TableNetwork(2), TableNetwork(3)]
    both = BatchedScorer(*members)
    best = outputs(both, [(5, 6, 7)], OPTIONS)[0][0]
    history, total = (2,), 0.0
    for token in (*best.ids, EOS)[: len(best.steps)]:
        parts = [np.exp(m.log_probs(n, history)) for m, n in zip(members, (5, 6, 7), strict=True)]
        total += float(np.log(np.mean(parts, 0)[token]))
        history = (*history, token)
    assert best.log_prob == pytest.approx(total, abs=1e-5)
    assert set(best.ids) <= {*WORDS}


def folder(name: str, source: str, target: str, copies: bool, tags: Sequence[str] = ()) -> Any:
    """A model folder with these digests of its tokenizers."""
    tokenizers = (SimpleNamespace(digest=digest, tags=Tags(tags)) for digest in (source, target))
    config = SimpleNamespace(model=ModelOptions(copy=copies))
    both = dict(zip(("source", "target"), tokenizers, strict=True))
    return SimpleNamespace(path=Path(name), config=config, **both)


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (("s", "t", False), ("s", "other", False), "its target.json is another"),
        (("s", "t", True), ("s", "t", False), "one copies source words"),
        (("s", "t", True), ("other", "t", True), "one copies source words"),
        (("s", "t", False, ["1 PST"]), ("s", "t", False), "it reads another number of columns"),
        (("s", "t", False, ["1 PST"]), ("s", "t", False, ["1 PST", "2 en"]), "it reads another"),
    ],
)
def test_models_that_do_not_agree_are_refused(
    first: tuple[Any, ...], second: tuple[Any, ...], cause: str
) -> None:
    with pytest.raises(FolderError, match=f"b: cannot answer together with a: {cause}"):
        Model(folder("a", *first), [folder("b", *second)])


def test_models_may_read_different_words() -> None:
    first, second = ["0 PST", "0 V"], ["0 PST"]  # beside the words
    model = Model(folder("a", "s", "t", False, first), [folder("b", "other", "t", False, second)])
    assert [one.source.digest for one in (model.folder, *model.others)] == ["s", "other"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_word_that_no_member_can_say_stays_impossible(temperature: float) -> None:
    class OfAnother(TableNetwork):
        """The last word is another sentence's own, as in a batch of a copying model."""

        def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
            scores = super().log_probs(source, history)
            scores[WORDS[-1]] = -np.inf
            return scores

    scorer = BatchedScorer(OfAnother(1), OfAnother(2))
    (scores, _) = scorer.step(np.array([2]), scorer.start([(source(1), source(1))], 1))
    assert scores.log_probs[0, WORDS[-1]] == -np.inf and not np.isnan(scores.log_probs).any()
    options = replace(OPTIONS, temperature=temperature)
    for hypothesis in outputs(scorer, [(1, 1)], options)[0]:
        assert np.isfinite(hypothesis.score) and {*hypothesis.ids} <= {*WORDS[:-1]}
