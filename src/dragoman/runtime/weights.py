"""The weights of a model by name: checked against what a graph asks for, in fp32 or in 8 bits.

    O outputs   I inputs   V vocabulary   E embedding

Each row of a weight is scaled by its own largest absolute value and rounded once, symmetrically
(Wu et al. 2020, section 3). A product in 8 bits multiplies it by rows of activations, which are
scaled and rounded when they come:

    q(w) = round(127 w / max |w|)  in [-127, 127]      q(x) = round(63 x / max |x|)  in [-63, 63]

Activations have one bit less because of processors without VNNI. Their instruction for 8-bit
products (``vpmaddubsw``) multiplies unsigned by signed numbers, adds two neighbouring products, and
*saturates* the sum to 16 bits. An activation is stored as the unsigned number q(x) + 64, from 1 to
127, so that the sum of two products is at most

    2 x 127 x 127 = 32,258 <= 32,767 = 2^15 - 1

and at least -32,258: it never saturates. Sums in 32 bits have room for 2^31 / 127^2 = 133,000
inputs, more than the options allow. So sums are exact on every processor, and a row's numbers
depend neither on the other rows nor on the order of adding. With 8 bits on both sides
(2 x 255 x 127 = 64,770) the same bundle would answer differently on such processors.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.errors import FolderError

Array = npt.NDArray[Any]

WEIGHT_STEPS, ACTIVATION_STEPS = 127, 63
"""The largest absolute value of a weight and of an activation in 8 bits."""
ZERO = 64
"""The unsigned number that stands for an activation of zero."""
SCALE = ".scale"
"""Ends the name of the values of one step in each row of an 8-bit weight."""
SOURCE_TABLE, TARGET_TABLE = "encoder.embedding.weight", "decoder.embedding.weight"
OUTPUT = "output.weight"
_ONE_ROW = ("copying.gate.weight", "decoder.attention.energy.weight")


class Weights:
    """The weights of a model by name, each checked when it is asked for.

    Args:
        tensors: by name, in fp32 or as :func:`quantized` makes them.
        place: where they come from, for messages.
    """

    def __init__(self, tensors: Mapping[str, Array], place: str) -> None:
        self.tensors, self.place = tensors, place
        self.int8 = any(one.dtype == np.int8 for one in tensors.values())
        """The matrices are in 8 bits."""

    def __call__(self, name: str, *shape: int) -> Array:
        """The tensor ``name``.

        Raises:
            FolderError: there is none, or it has another shape or type.
        """
        found, kind = self.tensors.get(name), _kind(name, len(shape)) if self.int8 else "float32"
        if found is None:
            raise self.refusal(f"lacks tensor {name!r}")
        if found.shape != shape or found.dtype != kind:
            held, expected = f"{list(found.shape)} {found.dtype}", f"{list(shape)} {kind}"
            raise self.refusal(f"tensor {name!r} is {held}, {expected} expected from config.toml")
        return found

    def refusal(self, cause: str) -> FolderError:
        """The error that says what is wrong with the weights."""
        return FolderError(cause, place=self.place, cure="copy the folder again")


def _kind(name: str, axes: int) -> str:
    """The type of a weight in a model in 8 bits.

    What is small stays in fp32: vectors, and matrices of one row.
    """
    if axes == 1 or ".bias" in name or name in _ONE_ROW or name.endswith(SCALE):
        return "float32"
    return "uint8" if name in (SOURCE_TABLE, TARGET_TABLE) else "int8"


def quantized(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Weights in 8 bits: matrices as signed numbers, embeddings as unsigned activations.

    An output layer that shares a table of embeddings gets numbers of its own, which are finer.

    Args:
        tensors: in fp32, by name.
    """
    found: dict[str, Array] = {}
    if OUTPUT not in tensors:
        tied = TARGET_TABLE if TARGET_TABLE in tensors else SOURCE_TABLE
        tensors = {**tensors, OUTPUT: tensors[tied]}
    for name, values in tensors.items():
        kind = _kind(name, values.ndim)
        if kind == "float32":
            found[name] = values
            continue
        steps, zero = (ACTIVATION_STEPS, ZERO) if kind == "uint8" else (WEIGHT_STEPS, 0)
        scale = np.maximum(np.abs(values).max(-1), np.float32(1e-30)) / np.float32(steps)
        found[name] = (np.rint(values / scale[..., None]) + zero).astype(kind)
        found[name + SCALE] = scale
    return found
