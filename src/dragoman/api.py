"""The Python API: loads trained models, translates, scores, explains and evaluates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.config.options import Config, DataOptions, SearchOptions
from dragoman.config.rules import check_options
from dragoman.data.pairs import Fault, Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.data.source import encode_pairs
from dragoman.errors import DataError, FolderError, OptionError, UsageError, naming_extras
from dragoman.evaluation.baselines import training_pairs
from dragoman.evaluation.confidence import load_confidence
from dragoman.evaluation.examples import Examples, Pairs, examples_of, held_out_examples
from dragoman.layout import BUNDLE, members
from dragoman.runs.history import History
from dragoman.runtime.folder import RuntimeFolder, load_runtime
from dragoman.search.aids import NO_AIDS, Aids
from dragoman.search.batched import BatchedScorer
from dragoman.search.request import Request, Scored, Translation
from dragoman.search.translator import Translator

if TYPE_CHECKING:  # what these import is not part of a base install
    from dragoman.evaluation.evaluate import Evaluation
    from dragoman.inspection.explanation import Explanation
    from dragoman.model.folder import ModelFolder

    Loaded = ModelFolder | RuntimeFolder

Paths = str | Path | Sequence[str | Path]
"""One file of pairs, or two aligned files."""


@naming_extras()
def load(folder: str | Path, *others: str | Path, device: str = "cpu") -> Model:
    """Load a model folder, or several that translate together (an ensemble).

    Args:
        folder: a model folder, a bundle of one, or a folder of seeds (``train(seeds=3)``).
        others: more of them; each translation follows the mean of all their probabilities.
        device: where the models run: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises:
        FolderError: a file is missing or damaged, or the models have different vocabularies.
        OptionError: this machine has no such device.
    """
    models = [_loaded(one, device) for path in (folder, *others) for one in members(Path(path))]
    return Model(models[0], models[1:])


def _loaded(path: Path, device: str) -> Loaded:
    if device == "cpu":
        return load_runtime(path)
    if path.is_file() or (path / BUNDLE).exists():
        raise OptionError("a bundle runs on the processor", place="device", cure="cpu")
    from dragoman.model.folder import load_folder

    return load_folder(path, device)


class Model:
    """A trained model; :func:`load` makes one.

    Args:
        folder: the loaded model folder.
        others: further models of an ensemble: each next token follows the mean of all their
            probabilities (Sutskever 2014). An ensemble translates and scores; it explains nothing.

    Raises:
        FolderError: target vocabularies or numbers of columns of features differ; or one model
            copies source words and another does not, or reads other words.
    """

    def __init__(self, folder: Loaded, others: Sequence[Loaded] = ()) -> None:
        self.folder, self.others = folder, others
        self.config = folder.config
        self.confidence = None if others else load_confidence(folder.path)
        for other in others:
            copies = (folder.config.model.copies, other.config.model.copies)
            if other.target.digest != folder.target.digest:
                why = "its target.json is another"
            elif other.source.tags.columns != folder.source.tags.columns:
                why = "it reads another number of columns of features"
            elif any(copies) and not (all(copies) and other.source.digest == folder.source.digest):
                why = "one copies source words, which the other does not know"
            else:
                continue
            cause = f"cannot answer together with {_given(folder)}: {why}"
            raise FolderError(cause, place=_given(other), cure="train both on the same text")
        self._torch_folder: ModelFolder | None = None
        self._translators: dict[tuple[bool, bool], Translator] = {}

    def translator(
        self, options: Mapping[str, Any], aids: Aids = NO_AIDS
    ) -> tuple[Translator, SearchOptions]:
        """A translator, and the folder's search options with ``options`` in their places.

        Each combination of ``int8`` and ``shortlist`` gets a translator of its own, which is built
        once and kept.

        Raises:
            OptionError: a wrong option, ``int8`` where the processor or the bundle cannot do it, a
                target tag where the model reads none, or texts to keep where it has no attention.
            DataError: training saw no such target tag.
        """
        search = check_options(Config(search=replace(self.config.search, **options))).search
        kind = search.int8, search.shortlist
        if kind not in self._translators:
            members = (self.folder, *self.others)
            scorer = BatchedScorer(*(one.network(*kind) for one in members))
            sources, longest = [one.source for one in members], self.config.source.max_tokens
            self._translators[kind] = Translator(scorer, sources, self.folder.target, longest)
        tags = self.folder.source.tags
        if aids.target_tag and not tags.columns:
            raise OptionError("this model reads no features", place="--target-tag")
        tags.in_column(tags.columns, aids.target_tag)  # raises the error once, not for each line
        aids = replace(aids, target_tag=aids.target_tag or self.config.data.target_tag)
        return self._translators[kind].with_aids(aids), search

    def translate(self, lines: Iterable[str | Request], **options: Any) -> list[Translation]:
        """Translate each line, in order. Arguments and errors are those of :meth:`stream`."""
        return list(self.stream(lines, **options))

    def stream(
        self,
        lines: Iterable[str | Request],
        *,
        attention: bool = False,
        aids: Aids = NO_AIDS,
        target_tag: str = "",
        **options: Any,
    ) -> Iterator[Translation]:
        """Translate each line, in order; some 2,000 lines are read ahead, or fewer long ones.

        Args:
            lines: raw text, one sentence each, or a :class:`dragoman.Request` with constraints on
                the output. An empty line has an empty translation.
            attention: keep the attention weights of each hypothesis.
            aids: what you know better than the model: whole answers, terms, texts that stay as they
                are (:class:`dragoman.Aids`).
            target_tag: the tag of lines that lack their last column of features, such as the
                language to write; in the place of that of ``aids``.
            options: fields of :class:`dragoman.SearchOptions`, such as ``beam=1``.

        Raises:
            OptionError: a wrong option, a constraint or term that this vocabulary cannot meet, a
                target tag where the model reads none, or texts to keep where it has no attention.
            DataError: a line lacks a column of features, or training saw no such tag.
        """
        aids = replace(aids, target_tag=target_tag or aids.target_tag)
        translator, search = self.translator(options, aids)
        lines = [lines] if isinstance(lines, str) else lines  # not a line a character
        return translator.translate(lines, search, attention=attention)

    def check(self, request: Request, *, aids: Aids = NO_AIDS, **options: Any) -> None:
        """Check that the constraints of a request can be met, and that its features are known.

        Raises:
            OptionError: a word is outside the vocabulary, or constraints contradict each other.
            DataError: the source lacks a column of features, or has a tag that training did not
                see.
        """
        translator, search = self.translator(options, aids)
        translator.check(request, search)

    def score(self, pairs: Iterable[tuple[str, str]], **options: Any) -> list[Scored]:
        """Compute how probable the target of each pair is, given its source.

        The numbers are those that search gives for this target. A target word outside the
        vocabulary counts as the unknown word. A source of any length is read whole.

        Args:
            pairs: source and target, raw text.
            options: fields of :class:`dragoman.SearchOptions`.

        Raises:
            OptionError: a wrong option.
        """
        translator, search = self.translator(options)
        return list(translator.score(pairs, search))

    def explain(
        self, line: str, target: str | None = None, *, aids: Aids = NO_AIDS, **options: Any
    ) -> Explanation:
        """Record every value that the model computes from a sentence to its translation.

        Args:
            line: raw text.
            target: explain this output instead of the model's own best output.
            aids: what you know better than the model, as for :meth:`stream`.
            options: fields of :class:`dragoman.SearchOptions`.

        Raises:
            DataError: a text has no tokens, or more than the model reads at a time; or a memory
                answers the line.
            UsageError: this is an ensemble or a bundle.
        """
        folder = self.torch_folder("explained")  # before what imports torch
        from dragoman.inspection.explain import explain_line

        translator, search = self.translator(options, aids)
        return explain_line(folder, translator, line, target, search)

    def explain_pairs(self, pairs: Pairs) -> Explanation:
        """Record every value of a batch of sources and given targets, padding and losses included.

        Raises:
            UsageError: there is no pair, or this is an ensemble or a bundle.
        """
        from dragoman.inspection.explain import explain_pairs

        model = self.torch_folder("explained").model
        sides = self.folder.source, self.folder.target
        ids = encode_pairs(pairs, sides, copy=self.config.model.copies)
        return explain_pairs(model, sides, ids, [source for source, _ in pairs])

    def torch_folder(self, done: str) -> ModelFolder:
        """The loaded model folder, for work that needs torch and a single model.

        Args:
            done: what shall be done with it, for the message: ``explained``.

        Raises:
            UsageError: this is a bundle or an ensemble.
        """
        folder, place = self.folder, _given(self.folder)
        if self.others:
            cause = f"an ensemble of {1 + len(self.others)} models cannot be {done}"
            raise UsageError(cause, place=place, cure="take one of its models")
        if not isinstance(folder, RuntimeFolder):
            return folder
        if folder.facts is not None:
            cure = "use the model folder that it was exported from"
            raise UsageError(f"a bundle cannot be {done}", place=place, cure=cure)
        if self._torch_folder is None:
            from dragoman.model.folder import load_folder

            self._torch_folder = load_folder(folder.path)
        return self._torch_folder

    def evaluate(
        self,
        pairs: Paths | Pairs | Examples | None = None,
        *,
        multiple_references: bool = False,
        raw_references: bool = False,
        **options: Any,
    ) -> Evaluation:
        """Score the model.

        Args:
            pairs: a test set, or what :meth:`examples` makes one of: a file of pairs, two aligned
                files, pairs of text, or None for the pairs that the training held out.
            multiple_references: score each source once, against all its targets.
            raw_references: do not normalise the references as the training targets were.
            options: fields of :class:`dragoman.SearchOptions`.

        Raises:
            DataError: the test set cannot be read or is empty, or no pairs were held out.
            OptionError: a wrong option.
        """
        from dragoman.evaluation.evaluate import evaluate_examples

        translator, search = self.translator(options)
        if not isinstance(pairs, Examples):
            pairs = self.examples(pairs, multiple_references=multiple_references)
        folder, alone = self.folder, not self.others and not pairs.validation
        exact = History.of(folder.path).best.get("exact") if alone else None
        known = training_pairs(folder.path, folder.source, folder.target)
        config = replace(self.config, search=search)
        return evaluate_examples(
            translator, pairs, config, known, raw_references=raw_references, validated=exact
        )

    def reading(self, **changes: Any) -> DataOptions:
        """The options with which files are read: those of the training, with ``changes``.

        Their format is found anew unless ``changes`` names it: tests and training pairs may differ.

        Args:
            changes: fields of :class:`dragoman.DataOptions`, such as ``columns=(1, 3)``.

        Raises:
            OptionError: a wrong option.
        """
        data = replace(self.config.data, **{"format": "auto"} | changes)
        return check_options(replace(self.config, data=data)).data

    def examples(
        self,
        pairs: Paths | Pairs | None = None,
        *,
        multiple_references: bool = False,
        say: Callable[[str], None] = lambda text: None,
        **reading: Any,
    ) -> Examples:
        """Read a test set once, to score several models on it.

        Args:
            pairs: a file of pairs, two aligned files, pairs of text, or None for the pairs that the
                training held out.
            multiple_references: take each source once, with all its targets as references.
            say: receives each line that the user should read.
            reading: fields of :class:`dragoman.DataOptions`, such as ``columns=(1, 3)``; the
                others have the values with which the training pairs were read.

        Raises:
            DataError: the files cannot be read or hold no pair, or no pairs were held out.
        """
        if pairs is None:
            run, given = History.of(self.folder.path), _given(self.folder)
            return held_out_examples(run.folder, given, run.record, multiple_references)
        items = [pairs] if isinstance(pairs, (str, Path)) else pairs
        if texts := [item for item in items if isinstance(item, tuple)]:
            told = [Pair(*both, 0, n) for n, both in enumerate(texts, 1)]
            return examples_of(told, f"{len(texts)} pairs", multiple_references=multiple_references)
        files, faults = [Path(item) for item in items if not isinstance(item, tuple)], Faults()
        found = list[Pair]()
        for pair in read_pairs(files, self.reading(**reading), faults):
            try:
                self.folder.source.tags.check(pair.source)
                found.append(pair)
            except DataError as error:  # tags that training never saw
                faults.add(Fault("tags", error.cause, error.cure, str(files[0]), pair.line))
        for line in (*faults.notes, *faults.summary()):
            say(line)
        name, left_out = " ".join(map(str, files)), faults.total
        return examples_of(found, name, multiple_references=multiple_references, left_out=left_out)


def _given(folder: Loaded) -> str:
    """What the user named: the folder, or the zip file that was unpacked."""
    return str(folder.given if isinstance(folder, RuntimeFolder) else folder.path)
