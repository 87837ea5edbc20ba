"""A bundle says what its folder says, without torch; a bundle that others changed is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dragoman
from dragoman.api import load
from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import from_toml, merge, to_toml
from dragoman.data.source import Source
from dragoman.errors import DataError, DragomanError, FolderError, OptionError, UsageError
from dragoman.export.bundle import _without_paths, export, parity, shortlist_agrees
from dragoman.export.web import export_site
from dragoman.runtime.shortlist import Shortlist, learn_shortlist
from sites import save_folder
from tiny_translator import translator

pytest.importorskip("onnxruntime")
LINES = [f"w{a} w{b} w{c}" for a in range(9) for b in range(8) for c in range(8)]
WITHOUT_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pyarrow", "sacrebleu", "matplotlib", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from dragoman.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that learned to turn words around, for a few steps."""
    home = tmp_path_factory.mktemp("export")
    pairs = "".join(f"{line}\t{' '.join(reversed(line.split()))}\n" for line in LINES)
    (home / "p.tsv").write_text(pairs, "utf-8")
    recipe = """
        [model]
        hidden = 32
        embedding = 16
        [source]
        level = "word"
        [target]
        level = "word"
        [training]
        steps = 120
        batch_tokens = 256
        learning_rate = 0.02
        warmup = 10
        """
    (home / "r.toml").write_text(recipe, "utf-8")
    dragoman.train(home / "p.tsv", home / "m", from_toml(home / "r.toml"))
    return home / "m"


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    export(folder, folder.parent / "b", licence="CC BY 4.0")
    return folder.parent / "b"


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_bundle_answers_as_its_folder(
    folder: Path, tmp_path: Path, int8: bool, zipped: bool
) -> None:
    out = tmp_path / "made"
    facts = export(folder, out, int8=int8, zipped=zipped, licence="none")
    assert out.is_file() == zipped and list(tmp_path.iterdir()) == [out]
    assert facts["licence"] == "none" and facts["parity"]["lines"] > 15
    model, other = load(folder), load(out)
    for beam in (1, 3):
        pairs = zip(
            model.translate(LINES[:60], beam=beam),
            other.translate(LINES[:60], beam=beam, shortlist=False),
            strict=True,
        )
        same = [a.text == b.text for a, b in pairs]
        assert all(same) if not int8 else sum(same) > 50
    short = [answer.text for answer in other.translate(LINES[:60])]
    assert len(set(short)) > 10
    (one,) = other.score([("w1 w2", "w2 w1")])
    assert np.isfinite(one.hypothesis.log_prob)
    assert other.confidence == model.confidence is not None
    found = other.evaluate([(line, " ".join(reversed(line.split()))) for line in LINES[:50]])
    assert found.outputs == tuple(short[:50])


@pytest.mark.slow
def test_sparse_weights_and_words_are_learned_and_shipped(folder: Path, tmp_path: Path) -> None:
    sparse = {"attention_weights": "sparsemax", "output_probabilities": "entmax"}
    config = from_toml(folder.parent / "r.toml")
    config = merge(config, {"model": sparse}, place="test")
    dragoman.train(folder.parent / "p.tsv", tmp_path / "m", config)
    rows = [json.loads(row) for row in (tmp_path / "m" / "metrics.jsonl").open()]
    last = [row for row in rows if row["kind"] == "validation"][-1]
    assert 0 < last["loss"] < 1 and "perplexity" not in last  # not the infinite likelihood
    model = load(tmp_path / "m")
    for int8 in (False, True):
        export(tmp_path / "m", tmp_path / "b", int8=int8)
        other = load(tmp_path / "b")
        for asked in ({"beam": 1}, {"beam": 5, "n_best": 5}, {"beam": 3, "min_ratio": 2.0}):
            pairs = zip(
                model.translate(LINES[:40], **asked),
                other.translate(LINES[:40], shortlist=False, **asked),
                strict=True,
            )
            same = [a.texts == b.texts if not int8 else a.text == b.text for a, b in pairs]
            assert all(same) if not int8 else sum(same) > 30
    (best,) = model.translate(["w1 w2 w3"], n_best=5)
    assert best.score > -1 and best.hypotheses[-1].log_prob > -1_000  # no word without weight
    for request in (
        dragoman.Request("w1 w2 w3", must=("w7",)),
        dragoman.Request("w1 w2 w3", never=(best.text.split()[0],)),
        dragoman.Request("w1 w2 w3", prefix="w8 w8"),
    ):
        for asked in ({"beam": 3}, {"temperature": 1.0}):
            if request.must and "temperature" in asked:
                continue
            (answer,) = model.translate([request], **asked)
            assert not answer.unmet and answer.text.startswith(request.prefix)
            assert not set(request.never) & set(answer.text.split())
            assert np.isfinite(answer.hypotheses[0].log_prob)
    (one,) = model.score([("w1 w2 w3", "w7 w7")])
    assert -np.inf < one.hypothesis.log_prob < -5_000


