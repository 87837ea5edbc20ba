"""The Python face of Dragoman: the verbs of the command line, as functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from rich.console import Console

from dragoman.config import Config, DataOptions, SearchOptions
from dragoman.data.batches import PairsInMemory
from dragoman.data.corpus import encode_pairs
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.evaluation.baselines import training_pairs
from dragoman.evaluation.confidence import load_confidence
from dragoman.evaluation.evaluate import Evaluation, evaluate_examples
from dragoman.evaluation.examples import (
    Examples,
    Pairs,
    examples_of,
    held_out_name,
    held_out_pairs,
)
from dragoman.evaluation.history import REPORT, History, find_runs, print_runs
from dragoman.evaluation.likelihood import teacher_forced
from dragoman.limits import check_options
from dragoman.model.folder import ModelFolder, load_folder
from dragoman.model.scorer import TorchScorer
from dragoman.search.alignment import pharaoh
from dragoman.search.translator import Translation, Translator

if TYPE_CHECKING:
    from dragoman.data.prepare import Prepared
    from dragoman.inspection.explanation import Explanation
    from dragoman.model.seq2seq import Seq2Seq
    from dragoman.training.run import Outcome

Paths = str | Path | Sequence[str | Path]


def train(
    pairs: Paths, out: str | Path, config: Config | None = None, *, console: Console | None = None,
    began: float | None = None,
) -> Outcome:  # fmt: skip
    """Train a model on a file of pairs (or two aligned files) into the folder ``out``.

    The same call again resumes what was interrupted. See :class:`dragoman.Config` for options.
    """
    from dragoman.inspection.curves import draw_curves  # a translator needs none of these
    from dragoman.training.run import train as run_training

    files, folder = _paths(pairs), Path(out)
    outcome = run_training(
        files,
        folder,
        config or Config(),
        console=console,
        began=began,
        show=_first_pairs,
        refresh=_document,
    )
    if outcome.is_main_process:
        draw_curves(folder)
        _document(folder)
        shown = console or Console(stderr=True)
        print_runs([History.of(folder)], shown)
        shown.print(f"report: {folder / REPORT}", markup=False, highlight=False, soft_wrap=True)
    return outcome


def _first_pairs(model: Seq2Seq, prepared: Prepared) -> Explanation:
    """The first two training pairs on their way through a model in training."""
    from dragoman.inspection.explanation import explain_pairs

    pairs = [prepared.train.pair(row) for row in range(min(2, len(prepared.train)))]
    ids = PairsInMemory(*zip(*pairs, strict=True))
    smoothing = prepared.config.training.label_smoothing
    return explain_pairs(model, (prepared.source, prepared.target), ids, smoothing=smoothing)


def _document(folder: Path) -> None:
    """Write a run's report and card as things stand."""
    from dragoman.inspection.card import write_card
    from dragoman.inspection.report import write_report

    write_report(folder)
    write_card(folder)


def runs(*below: str | Path) -> list[History]:
    """The runs at or below some folders (default: the current one), with their scores."""
    return [run for folder in below or (".",) for run in find_runs(Path(folder))]


def load(folder: str | Path) -> Model:
    """Load a model folder.

    Raises:
        FolderError: a file of it is missing, damaged or foreign.
    """
    return Model(load_folder(Path(folder)))


def evaluate(folder: str | Path, pairs: Paths | None = None, **options: Any) -> Evaluation:
    """Shorthand for ``load(folder).evaluate(pairs, **options)``."""
    return load(folder).evaluate(pairs, **options)


