"""Saves and loads the weights of a model folder as a model in torch."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from dragoman.config.options import Config
from dragoman.data.setup import header, load_setup, load_weights
from dragoman.data.tokenizer import Tokenizer
from dragoman.errors import FolderError, OptionError
from dragoman.files import replacing
from dragoman.layout import WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.network import TorchNetwork
from dragoman.model.seq2seq import Seq2Seq


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A loaded folder: the model in evaluation mode, its options and its tokenizers."""

    path: Path
    config: Config
    model: Seq2Seq
    source: Tokenizer
    target: Tokenizer

    def network(self, int8: bool, shortlist: bool) -> TorchNetwork:
        """The model, ready to search. It has no shortlist: one belongs to a bundle.

        Raises:
            OptionError: ``int8`` is true.
        """
        if int8:
            cause, cure = "8-bit numbers are multiplied on the processor", "--device cpu, --no-int8"
            raise OptionError(cause, place="search.int8", cure=cure)
        return TorchNetwork(self.model)


def save_weights(path: Path, model: Seq2Seq, source: Tokenizer, target: Tokenizer) -> None:
    """Replace the weights; the old ones stay until the new ones are on disk."""
    # The library's save_file would make a file that only its owner may read.
    with replacing(path / WEIGHTS) as aside:
        aside.write_bytes(save(tensors_of(model), metadata=header(source, target)))


def tensors_of(model: Seq2Seq) -> dict[str, Tensor]:
    """The weights by name; a table that two parts share has one name."""
    named = model.named_parameters()  # leaves out the second name of a shared parameter
    return {name: tensor.detach().contiguous().cpu() for name, tensor in named}


def load_folder(path: Path, device: str = "cpu") -> ModelFolder:
    """Load a model folder onto a device such as ``cpu``, ``cuda:1`` or ``mps``.

    Raises:
        FolderError: a file is missing, damaged, or from another model; the message says which.
        OptionError: this machine has no such device.
    """
    try:
        torch.zeros(1, device=device).item()  # fails for "meta" and for devices without a driver
    except (RuntimeError, AssertionError) as error:  # torch's message has several lines
        cause = f"{device!r} is not a device of this machine"
        raise OptionError(cause, place="device", cure="cpu, cuda or mps") from error
    file = path / WEIGHTS
    config, source, target = load_setup(path)
    tensors = load_weights(path, source, target, "pt")
    sizes = {"source_vocabulary": len(source), "target_vocabulary": len(target)}
    with torch.device("meta"):  # check the sizes before they take memory
        fill(build_model(config.model, **sizes), tensors, file)
    model = build_model(config.model, **sizes)
    fill(model, tensors, file)
    return ModelFolder(path, config, model.to(device).eval(), source, target)


@torch.no_grad()
def fill(model: Seq2Seq, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy ``tensors``, read from ``path``, into the model's weights.

    Raises:
        FolderError: a name or a shape differs.
    """
    wanted = dict(model.named_parameters())
    for name in sorted(wanted.keys() ^ tensors.keys()):
        which = "lacks" if name in wanted else "has an unknown"
        raise FolderError(f"{which} tensor {name!r}", place=path, cure="see config.toml")
    for name, tensor in tensors.items():
        shape, expected = list(tensor.shape), list(wanted[name].shape)
        if shape != expected:
            found = f"tensor {name!r} is {shape}, {expected} expected from config.toml"
            raise FolderError(found, place=path)
        wanted[name].copy_(tensor)
