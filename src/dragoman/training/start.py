"""Builds the model and optimizer of a run, from its last checkpoint or new."""

from pathlib import Path

import psutil
import torch
from torch import nn

from dragoman.config.options import SideOptions, TrainingOptions
from dragoman.config.toml import flat, load_config
from dragoman.data.corpus import Corpus
from dragoman.data.prepare import Prepared
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vectors import read_vectors
from dragoman.errors import OptionError
from dragoman.layout import WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.folder import read_tensors
from dragoman.model.sampled_softmax import frequency_ranks
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.checkpoint import checkpoints, load_checkpoint
from dragoman.training.distributed import Processes
from dragoman.training.machine import keep_freed_memory
from dragoman.training.observer import Observer
from dragoman.training.optimizer import build_optimizer
from dragoman.training.state import Run, TrainingState

PREFIXES = {"encoder": ("encoder.",), "decoder": ("decoder.", "bridge.", "output.")}


def assemble_run(
    folder: Path, prepared: Prepared, processes: Processes, observers: list[Observer], began: float
) -> Run:
    """Build model and optimizer, from the last checkpoint if there is one.

    Args:
        folder: the run's.
        prepared: the data and the options.
        processes: those that train together.
        observers: receive the events of the training.
        began: the monotonic clock when the command started.

    Raises:
        OptionError: memory does not hold the model, or parts of another model do not fit.
        FolderError: the checkpoint is damaged.
    """
    options = prepared.config.training
    _require_memory(prepared)
    keep_freed_memory()
    torch.manual_seed(options.seed)
    model = build_model(prepared.config.model, **prepared.sizes)
    _freeze(model, prepared)
    model.to(processes.device)
    optimizer, state, saved = build_optimizer(model, options), TrainingState(), checkpoints(folder)
    if saved:
        state = load_checkpoint(saved[-1], model, optimizer)
    began -= state.elapsed
    run = Run(folder, prepared, processes, model, model, optimizer, state, observers, began)
    if not saved:
        fill_frequencies(model, prepared.train)
        _fill_vectors(run)
        _fill_parts(run)
    run.learner = processes.wrap(model)  # gives all processes the weights of the first
    if options.objective == "sampled":
        counts = prepared.train.target_counts(len(prepared.target))
        run.ranks = frequency_ranks(counts).to(processes.device)
    return run


def _require_memory(prepared: Prepared) -> None:
    """Refuse a model that this machine cannot hold, before it takes all memory.

    Raises:
        OptionError: weights, gradients and the optimizer's two moments need more than there is.
    """
    with torch.device("meta"):
        model = build_model(prepared.config.model, **prepared.sizes)
    needed = 16 * sum(parameter.numel() for parameter in model.parameters())
    there = psutil.virtual_memory().total
    if needed > there:
        sizes = f"{needed / 1e9:,.0f} GB to be trained, the machine has {there / 1e9:,.0f} GB"
        cure = "lower --model.hidden, or its layers"
        raise OptionError(f"this model needs {sizes}", place="model", cure=cure)


def fill_frequencies(model: Seq2Seq, train: Corpus) -> None:
    """Set the output layer's bias to the logarithms of the words' frequencies.

    Without it the first hundred steps learn little more than these frequencies.
    """
    counts = torch.from_numpy(train.target_counts(len(model.output.bias))).double()
    with torch.no_grad():
        model.output.bias.copy_(torch.log((counts + 1) / (counts + 1).mean()))


def _fill_vectors(run: Run) -> None:
    """Put word vectors into the embeddings.

    Raises:
        DataError: a file of vectors cannot be used.
    """
    for options, tokenizer, table in _sides(run.model, run.prepared):
        if options.vectors:
            vectors, summary = read_vectors(Path(options.vectors), tokenizer, table.shape[1])
            with torch.no_grad():
                for token, vector in vectors.items():
                    table[token] = torch.from_numpy(vector)
            run.say(f"{options.vectors}: {summary}")


def _fill_parts(run: Run) -> None:
    """Copy the parts of the model that ``training.start_from`` names.

    Raises:
        FolderError: the other folder is not whole.
        OptionError: a tensor does not fit; names both shapes and the options that differ.
    """
    options = run.config.training
    if not options.start_from:
        return
    folder = Path(options.start_from)
    there, _ = read_tensors(folder / WEIGHTS)
    wanted = _named_parts(run.model, options)
    for name, parameter in wanted.items():
        if name not in there or there[name].shape != parameter.shape:
            shape = list(there[name].shape) if name in there else "missing"
            theirs, ours = flat(load_config(folder).model), flat(run.config.model)
            names = [name for name in ours if ours[name] != theirs[name]]
            differ = [f"model.{n} is {theirs[n]} there, {ours[n]} here" for n in names]
            shapes = f"{name} is {shape} there, {list(parameter.shape)} here"
            cause = f"{shapes}: {', '.join(differ) or 'the vocabularies differ'}"
            cure = "give the options it has, or fewer --parts"
            raise OptionError(cause, place=str(folder), cure=cure)
    for name, parameter in wanted.items():
        with torch.no_grad():
            parameter.copy_(there[name])
    run.say(f"{' and '.join(options.parts)} from {folder}: {len(wanted)} tensors")


def _freeze(model: Seq2Seq, prepared: Prepared) -> None:
    """Keep from learning the parts and the word vectors that the options freeze."""
    options = prepared.config.training
    if options.freeze and options.start_from:
        for parameter in _named_parts(model, options).values():
            parameter.requires_grad_(False)
    for side, _, table in _sides(model, prepared):
        if side.vectors and side.freeze_vectors:
            table.requires_grad_(False)


def _sides(model: Seq2Seq, prepared: Prepared) -> list[tuple[SideOptions, Tokenizer, nn.Parameter]]:
    config = prepared.config
    return [
        (config.source, prepared.source, model.encoder.embedding.weight),
        (config.target, prepared.target, model.decoder.embedding.weight),
    ]


def _named_parts(model: Seq2Seq, options: TrainingOptions) -> dict[str, nn.Parameter]:
    """The weights of the parts that ``options.parts`` names."""
    prefixes = tuple(prefix for part in options.parts for prefix in PREFIXES[part])
    return {name: p for name, p in model.named_parameters() if name.startswith(prefixes)}
