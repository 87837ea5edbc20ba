"""Writes what a package of Argos Translate has besides CTranslate2's model.

LibreTranslate serves such packages as well. Both cut text into tokens by SentencePiece, whose model
is written here from the source's vocabulary. It also joins the tokens of an output, which need not
be among its own: those of both sides mark spaces alike.
"""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

from dragoman.config.options import Config, SideOptions
from dragoman.data.tokenizer import BOS, EOS, PAD, SPACE, UNK, Tokenizer
from dragoman.data.vocabulary import build_normalizer, spells_bytes
from dragoman.errors import OptionError
from dragoman.runtime.folder import RuntimeFolder

Client = tuple[Callable[[str], list[str]], Callable[[list[str]], str]]
"""How a program turns text into the source's tokens, and the target's tokens into text."""
_CHARACTERS = [*range(1, 0xD800), *range(0xE000, 0x30000)]
"""Code points that a normal form may change."""


def require_sentencepiece(
    config: Config, source: Tokenizer, languages: tuple[str, str] | None
) -> None:
    """Check that a package can say what the model reads and writes.

    Raises:
        OptionError: an option has no counterpart there, or the languages are unknown.
    """
    read, sides, unknown = config.source, (config.source, config.target), ("source", "target")
    needs = {
        "level bpe or unigram and byte_fallback on both sides": all(map(spells_bytes, sides)),
        "a source without tags": not source.tags,
        "a source without keep_only": not read.keep_only,
        "a source without Greek lower-casing": not (read.lowercase and read.casing == "greek"),
        "codes of its languages (--languages fr:en)": languages not in (None, unknown),
    }
    for need, met in needs.items():
        if not met:
            raise OptionError(f"a package needs {need}", place="--to argos")


def write_package(folder: RuntimeFolder, out: Path, languages: tuple[str, str]) -> Client:
    """Write ``metadata.json`` and ``sentencepiece.model``.

    Args:
        folder: the model folder.
        out: the folder of the package.
        languages: codes of source and target.

    Returns:
        What Argos Translate does with text and with tokens.
    """
    from sentencepiece import SentencePieceProcessor

    facts = {"package_version": "1.0", "argos_version": "1.11"}
    for side, code in zip(("from", "to"), languages, strict=True):
        facts |= {f"{side}_code": code, f"{side}_name": code}
    (out / "metadata.json").write_text(json.dumps(facts), "utf-8")
    model = sentencepiece_model(folder.source, folder.config.source)
    (out / "sentencepiece.model").write_bytes(model)
    processor = SentencePieceProcessor(model_proto=model)

    def decode(tokens: list[str]) -> str:
        text = str(processor.decode_pieces(tokens)).replace(SPACE, " ").replace("_", " ")
        return text.removeprefix(" ")

    return lambda text: processor.encode(text, out_type=str), decode


def sentencepiece_model(tokenizer: Tokenizer, options: SideOptions) -> bytes:
    """A tokenizer as a model of SentencePiece, which cuts text into the same tokens.

    Args:
        tokenizer: at level ``bpe`` or ``unigram``, with byte tokens.
        options: of its side.
    """
    import sentencepiece
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model, kinds = ModelProto(), ModelProto.SentencePiece
    model.trainer_spec.model_type = 1 if options.level == "unigram" else 2
    model.trainer_spec.byte_fallback = True
    special = dict.fromkeys((PAD, BOS, EOS), kinds.CONTROL) | {UNK: kinds.UNKNOWN}
    every, known = [f"<0x{byte:02X}>" for byte in range(256)], vocabulary(tokenizer)
    more = [(token, 0.0) for token in every if token not in dict(known)]  # it must have all bytes
    for i, (token, score) in enumerate(known + more):
        kind = kinds.BYTE if token in every else special.get(i, kinds.NORMAL)
        model.pieces.add(piece=token, score=score, type=kind)
    sentencepiece.set_min_log_level(2)  # else it writes the number of the rules
    rules = sentencepiece.SentencePieceNormalizer(norm_map=normal_forms(options))
    model.normalizer_spec.ParseFromString(rules.serialized_normalizer_spec())
    return bytes(model.SerializeToString())


def vocabulary(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """The tokens in the order of their ids, each with its score.

    That is a log-probability at level ``unigram``; elsewhere minus the id, which puts the merges of
    BPE in their order.
    """
    found = json.loads(tokenizer.json)["model"]["vocab"]
    if isinstance(found, list):
        return [(token, score) for token, score in found]
    return [(token, -float(i)) for token, i in sorted(found.items(), key=lambda one: one[1])]


def normal_forms(options: SideOptions) -> list[tuple[str, str]]:
    """The characters, whole and decomposed into a letter and its marks, that the options change.

    Returns:
        Each with its normal form. White space becomes one space, which SentencePiece joins to those
        beside it.
    """
    normalizer, found = build_normalizer(options), {}
    for character in map(chr, _CHARACTERS):
        apart = unicodedata.normalize("NFD", character)
        half = unicodedata.normalize("NFC", apart[:-1]) + apart[-1]  # a letter, its last mark apart
        for form in (character, apart, half):
            normal = normalizer.normalize_str(f"0{form}0")[1:-1]  # the ends would lose their spaces
            if normal != form:
                found[form] = normal
    return sorted(found.items())
