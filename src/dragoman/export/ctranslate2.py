"""Writes a Transformer for CTranslate2 or Argos Translate, and measures that it says the same.

CTranslate2 runs Transformers in C++; Argos Translate is built on it. Its layers compute what those
of :mod:`dragoman.model.transformer` compute, so that the weights only get other names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dragoman.api import Paths, load
from dragoman.errors import DataError, OptionError
from dragoman.export.argos import Client, require_sentencepiece, vocabulary, write_package
from dragoman.export.bundle import new_folder, require_replaceable
from dragoman.extras import naming_extras
from dragoman.layout import CARD
from dragoman.runtime.folder import RuntimeFolder
from dragoman.runtime.weights import OUTPUT, SOURCE_TABLE, TARGET_TABLE

if TYPE_CHECKING:  # what this imports is not part of a base install
    from dragoman.evaluation.examples import Pairs

PLACES, LONGEST = 1024, 256
"""Tokens of a source that CTranslate2 reads, and of an output that it writes, unless asked for
more; the written model has the positions of the former."""
FEWEST_EQUAL = 0.99
"""Smallest share of greedy outputs in fp32 that must be those of the model folder."""


@naming_extras()
def export_ctranslate2(
    folder: str | Path,
    out: str | Path,
    pairs: Paths | Pairs | None = None,
    *,
    languages: tuple[str, str] | None = None,
    lines: int = 200,
    int8: bool = False,
    licence: str = "",
) -> dict[str, Any]:
    """Write a Transformer as a folder for CTranslate2, or as a package for Argos Translate.

    Args:
        folder: the model folder.
        out: the folder or the file to write.
        pairs: as for :func:`dragoman.export.bundle.export`.
        languages: write a package, for these codes of source and target, such as ``("fr", "en")``.
        lines: compare on so many pairs, the first ones.
        int8: store the matrices in 8 bits; then any share of outputs may change.
        licence: the licence under which the model may be used.

    Returns:
        The figures of the comparison, as ``parity``.

    Raises:
        DataError: in fp32, too few outputs are the folder's; the message holds the first other.
        OptionError: the model is of another family or copies source words, a package cannot have
            its options, or ``out`` holds other files.
        UsageError: the folder is a bundle, or an ensemble.
    """
    import ctranslate2

    packed = languages is not None
    require_replaceable(Path(out), zipped=packed)
    model = load(folder)
    options, found = model.config.model, model.torch_folder("exported")  # refuses other folders
    if options.family != "transformer" or options.copy:
        what = "copies source words" if options.copy else f"is of the family {options.family!r}"
        cure = "leave it out: a bundle has ONNX graphs, which ONNX Runtime runs"
        raise OptionError(f"CTranslate2 runs no model that {what}", place="--to", cure=cure)
    if languages:
        require_sentencepiece(model.config, found.source, languages)
    assert isinstance(model.folder, RuntimeFolder)
    names, most = [token for token, _ in vocabulary(found.source)], found.config.source.max_tokens
    client: Client = (
        lambda text: [names[i] for i in found.source.encode([text])[0]],
        found.target.join,
    )
    fits = [s for s in model.examples(pairs).sources if 0 < len(client[0](s)) <= most][:lines]
    card = (found.path / CARD).read_text("utf-8") if (found.path / CARD).exists() else ""
    with new_folder(Path(out), packed) as aside:
        home = aside / "translate-{}_{}-1_0".format(*languages) if languages else aside
        place = home / "model" if languages else home
        place.mkdir(parents=True, exist_ok=True)
        (home / CARD).write_text(f"{card}\nLicence: {licence or 'not stated'}\n", "utf-8")
        _write_model(model.folder, place, int8=int8)
        if languages:
            client = write_package(model.folder, home, languages)
        encode, decode = client
        asked, program = list(map(encode, fits)), ctranslate2.Translator(str(place))
        limits = {"min_decoding_length": 0, "max_decoding_length": LONGEST}
        answers = program.translate_batch(asked, beam_size=1, **limits)
        greedy: dict[str, Any] = {"beam": 1, "n_best": 1, "temperature": 0.0, "unknown": "keep"}
        greedy |= {"min_ratio": 0.0, "max_ratio": 0.0, "max_added": LONGEST - 1}
        said = [decode(one.hypotheses[0]) for one in answers]
        wanted = [one.text for one in model.translate(fits, **greedy)]
        others = [(a, b) for a, b in zip(said, wanted, strict=True) if a != b]
        equal = 1 - len(others) / max(len(said), 1)
        if equal < FEWEST_EQUAL and not int8:
            cause = f"{equal:.1%} of {len(said)} outputs are equal; the first other is"
            cause = "{} {:.200}, not {:.200}".format(cause, *map(repr, others[0]))
            raise DataError(cause, place="CTranslate2", cure="export a bundle instead")
    return {"parity": {"lines": len(said), "equal_outputs": round(equal, 4)}}


def _write_model(folder: RuntimeFolder, out: Path, *, int8: bool) -> None:
    """Write ``config.json``, ``model.bin`` and the vocabularies of CTranslate2 into a folder."""
    from ctranslate2.specs.transformer_spec import TransformerSpec

    # Copies, for CTranslate2 changes them in place.
    tensors = {name: np.array(tensor) for name, tensor in folder.weights.tensors.items()}
    width, group = int(folder.config.model.hidden), folder.config.model.transformer
    layers = group.encoder_layers, group.decoder_layers
    spec = TransformerSpec.from_config(layers, group.heads, alignment_heads=group.heads)
    angles = np.outer(np.arange(PLACES), 10_000.0 ** (-np.arange(0, width, 2) / width))
    places = np.concatenate((np.sin(angles), np.cos(angles)), 1).astype(np.float32)

    def fill(part: Any, name: str, rows: slice = slice(None)) -> None:
        """Set a linear layer or a normalisation."""
        names = ("gamma", "beta") if hasattr(part, "gamma") else ("weight", "bias")
        for theirs, ours in zip(names, ("weight", "bias"), strict=True):
            setattr(part, theirs, tensors[f"{name}.{ours}"][rows])

    for side, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        fill(stack.layer_norm, f"{side}.norm")
        stack.position_encodings.encodings = places
        for number, layer in enumerate(stack.layer):
            feed, own = layer.ffn, layer.self_attention
            parts = {"feed": (feed, feed.linear_0, feed.linear_1), "self": (own, *own.linear)}
            if side == "decoder":
                first, memory, last = layer.attention.linear
                parts["cross"] = layer.attention, first, last
                rows = slice(2 * width * number, 2 * width * (number + 1))  # its keys and values
                fill(memory, "decoder.memory", rows)
            for name, (part, first, last) in parts.items():
                prefix = f"{side}.layers.{number}.{name}"
                fill(part.layer_norm, f"{prefix}_norm")
                fill(first, f"{prefix}_in")
                fill(last, f"{prefix}_out")
    table = spec.encoder.embeddings[0].weight = tensors[SOURCE_TABLE]
    spec.decoder.embeddings.weight = tensors.get(TARGET_TABLE, table)  # none if they share one
    spec.decoder.projection.weight = tensors.get(OUTPUT, spec.decoder.embeddings.weight)
    spec.decoder.projection.bias = tensors["output.bias"]
    spec.register_source_vocabulary([token for token, _ in vocabulary(folder.source)])
    spec.register_target_vocabulary([token for token, _ in vocabulary(folder.target)])
    spec.config.add_source_eos, spec.config.layer_norm_epsilon = True, 1e-5
    spec.validate()
    spec.optimize("int8" if int8 else None)
    spec.save(str(out))