@pytest.mark.slow
@pytest.mark.parametrize("write", [export, partial(export_site, runtime="", languages=("a", "b"))])
def test_an_export_replaces_no_run(folder: Path, write: Callable[..., Any]) -> None:
    """Whoever calls it: a folder with other files than a bundle's stays as it is."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(OptionError, match="holds other files than a bundle's"):
        write(folder, folder)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_the_same_export_makes_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(folder, tmp_path / name, zipped=True, int8=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_zip_file_is_never_the_name_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m").mkdir()
    for to in ("bundle", "web", "ctranslate2"):
        asked = ["export", str(tmp_path / "m"), "--to", to, "--out", str(tmp_path / "b.ZIP")]
        assert main(asked) == 2
        assert "b.ZIP is the name of a file" in (said := capsys.readouterr().err)
        assert "(--zip, or another name)" in said
    assert not (tmp_path / "b.ZIP").exists()


def test_a_zip_file_replaces_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "letter").write_text("kept")
    for out in (tmp_path / "letter", tmp_path / "m"):
        assert main(["export", str(tmp_path / "m"), "--zip", "--out", str(out)]) == 2
        assert f"{out} is no zip file" in capsys.readouterr().err
    assert (tmp_path / "letter").read_text() == "kept"


@pytest.mark.slow
def test_zip_files_are_compared_as_folders_are(
    bundle: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(folder, tmp_path / "z.zip", zipped=True)
    paths = [str(bundle), str(tmp_path / "z.zip")]
    assert main(["evaluate", *paths, str(folder.parent / "p.tsv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]
    assert [one.pop("folder") for one in found] == paths
    assert found[0]["scores"] == found[1]["scores"]


@pytest.mark.slow
def test_errors_name_the_zip_file_that_was_given(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "z.zip", zipped=True)
    other = save_folder(tmp_path / "other", {}, {}, {})
    for paths in ((tmp_path / "z.zip", other), (other, tmp_path / "z.zip")):
        with pytest.raises(
            FolderError, match=r"cannot answer together with \S+: its target"
        ) as told:
            load(*paths)
        assert str(tmp_path / "z.zip") in str(told.value)
        assert "dragoman-" not in str(told.value)
    with pytest.raises(UsageError, match=r"z\.zip: a bundle cannot be explained"):
        load(tmp_path / "z.zip").explain("w1")
    with pytest.raises(DataError, match=f"{tmp_path / 'z.zip'}: holds no held-out pairs"):
        load(tmp_path / "z.zip").evaluate()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["bundle", "folder"])
def test_translating_needs_no_torch(bundle: Path, folder: Path, which: str) -> None:
    bundle = bundle if which == "bundle" else folder
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "translate", str(bundle), "--json"],
        input="w1 w2 w3\n\nw4 w9\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    expected = load(bundle).translate(["w1 w2 w3", "", "w4 w9"])
    assert [a["text"] for a in answers] == [e.text for e in expected]
    assert 0 < answers[0]["confidence"] < 1


@pytest.mark.slow
def test_what_needs_torch_is_refused(bundle: Path, folder: Path, tmp_path: Path) -> None:
    model = load(bundle)
    with pytest.raises(UsageError, match="a bundle cannot be explained"):
        model.explain("w1")
    with pytest.raises(UsageError, match="a bundle cannot be explained"):
        model.explain_pairs([("w1", "w2")])
    with pytest.raises(UsageError, match="a bundle cannot be exported"):
        export(bundle, tmp_path / "x")
    with pytest.raises(OptionError, match="runs on the processor"):
        load(bundle, device="cuda")
    both = load(bundle, folder)  # an ensemble of both kinds
    assert (
        both.translate(["w1 w2"], shortlist=False)[0].text
        == load(folder).translate(["w1 w2"])[0].text
    )


def _json(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        facts = json.loads((path / "bundle.json").read_text())
        change(facts)
        (path / "bundle.json").write_text(json.dumps(facts))

    return damage


def _told(name: str, raw: bytes) -> Callable[[Path], None]:
    """A file with other content, and its true digest."""

    def damage(path: Path) -> None:
        (path / name).write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        _json(lambda facts: facts["files"].update({name: digest}))(path)

    return damage


def _other_graph(path: Path) -> None:
    raw = (path / "decoder.onnx").read_bytes()
    assert raw.count(b"Tanh") > 0
    _told("decoder.onnx", raw.replace(b"Tanh", b"Relu"))(path)


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (
        lambda path: (path / "decoder.onnx").unlink(),
        "decoder.onnx: is missing, damaged, or of another",
    ),
    (lambda path: (path / "bundle.json").write_text("{"), "bundle.json: is missing or damaged"),
    (lambda path: (path / "bundle.json").unlink(), "bundle.json: is missing or damaged"),
    (_json(lambda facts: facts.update(format="9")), "bundle.json: has format '9', this version"),
    (_json(lambda facts: facts.pop("files")), "bundle.json: is missing or damaged"),
    (
        _json(lambda facts: facts["files"].pop("target.json")),
        "a file too many or too few: 'target.json'",
    ),
    (_json(lambda facts: facts["files"].update(more="0")), "a file too many or too few: 'more'"),
    (
        lambda path: (path / "source.json").write_text("{}"),
        "source.json: is missing, damaged, or of another",
    ),
    (_other_graph, "decoder.onnx: is not the graph that config.toml describes"),
    (_told("encoder.onnx", b""), "encoder.onnx: is not the graph"),
    (_told("model.safetensors", b"1" * 100), "model.safetensors: is damaged or no safetensors"),
    (_told("shortlist.safetensors", b"no"), "shortlist.safetensors: is damaged"),
    (_told("config.toml", b"[model]\nhidden = 64\nembedding = 16\n"), "dropout is 'auto'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_changed_bundle_is_refused(
    bundle: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle, changed)
    damage(changed)
    with pytest.raises(FolderError, match=message):
        load(changed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "other", "message"),
    [
        (b"hidden = 32", b"hidden = 34", "model.safetensors: tensor .* expected from config.toml"),
        (b"reverse_source = false", b"reverse_source = true", "encoder.onnx: is not the graph"),
    ],
)
def test_options_of_another_model_do_not_fit(
    bundle: Path, tmp_path: Path, option: bytes, other: bytes, message: str
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(bundle, changed)
    text = (changed / "config.toml").read_bytes().replace(option, other)
    _told("config.toml", text)(changed)
    with pytest.raises(FolderError, match=message):
        load(changed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"), [("../out", "holds '../out', which is no file"), ("more", "holds 'more'")]
)
def test_a_zip_file_with_other_files_is_refused(
    bundle: Path, tmp_path: Path, name: str, message: str
) -> None:
    made = tmp_path / "z.zip"
    with zipfile.ZipFile(made, "w") as file:
        for path in bundle.iterdir():
            file.write(path, path.name)
        file.writestr(name, "x")
    with pytest.raises(FolderError, match=message):
        load(made)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_damaged_zip_file_is_named_itself(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "z.zip"
    export(folder, made, zipped=True)
    raw = bytearray(made.read_bytes())
    raw[200:260] = bytes(60)
    made.write_bytes(raw)
    with pytest.raises(FolderError, match="z.zip.*is a damaged zip file|z.zip"):
        load(made)


def test_a_bundle_that_says_something_else_is_refused() -> None:
    one, other = translator("word"), translator("word", scale=2.0)
    pairs = [("the cat sat", "the dog sat"), ("a category of cats", "dogs sit !")]
    options = Config().search
    same = parity(dict.fromkeys(("folder", "bundle", "shortlist"), one), pairs, options, int8=False)
    assert same["largest_difference"] == 0 and same["equal_bundle"] == same["equal_shortlist"] == 1
    with pytest.raises(
        DataError, match=r"something else than the folder: .+'largest_difference'.+report"
    ):
        parity({"folder": one, "bundle": other}, pairs, options, int8=False)
    pairs = [
        (source, answer.text)
        for source, answer in zip(
            [s for s, _ in pairs], one.translate([s for s, _ in pairs], options), strict=True
        )
    ]
    with pytest.raises(
        DataError, match=r"something else than the folder: .+'bleu_bundle'.+without --int8"
    ):
        parity({"folder": one, "bundle": other}, pairs, options, int8=True)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(4, 1024), (0, 1)])
def test_a_shortlist_is_the_default_where_it_changes_little(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    monkeypatch.setattr("dragoman.runtime.shortlist.LIKELY", sizes[0])
    monkeypatch.setattr("dragoman.runtime.shortlist.FREQUENT", sizes[1])
    found = export(folder, tmp_path / "b")["parity"]
    agrees = sizes != (0, 1)
    assert (found["equal_shortlist"] >= 0.95) == agrees
    model = load(tmp_path / "b")  # the digests are right
    assert model.config.search.shortlist == agrees
    without = [answer.text for answer in model.translate(LINES[:40], shortlist=False)]
    assert ([answer.text for answer in model.translate(LINES[:40])] == without) or agrees


@pytest.mark.parametrize(
    ("equal", "bleu", "agrees"),
    [(0.95, 30.2, True), (0.94, 30.0, False), (1.0, 29.7, False), (1.0, 30.3, False)],
)
def test_what_a_shortlist_may_change(equal: float, bleu: float, agrees: bool) -> None:
    found = {"equal_shortlist": equal, "bleu_shortlist": bleu, "bleu_bundle": 30.0}
    assert shortlist_agrees(found) == agrees


def test_words_that_translate_each_other_are_likely() -> None:
    random = np.random.default_rng(1)
    pairs = []
    for _ in range(300):
        source = random.integers(10, 40, random.integers(2, 9)).astype(np.int32)
        pairs.append((Source(source), random.permutation(source + 100)))
    found = learn_shortlist(pairs, (50, 200))
    for word in range(10, 40):
        assert found.words[found.starts[word]] == word + 100
    assert len(found.always) == 200 and set(found.always[:30]) == set(range(110, 140))


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, 1], np.int32)},
        {"starts": np.array([0, 2, 1, 3], np.int32)},
        {"words": np.array([1, 2, 99], np.int32)},
        {"words": np.array([1, 2, 3], np.int64)},
        {"always": np.array([-1], np.int32)},
    ],
)
def test_a_shortlist_of_other_vocabularies_is_refused(change: dict[str, Any]) -> None:
    right = {"starts": np.array([0, 1, 2, 3], np.int32), "words": np.array([1, 2, 3], np.int32)}
    right["always"] = np.array([4], np.int32)
    assert Shortlist.of(right, (3, 9), "s")._asdict().keys() == right.keys()
    with pytest.raises(DragomanError, match="s: is not a shortlist of these vocabularies"):
        Shortlist.of(right | change, (3, 9), "s")
    assert torch is not None


def test_no_name_of_a_file_of_this_machine_goes_into_a_bundle() -> None:
    data = {"validation_pairs": ["home/v.tsv"], "also": ["home/a.tsv=0.5"]}
    side, training = {"vectors": "home/x.vec"}, {"start_from": "home/m", "freeze": True}
    tree = {"data": data, "source": side, "target": side, "training": training}
    config = merge(Config(), tree, place="test")
    assert "home/" in to_toml(config) and "home/" not in to_toml(_without_paths(config))