class Model:
    """A trained model: text in, text out."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.config = folder.config
        self.confidence = load_confidence(folder.path)
        self._translator = Translator(
            TorchScorer(folder.model), folder.source, folder.target,
            longest=folder.config.source.max_tokens,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        """What the model is and how good, for notebooks."""
        from dragoman.inspection.card import facts_html

        return facts_html(History.of(self.folder.path))

    def translate(
        self, lines: Iterable[str], *, attention: bool = False, **options: Any
    ) -> list[Translation]:
        """Answer each line, in order.

        Args:
            lines: raw text, one sentence each; an empty one gets an empty answer.
            attention: keep the attention weights of each hypothesis.
            options: fields of :class:`dragoman.SearchOptions`, such as ``beam=1``.
        """
        return list(self.stream(lines, attention=attention, **options))

    def stream(
        self, lines: Iterable[str], *, attention: bool = False, **options: Any
    ) -> Iterator[Translation]:
        """:meth:`translate`, giving back answers as they come (a couple of thousand at a time)."""
        search = replace(self.config.search, **options)
        check_options(Config(search=search))
        lines = [lines] if isinstance(lines, str) else lines  # not a line a character
        return self._translator.translate(lines, search, attention=attention)

    def explain(self, line: str, target: str | None = None, **options: Any) -> Explanation:
        """Every value between a sentence and its translation, or a given ``target``.

        Args:
            line: raw text.
            target: what the decoder is to say; its own best output when not given.
            options: fields of :class:`dragoman.SearchOptions`.

        Raises:
            DataError: nothing is left of a text, or it is longer than the model reads at a time.
        """
        from dragoman.inspection.explanation import explain_line

        search = replace(self.config.search, **options)
        check_options(Config(search=search))
        smoothing = self.config.training.label_smoothing
        model, translator = self.folder.model, self._translator
        return explain_line(model, translator, line, target, search, smoothing=smoothing)

    def explain_pairs(self, pairs: Pairs) -> Explanation:
        """The same for a batch of pairs of text, with its padding, masks and losses."""
        from dragoman.inspection.explanation import explain_pairs

        lines, sides = [source for source, _ in pairs], (self.folder.source, self.folder.target)
        copy, smoothing = self.config.model.copy, self.config.training.label_smoothing
        ids = encode_pairs(lines, [target for _, target in pairs], sides, copy=copy)
        rows = PairsInMemory(*ids)
        return explain_pairs(self.folder.model, sides, rows, lines, smoothing=smoothing)

    def alignment(self, translation: Translation) -> str:
        """Which word stands for which, ``0-0 1-2``, of a translation made with attention."""
        return pharaoh(translation, self.folder.source, self.folder.target)

    def evaluate(
        self, pairs: Paths | Pairs | Examples | None = None, *, reading: DataOptions | None = None,
        multiple_references: bool = False, raw_references: bool = False, **options: Any,
    ) -> Evaluation:  # fmt: skip
        """Score the model.

        Args:
            pairs: a file of pairs, two aligned files, pairs of text, or None for those that its
                training held out.
            reading: how files are read; as the training pairs were, when not given.
            multiple_references: score each source once, against all its targets.
            raw_references: leave the references as they stand, where the model was trained on
                normalised ones.
            options: fields of :class:`dragoman.SearchOptions`.
        """
        search: SearchOptions = replace(self.config.search, **options)
        check_options(Config(search=search))
        if not isinstance(pairs, Examples):
            pairs = self.examples(pairs, reading=reading, multiple_references=multiple_references)
        folder, copy = self.folder, self.config.model.copy
        tokenizers = (folder.source, folder.target)
        return evaluate_examples(
            self._translator, pairs, search, raw_references=raw_references,
            training=training_pairs(folder.path, folder.source, folder.target),
            confidence=self.confidence,
            characters=self.config.target.level == "char",
            more=teacher_forced(folder.model, tokenizers, pairs, copy=copy),
        )  # fmt: skip

    def examples(
        self, pairs: Paths | Pairs | None = None, *, reading: DataOptions | None = None,
        multiple_references: bool = False,
    ) -> Examples:  # fmt: skip
        """Read a test set once, to score several models on it; see :meth:`evaluate`."""
        faults = Faults()
        rows: Iterable[tuple[str, str]]
        if pairs is None:
            name, rows = held_out_name(self.folder.path), held_out_pairs(self.folder.path)
        elif _is_text(pairs):
            name, rows = f"{len(pairs)} pairs", pairs
        else:
            files = _paths(pairs)  # type: ignore[arg-type]
            found = read_pairs(files, reading or self.config.data, faults)
            name = " ".join(str(file) for file in files)
            rows = [(pair.source, pair.target) for pair in found]
        made = examples_of(rows, name, multiple_references=multiple_references)
        return replace(made, left_out=faults.total)


def _paths(pairs: Paths) -> list[Path]:
    return [Path(pairs)] if isinstance(pairs, (str, Path)) else [Path(p) for p in pairs]


def _is_text(pairs: Paths | Pairs) -> TypeGuard[Pairs]:
    return not isinstance(pairs, (str, Path)) and all(isinstance(p, tuple) for p in pairs)
