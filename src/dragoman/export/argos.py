"""Writes what a package of Argos Translate has besides CTranslate2's model.

LibreTranslate serves such packages as well. Both cut text into tokens by SentencePiece, whose model
is written here from the source's vocabulary. It also joins the tokens of an output, which need not
be among its own: those of both sides mark spaces alike.
"""

import json
import unicodedata
from pathlib import Path
from typing import Any

from dragoman.config.options import Config, SideOptions
from dragoman.data.tokenizer import SPECIAL, UNK, Tokenizer
from dragoman.data.vocabulary import build_normalizer, spells_bytes
from dragoman.errors import OptionError

_CHARACTERS = [*range(1, 0xD800), *range(0xE000, 0x30000)]
"""Code points that a normal form may change."""


def require_sentencepiece(config: Config, languages: tuple[str, str]) -> None:
    """Check that a package can say what the model reads and writes.

    Raises:
        OptionError: an option has no counterpart there, or the languages are unknown.
    """
    greek = config.source.lowercase and config.source.casing == "greek"
    spelled = spells_bytes(config.source) and spells_bytes(config.target)
    if not spelled or config.source.keep_only or greek:
        cause = "a package needs byte_fallback, and a source without keep_only and Greek case"
        cure = "level bpe or unigram on both sides; or export a bundle"
        raise OptionError(cause, place="--to argos", cure=cure)
    if languages == ("source", "target"):
        raise OptionError("a package has languages", place="--to argos", cure="--languages fr:en")


def write_package(out: Path, source: Tokenizer, read: SideOptions, codes: tuple[str, str]) -> Any:
    """Write ``metadata.json`` and ``sentencepiece.model``.

    Args:
        out: the folder of the package.
        source: the source's tokenizer, at level ``bpe`` or ``unigram`` and with byte tokens.
        read: options of the source.
        codes: of the languages of source and target.

    Returns:
        A ``SentencePieceProcessor``, which cuts text into the same tokens.
    """
    from sentencepiece import SentencePieceNormalizer, SentencePieceProcessor, set_min_log_level
    from sentencepiece.sentencepiece_model_pb2 import ModelProto, NormalizerSpec

    facts = {"package_version": "1.0", "argos_version": "1.11"}
    for side, code in zip(("from", "to"), codes, strict=True):
        facts |= {f"{side}_code": code, f"{side}_name": code}
    (out / "metadata.json").write_text(json.dumps(facts), "utf-8")
    found = json.loads(source.json)["model"]["vocab"]
    # Log-probabilities at level unigram; at level bpe minus ids, which put the merges in order.
    scores = dict(found) if isinstance(found, list) else {token: -i for token, i in found.items()}
    kinds = dict.fromkeys(SPECIAL, "CONTROL") | {SPECIAL[UNK]: "UNKNOWN"}
    kinds |= dict.fromkeys((f"<0x{byte:02X}>" for byte in range(256)), "BYTE")
    model = ModelProto(trainer_spec={"model_type": read.level.upper(), "byte_fallback": True})
    for token, score in (dict.fromkeys(kinds, 0) | scores).items():  # SentencePiece wants all bytes
        model.pieces.add(piece=token, score=score, type=kinds.get(token, "NORMAL"))
    set_min_log_level(2)  # else it writes the number of the rules
    rules = SentencePieceNormalizer(norm_map=_normal_forms(read)).serialized_normalizer_spec()
    # The map alone: what it says of spaces besides depends on the version of SentencePiece.
    charsmap = NormalizerSpec.FromString(rules).precompiled_charsmap
    model.normalizer_spec.precompiled_charsmap = charsmap
    (out / "sentencepiece.model").write_bytes(model.SerializeToString())
    return SentencePieceProcessor(model_file=str(out / "sentencepiece.model"))


def _normal_forms(options: SideOptions) -> list[tuple[str, str]]:
    """The characters, whole and decomposed into a letter and its marks, that the options change.

    Returns:
        Each with its normal form. White space becomes one space, which SentencePiece joins to those
        beside it.
    """
    normalize, forms = build_normalizer(options).normalize_str, set(map(chr, _CHARACTERS))
    forms |= {unicodedata.normalize("NFD", form) for form in forms}
    forms |= {unicodedata.normalize("NFC", form[:-1]) + form[-1] for form in forms}
    normal = ((form, normalize(f"0{form}0")[1:-1]) for form in forms)  # ends lose their spaces
    return sorted(pair for pair in normal if pair[0] != pair[1])
