"""Writes a Transformer for CTranslate2 or Argos Translate, and measures that it says the same.

CTranslate2 runs Transformers in C++; Argos Translate is built on it. Its layers compute what those
of :mod:`dragoman.model.transformer` compute, so that the weights only get other names.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.api import Model, Paths, load
from dragoman.config.options import SearchOptions
from dragoman.errors import DataError, OptionError, naming_extras
from dragoman.evaluation.examples import Pairs
from dragoman.export.argos import require_sentencepiece, write_package
from dragoman.export.bundle import new_folder, require_replaceable
from dragoman.layout import CARD

PLACES = 1024
"""Most source tokens that CTranslate2 reads unless asked for more: the positions it gets."""
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
        DataError: in fp32, too few outputs are the folder's.
        OptionError: the model is of another family, copies source words, reads tags or has an
            entmax output; a package cannot have its options; or ``out`` holds other files.
        UsageError: the folder is a bundle, or an ensemble.
    """
    require_replaceable(Path(out), zipped=languages is not None)
    model = load(folder)
    found, options = model.torch_folder("exported"), model.config.model  # refuses other folders
    plain = not options.copies and options.output_probabilities == "softmax"
    if options.family != "transformer" or not plain or found.source.tags:
        others = "copies words, reads tags or has an entmax output"
        cause = f"CTranslate2 runs only Transformers, and none that {others}"
        raise OptionError(cause, place="--to", cure="leave it out: ONNX Runtime runs a bundle")
    if languages:
        require_sentencepiece(model.config, languages)
    sources, most = model.examples(pairs).sources[:lines], model.config.source.max_tokens
    tokens = [found.source.tokens(ids) for ids in found.source.encode(sources)]
    with new_folder(Path(out), zipped=languages is not None) as aside:
        home = aside / "translate-{}_{}-1_0".format(*languages) if languages else aside
        place, card = home / "model" if languages else home, found.path / CARD
        place.mkdir(parents=True, exist_ok=True)
        text = card.read_text("utf-8") if card.exists() else ""
        (home / CARD).write_text(f"{text}\nLicence: {licence or 'not stated'}\n", "utf-8")
        _write_model(model, place, int8=int8)
        if languages:
            pieces = write_package(home, found.source, model.config.source, languages)
            tokens = pieces.encode(list(sources), out_type=str)
        cut = [(source, line[:most]) for source, line in zip(sources, tokens, strict=True)]
        equal = _equal_outputs(model, place, cut)
        if equal < FEWEST_EQUAL and not int8:
            cause = f"only {equal:.1%} of the outputs are the folder's"
            raise DataError(cause, place="CTranslate2", cure="export a bundle, and report this")
    return {"parity": {"lines": len(sources), "equal_outputs": round(equal, 4)}}


def _equal_outputs(model: Model, written: Path, cut: Sequence[tuple[str, list[str]]]) -> float:
    """The share of lines to which the folder and CTranslate2 greedily give the same output.

    Args:
        model: of the folder.
        written: the folder of CTranslate2.
        cut: source lines, each with its tokens.
    """
    from ctranslate2 import Translator

    sources, tokens = zip(*cut, strict=True)
    answers = Translator(str(written)).translate_batch(tokens, beam_size=1, min_decoding_length=0)
    said = [model.folder.target.join(answer.hypotheses[0]) for answer in answers]
    # CTranslate2 writes at most 256 tokens unless it is asked for more.
    greedy = SearchOptions(beam=1, unknown="keep", max_ratio=0, max_added=255, long="truncate")
    wanted = model.translator({"int8": False})[0].translate(sources, greedy)
    return sum(a == b.text for a, b in zip(said, wanted, strict=True)) / len(cut)


def _write_model(model: Model, out: Path, *, int8: bool) -> None:
    """Write ``config.json``, ``model.bin`` and the vocabularies of CTranslate2 into a folder."""
    from ctranslate2.converters.opennmt_py import set_layer_norm, set_linear
    from ctranslate2.specs import TransformerSpec

    # CTranslate2 overwrites them for int8; no one else reads this copy of the weights.
    tensors = model.torch_folder("exported").model.state_dict()
    width, sizes = int(model.config.model.hidden), model.config.model.transformer
    layers = sizes.encoder_layers, sizes.decoder_layers
    spec = TransformerSpec.from_config(layers, sizes.heads, alignment_heads=sizes.heads)
    angles = np.outer(np.arange(PLACES), 10_000.0 ** (-np.arange(0, width, 2) / width))
    for side, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        stack.position_encodings.encodings = np.concatenate((np.sin(angles), np.cos(angles)), 1)
        set_layer_norm(stack.layer_norm, tensors, f"{side}.norm")
        for number, layer in enumerate(stack.layer):
            prefix, feed, own = f"{side}.layers.{number}", layer.ffn, layer.self_attention
            parts = {"feed": (feed, feed.linear_0, feed.linear_1), "self": (own, *own.linear)}
            if side == "decoder":
                first, memory, last = layer.attention.linear
                parts["cross"] = layer.attention, first, last
                memory.weight = tensors["decoder.memory.weight"].chunk(layers[1])[number]
                memory.bias = tensors["decoder.memory.bias"].chunk(layers[1])[number]
            for name, (part, first, last) in parts.items():
                set_layer_norm(part.layer_norm, tensors, f"{prefix}.{name}_norm")
                set_linear(first, tensors, f"{prefix}.{name}_in")
                set_linear(last, tensors, f"{prefix}.{name}_out")
    spec.encoder.embeddings[0].weight = tensors["encoder.embedding.weight"]
    spec.decoder.embeddings.weight = tensors["decoder.embedding.weight"]
    set_linear(spec.decoder.projection, tensors, "output")
    spec.register_source_vocabulary(model.folder.source.tokens(range(len(model.folder.source))))
    spec.register_target_vocabulary(model.folder.target.tokens(range(len(model.folder.target))))
    spec.config.add_source_eos, spec.config.layer_norm_epsilon = True, 1e-5
    spec.validate()
    spec.optimize("int8" if int8 else None)
    spec.save(str(out))
