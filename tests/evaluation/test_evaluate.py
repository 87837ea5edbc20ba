"""From a test set to scores, with a stand-in for the model: what is asked, compared and said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from dragoman.config.options import Config, SearchOptions, SideOptions
from dragoman.data.pairs import Pair
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import DataError
from dragoman.evaluation.baselines import TrainingPairs
from dragoman.evaluation.evaluate import Evaluation, evaluate_examples, signature
from dragoman.evaluation.examples import examples_of

PAIRS = [("cat", "K AE1 T"), ("lead", "L EH1 D"), ("dog", "D AO1 G"), ("lead", "L IY1 D")]


class Parrot:
    """A translator whose answers are known."""

    def __init__(self, answers: dict[str, str], **options: Any) -> None:
        side = replace(SideOptions(), level="word", vocabulary=100, **options)
        self.target = train_tokenizer(["one two"], side)
        self.source = train_tokenizer(["cat dog lead K AE1 T"], side)
        self.answers = answers

    def translate(self, lines: Iterable[str], options: SearchOptions) -> Iterator[Any]:
        complete = [SimpleNamespace(complete=True)]
        for line in lines:
            text = self.answers.get(line, line)
            yield SimpleNamespace(source=line, text=text, hypotheses=complete if text else [])


def numbered(pairs: list[tuple[str, str]], records: Sequence[int] = range(1, 100)) -> list[Pair]:
    """Pairs with the numbers of their records in a file."""
    return [Pair(*texts, 0, n) for texts, n in zip(pairs, records, strict=False)]


def evaluate(parrot: Parrot, pairs: list[tuple[str, str]], **more: Any) -> Evaluation:
    multiple = more.pop("multiple_references", False)
    examples = examples_of(numbered(pairs), "t.tsv", multiple_references=multiple)
    training = more.pop("training", LEARNED)
    return evaluate_examples(parrot, examples, Config(), training, **more)  # type: ignore[arg-type]


TOKENIZER = Parrot({}).source
LEARNED = TrainingPairs(("cats", "cot"), tuple(TOKENIZER.encode(["K AE1 T"] * 2)), 2, TOKENIZER)


def scores(result: Evaluation) -> dict[str, float]:
    return {m.key: m.value() for m in result.measures}


def test_a_source_with_several_targets_is_scored_once_against_all() -> None:
    parrot = Parrot({"cat": "K AE1 T", "lead": "L IY1 D", "dog": "D AO1"})
    alone = evaluate(parrot, PAIRS)
    assert len(alone.outputs) == 4 and scores(alone)["exact"] == 50.0
    assert "1 lines repeat a source" in alone.notes[0]
    grouped = evaluate(parrot, [*PAIRS, PAIRS[0]], multiple_references=True)
    assert grouped.examples.sources == ("cat", "lead", "dog")
    assert grouped.examples.references[1] == ("L EH1 D", "L IY1 D")
    assert grouped.examples.references[0] == ("K AE1 T",)
    # Of three words one is wrong; of its three phones one is missing, of nine in all.
    assert scores(grouped)["exact"] == pytest.approx(200 / 3)
    assert scores(grouped)["errors"] == pytest.approx(100 / 9)
    assert grouped.notes == ()


def test_references_take_the_form_of_the_training_targets_or_stand_as_they_are() -> None:
    parrot = Parrot({"a": "un été"}, lowercase=True)
    result = evaluate(parrot, [("a", "Un  été")])
    assert scores(result)["exact"] == 100.0
    assert result.notes == ("1 of 1 references were normalised (see --raw-references)",)
    raw = evaluate(parrot, [("a", "Un  été")], raw_references=True)
    assert scores(raw)["exact"] == 0.0 and raw.notes == ()


def test_an_evaluation_as_json() -> None:
    tree = json.loads(json.dumps(evaluate(Parrot({}), PAIRS[:3]).tree()))
    assert tree["lines"] == tree["references"] == 3 and tree["test"] == "t.tsv"
    assert tree["search"] == "beam:5|length_penalty:1" and tree["left_out"] == 0
    assert tree["scores"]["exact match"]["value"] == 0.0
    assert tree["scores"]["BLEU"]["signature"].startswith("nrefs:1|")
    assert tree["scores"]["exact match"]["interval"] == [0.0, 0.0]
    assert tree["baselines"]["copy"]["exact match"] == 0.0
    assert tree["baselines"]["nearest"]["exact match"] == pytest.approx(100 / 3)
    assert tree["breakdown"]["source"]["unseen"]["lines"] == 3
    alone = json.loads(json.dumps(evaluate(Parrot({}), PAIRS[:1]).tree()))
    assert alone["scores"]["chrF"]["interval"] is None


def test_what_was_learned_from_is_said() -> None:
    learned = replace(LEARNED, sources=("Dog!", "cot"), total=9)
    result = evaluate(Parrot({}), PAIRS[:3], training=learned)
    assert result.notes[0].startswith("No better than answers without a model: chrF 0.0, but 38.7")
    assert result.notes[1:] == (
        "2 of 9 training pairs were read",
        "1 of 3 sources (33.3%) are training sources (--breakdown scores the others apart)",
    )
    alone = evaluate(Parrot({}), PAIRS[:3], training=None)
    assert "the folder holds no training pairs: two baselines" in alone.notes[0]
    assert list(alone.baselines) == ["copy"] and list(alone.breakdown) == ["source tokens"]


def test_nothing_to_score() -> None:
    with pytest.raises(DataError, match=r"t\.tsv: there is nothing to score"):
        evaluate(Parrot({}), [])


def test_the_signature_names_every_choice_that_changes_outputs() -> None:
    assert signature(SearchOptions(batch_size=3)) == "beam:5|length_penalty:1"
    asked = SearchOptions(beam=1, length_penalty=0.6, normalization="wu", no_repeat=3, top_p=0.9)
    assert signature(asked) == ("beam:1|length_penalty:0.6|normalization:wu|no_repeat:3|top_p:0.9")
    for option in fields(SearchOptions):
        changed = replace(SearchOptions(), **{option.name: "other"})
        said = f"{option.name}:other" in signature(changed).split("|")
        assert said == (option.name != "batch_size")


def test_outputs_stand_at_the_records_of_the_file() -> None:
    """Of six records the second and the fifth are no pairs."""
    pairs = numbered(PAIRS, [1, 3, 4, 6])
    examples = examples_of(pairs, "t.tsv", left_out=2)
    result = evaluate_examples(Parrot({}), examples, Config(), LEARNED)  # type: ignore[arg-type]
    assert result.examples.by_record(result.outputs) == ["cat", "", "lead", "dog", "", "lead"]
    grouped = examples_of(pairs, "t.tsv", multiple_references=True, left_out=2)
    assert grouped.by_record(["x", "y", "z"]) == ["x", "", "y", "z", "", "y"]


def test_a_test_set_unlike_the_validation_pairs_is_named() -> None:
    """Half of the lines are right: 50 %, of four lines with an interval from 0 to 100."""
    right = Parrot({"cat": "K AE1 T", "dog": "D AO1 G"})
    many = [pair for pair in PAIRS for _ in range(10)]
    for before, how in ((94.9, "harder"), (11.5, "easier")):
        said = f"exact match is 50.0, but was {before} in validation: {how} lines"
        assert said in evaluate(right, many, validated=before).notes
    assert not any("validation" in note for note in evaluate(right, many, validated=54.9).notes)
    assert not any("validation" in note for note in evaluate(right, PAIRS, validated=94.9).notes)
    assert not any("validation" in note for note in evaluate(right, many).notes)


def test_one_answer_for_every_source_is_named() -> None:
    said = "every output is the same, whatever the source: 'D'"
    same = evaluate(Parrot({"cat": "D", "dog": "D"}), [PAIRS[0], PAIRS[2]])
    assert said in same.notes
    other = evaluate(Parrot({"cat": "D", "dog": "K"}), [PAIRS[0], PAIRS[2]])
    assert said not in other.notes
    assert said not in evaluate(Parrot({"cat": "D"}), PAIRS[:1]).notes
