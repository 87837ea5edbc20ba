"""Builds the model and optimizer of a run, from its last checkpoint or new."""

from pathlib import Path

import psutil
import torch

from dragoman.data.corpus import Corpus
from dragoman.data.prepare import Prepared
from dragoman.data.setup import read_tensors
from dragoman.data.vectors import read_vectors
from dragoman.errors import OptionError
from dragoman.layout import CONFIG, WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.sampled_softmax import frequency_ranks
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.checkpoint import checkpoints, load_checkpoint
from dragoman.training.distributed import Processes
from dragoman.training.machine import keep_freed_memory
from dragoman.training.observer import Observer
from dragoman.training.optimizer import build_optimizer, parts
from dragoman.training.state import Run, TrainingState


def assemble_run(
    folder: Path, prepared: Prepared, processes: Processes, observers: list[Observer], began: float
) -> Run:
    """Build model and optimizer, from the last checkpoint if there is one.

    Args:
        folder: the run's.
        prepared: the data and the options.
        processes: the processes that train this model together.
        observers: receive the events of the training.
        began: the monotonic clock when the command started.

    Raises:
        OptionError: memory does not hold the model, or parts of another model do not fit.
        DataError: a file of word vectors cannot be used.
        FolderError: the checkpoint, or the model to start from, is damaged.
    """
    options = prepared.config.training
    _require_memory(prepared)
    keep_freed_memory()
    torch.manual_seed(options.seed)
    model = build_model(prepared.config.model, **prepared.sizes).to(processes.device)
    optimizer, state, saved = build_optimizer(model, options), TrainingState(), checkpoints(folder)
    run = Run(folder, prepared, processes, model, model, optimizer, state, observers, began)
    with processes.together():  # only the main process reads files
        new = processes.is_main and not saved
        if new:
            fill_frequencies(model, prepared.train)
        elif processes.is_main:
            run.state = load_checkpoint(saved[-1], model, optimizer)
        _take_vectors(run, new=new)
        _take_parts(run, new=new)
    if processes.count > 1:
        run.state, tensors = processes.from_main((run.state, optimizer.state_dict()))
        optimizer.load_state_dict(tensors)
    run.began -= run.state.elapsed
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
        cause = f"it takes {needed / 1e9:,.0f} GB to train, the machine has {there / 1e9:,.0f} GB"
        raise OptionError(cause, place="model", cure="lower --model.hidden, or its layers")


def fill_frequencies(model: Seq2Seq, train: Corpus) -> None:
    """Set the output layer's bias to the logarithms of the words' frequencies.

    Without it the first hundred steps learn little more than these frequencies.
    """
    counts = torch.from_numpy(train.target_counts(len(model.output.bias))).double()
    with torch.no_grad():
        model.output.bias.copy_(torch.log((counts + 1) / (counts + 1).mean()))


def _take_vectors(run: Run, *, new: bool) -> None:
    """Put word vectors into the embeddings of a ``new`` run; freeze these as the options say.

    Raises:
        DataError: a file of vectors cannot be used.
    """
    for side, part in (("source", run.model.encoder), ("target", run.model.decoder)):
        options, tokenizer = getattr(run.config, side), getattr(run.prepared, side)
        if options.vectors:
            table = part.embedding.weight.requires_grad_(not options.freeze_vectors)
            if new:
                vectors, summary = read_vectors(Path(options.vectors), tokenizer, table.shape[1])
                for token, vector in vectors.items():
                    table.detach()[token] = torch.from_numpy(vector)
                run.say(f"{options.vectors}: {summary}")


def _take_parts(run: Run, *, new: bool) -> None:
    """Copy into a ``new`` run the parts of a model that the options name; freeze them if asked.

    A decoder that did not copy may learn it here, unless it is frozen.

    Raises:
        FolderError: the other folder is not whole.
        OptionError: a tensor does not fit; names both shapes.
    """
    options, folder = run.config.training, Path(run.config.training.start_from)
    if not options.start_from:
        return
    wanted = {n: p for part in options.parts for n, p in parts(run.model)[part]}
    for parameter in wanted.values() if options.freeze else ():
        parameter.requires_grad_(False)
    if not new:
        return
    there, _ = read_tensors(folder / WEIGHTS)
    if not options.freeze:
        wanted = {n: p for n, p in wanted.items() if n in there or not n.startswith("copying.")}
    for name, parameter in wanted.items():
        tensor = there.get(name)
        if tensor is None or tensor.shape != parameter.shape:
            shape = "missing" if tensor is None else list(tensor.shape)
            cause = f"{name} is {shape} there, {list(parameter.shape)} here"
            cure = f"give the options of {folder / CONFIG}, or fewer --parts"
            raise OptionError(cause, place=folder, cure=cure)
        parameter.detach().copy_(tensor)
    run.say(f"{' and '.join(options.parts)} from {folder}: {len(wanted)} tensors")
