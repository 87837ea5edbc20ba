"""A corpus that is prepared apart: training from it is training from its pairs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from dragoman.cli import main
from dragoman.data import prepare
from dragoman.errors import DataError
from dragoman.layout import members
from dragoman.training import folder
from ranks import two_ranks
from tools.differences import differences

pytestmark = pytest.mark.slow

PAIRS = "".join(f"A{i} b{j}\tB{j} A{i}\n" for i in range(12) for j in range(10))
DATA = ["--source.lowercase", "--validation", "7", "--source.level", "word"]
TRAIN = ["--steps", "6", "--hidden", "8", "--embedding", "8", "--threads", "1", "--precision"]
TRAIN += ["fp32", "--validation-sample", "5", "--refit", "False"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pairs, ``p.tsv``, and a corpus of them, ``c``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.tsv").write_text(PAIRS)
    assert main(["prepare", "p.tsv", "--out", "c", *DATA]) == 0
    return tmp_path


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that is refused says: one line."""
    capsys.readouterr()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_corpus_trains_as_its_pairs_do(place: Path) -> None:
    assert main(["train", "p.tsv", "--out", "direct", *DATA, *TRAIN]) == 0
    (place / "p.tsv").unlink()
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    assert weights(place / "m") == weights(place / "direct")
    for name in ("config.toml", "source.json", "target.json"):
        assert (place / "m" / name).read_bytes() == (place / "direct" / name).read_bytes()
    for file in (place / "direct" / "corpus").iterdir():
        assert (place / "m" / "corpus" / file.name).read_bytes() == file.read_bytes()
        assert (place / "m" / "corpus" / file.name).samefile(place / "c" / "corpus" / file.name)


def test_notes_about_a_corpus_are_told_once_and_kept(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    assert "reads as" not in capsys.readouterr().err
    assert "reads as: TSV" in json.loads((place / "m" / "run.json").read_text())["notes"]


def test_a_corpus_takes_the_place_of_what_an_interrupted_preparation_left(place: Path) -> None:
    (place / "m" / "preparing").mkdir(parents=True)
    (place / "m" / "preparing" / "text.arrow").write_bytes(b"half")
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    assert not (place / "m" / "preparing").exists()


@pytest.mark.parametrize("verb", ["translate", "evaluate", "serve", "export"])
def test_a_corpus_is_no_model_yet(
    place: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    rest = ["--out", "b"] if verb == "export" else []
    said = refused([verb, "c", *rest], capsys)
    assert said == f"dragoman {verb}: c: has no weights (dragoman train c --out MODEL)"


def test_a_run_that_was_killed_early_is_to_be_resumed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    (place / "m" / "model.safetensors").unlink()
    assert refused(["translate", "m"], capsys).endswith("m: has no weights (resume it)")


def test_a_corpus_holds_what_a_model_folder_holds_before_its_weights(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {file.name for file in (place / "c").iterdir()}
    assert found == {".lock", "config.toml", "source.json", "target.json", "run.json", "corpus"}
    before = {file: file.read_bytes() for file in (place / "c").rglob("*") if file.is_file()}
    capsys.readouterr()
    assert main(["prepare", "p.tsv", "--out", "c", *DATA]) == 0
    said = "dragoman prepare: nothing to do: 113 pairs to learn from, 7 held out; vocabularies of"
    assert capsys.readouterr().err.startswith(said)
    assert "source.lowercase was True, now False" in refused(
        ["prepare", "p.tsv", "--out", "c", *DATA[1:]], capsys
    )
    (place / "p.tsv").write_text(PAIRS + "new\tpair\n")
    assert "other data" in refused(["prepare", "p.tsv", "--out", "c", *DATA], capsys)
    assert before == {f: f.read_bytes() for f in (place / "c").rglob("*") if f.is_file()}


def test_a_corpus_has_no_options_of_training(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(["prepare", "p.tsv", "--out", "d", "--hidden", "8"], capsys)
    assert line.endswith("--model.hidden: does not shape the data (give it to dragoman train d)")
    assert not (place / "d").exists()


def test_preparation_that_ends_early_leaves_only_what_it_goes_on_with(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, code in ((KeyboardInterrupt, 130), (DataError("no use"), 2)):
        for module, name in ((prepare, "learn_tokenizers"), (folder, "save_setup")):
            with monkeypatch.context() as now:
                now.setattr(module, name, Mock(side_effect=error))
                assert main(["prepare", "p.tsv", "--out", f"{code}/d", *DATA]) == code
            left = {path.name for path in (place / str(code)).rglob("*")}
            kept = {"d", "preparing", "text.arrow", "key"} if code == 130 else set()
            assert left == (kept if module is prepare else kept & {"d"})
    shutil.copytree(place / "c" / "corpus", place / "130" / "d" / "preparing")  # of no use
    assert main(["prepare", "p.tsv", "--out", "130/d", *DATA]) == 0
    one, other = (
        {f.name: f.read_bytes() for f in (place / n).iterdir() if f.is_file()}
        for n in ("c/corpus", "130/d/corpus")
    )
    assert one == other
    shutil.copytree(place / "c" / "corpus", place / "d" / "corpus")  # killed before the options
    assert main(["train", "d", "--out", "m", *TRAIN]) == 2
    assert main(["prepare", "p.tsv", "--out", "d", *DATA]) == 0
    assert (place / "d" / "config.toml").exists() and not (place / "m").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--source.no-lowercase"], "source.lowercase is True there, False here"),
        (["--validation", "1000"], "data.validation is 7 there, 1000 here"),
        (["--recipe", "r.toml"], "data.split_seed is 1 there, 5 here"),
        (
            ["--target.level", "char", "--copy", "True"],
            "target.level is 'word' there, 'char' here; model",
        ),
    ],
)
def test_options_of_the_data_are_those_of_the_corpus(
    given: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "r.toml").write_text("[data]\nsplit_seed = 5\n")
    line = refused(["train", "c", "--out", "m", *given, *TRAIN], capsys)
    assert line.startswith(f"dragoman train: c: {said}")
    assert line.endswith("(leave it out, or prepare another corpus with it)")
    assert not (place / "m").exists()


def test_the_same_options_and_auto_are_no_contradiction(place: Path) -> None:
    same = ["--source.lowercase", "--target.level", "auto", "--source.level", "word"]
    assert main(["train", "c", "--out", "m", *same, *TRAIN]) == 0
    asked = json.loads((place / "m" / "run.json").read_text())["asked"]
    assert asked["source.lowercase"] is True and "data.validation" not in asked


def test_a_run_goes_on_with_its_corpus_and_with_no_other(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    before = (place / "m" / "config.toml").read_bytes()
    said = refused(["prepare", "p.tsv", "--out", "m", *DATA], capsys)
    assert said == "dragoman prepare: m: holds a model (choose another --out)"
    assert (place / "m" / "config.toml").read_bytes() == before
    (place / "p.tsv").write_text(PAIRS.replace("b3", "c3"))
    assert main(["prepare", "p.tsv", "--out", "d", *DATA]) == 0
    longer = [*TRAIN, "--steps", "9"]
    assert "holds a run on other data" in refused(["train", "d", "--out", "m", *longer], capsys)
    assert main(["train", "c", "--out", "m", *longer]) == 0
    assert "resuming at step 6" in capsys.readouterr().err
    shutil.rmtree(place / "c")  # the run has it, too
    assert main(["train", "c", "--out", "m", *TRAIN, "--steps", "11"]) == 0
    assert main(["evaluate", "m"]) == 0


def test_a_damaged_corpus_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place / "c" / "corpus" / "train.json"
    file.write_text(file.read_text().replace("p.tsv", "q.tsv"))
    line = refused(["train", "c", "--out", "m", *TRAIN], capsys)
    said = "c: corpus is not what was prepared here (put it back, or begin in another folder)"
    assert line == f"dragoman train: {said}"
    assert not (place / "m").exists()


def test_several_seeds_and_a_refit_share_a_corpus(place: Path) -> None:
    assert main(["train", "c", "--out", "m", "--seeds", "2", *TRAIN[:-2], "--refit", "True"]) == 0
    assert len({weights(one) for one in members(place / "m")}) == 2
    assert json.loads((place / "m" / "seed-1" / "run.json").read_text())["refit"] == 6


def test_where_no_link_can_be_made_a_corpus_is_copied(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", other_disk)
    assert main(["train", "c", "--out", "m", *TRAIN]) == 0
    here, there = (place / one / "corpus" / "train.arrow" for one in ("m", "c"))
    assert here.read_bytes() == there.read_bytes() and not here.samefile(there)


def test_a_corpus_for_a_model_to_continue(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "c", "--out", "old", *TRAIN]) == 0
    (place / "new.tsv").write_text("A1 b1\tnew words\nA2 b2\tmore words\n" * 10)
    assert main(["prepare", "new.tsv", "--out", "d", "--continue", "old"]) == 0
    more = ["--continue", "old", "--steps", "3"]
    assert main(["train", "new.tsv", "--out", "direct", *more]) == 0
    assert main(["train", "d", "--out", "m", *more]) == 0
    assert weights(place / "m") == weights(place / "direct")
    shutil.rmtree(place / "old")
    os.rename(place / "c", place / "old")  # noqa: PTH104
    assert "training.start_from is 'old' there" in refused(
        ["train", "d", "--out", "n", "--start-from", "p.tsv"], capsys
    )


HOSTS = """
import os, sys
from pathlib import Path
from dragoman.cli import main

place = Path(sys.argv[1]) / f"host{os.environ['RANK']}"
os.chdir(place)
code = main(["train", "c", "--out", "m", *sys.argv[2:]])
(place / "code").write_text(str(code))
"""


def test_two_hosts_that_share_no_disk(place: Path, python_command: list[str]) -> None:
    """Each has the corpus; the first alone has word vectors, and the model folder."""
    (place / "script.py").write_text(HOSTS)
    (place / "v.txt").write_text("a1 1 2 3 4 5 6 7 8\n")
    shutil.rmtree(place / "c")
    assert main(["prepare", "p.tsv", "--out", "c", *DATA, "--source.vectors", "v.txt"]) == 0
    for host in ("host0", "host1"):
        shutil.copytree(place / "c", place / host / "c")
    shutil.copyfile(place / "v.txt", place / "host0" / "v.txt")
    command = [*python_command, str(place / "script.py"), str(place), *TRAIN]
    two_ranks([*command, "--steps", "4"])
    two_ranks([*command, "--steps", "8"])
    assert not (place / "host1" / "m").exists()
    whole = [*python_command, "-m", "dragoman", "train", "c", "--out", "whole", *TRAIN]
    two_ranks([*whole, "--steps", "4"])
    two_ranks([*whole, "--steps", "8"])
    assert differences(place / "whole", place / "host0" / "m") == []

    (place / "p.tsv").write_text(PAIRS.replace("b3", "c3"))
    shutil.rmtree(place / "host1" / "c")
    other = ["--out", "host1/c", *DATA, "--source.vectors", "v.txt"]
    assert main(["prepare", "p.tsv", *other]) == 0
    said = two_ranks([*command, "--steps", "9"])
    line = "process 1 has another corpus and source.json than process 0"
    assert said.count(line) == 2
    assert [(place / host / "code").read_text() for host in ("host0", "host1")] == ["2", "2"]


DIFFERENT = """
import os, sys
from pathlib import Path
from dragoman import cli
from dragoman.training import run

rank = os.environ["RANK"]
os.chdir(Path(sys.argv[1]) / f"host{rank}")
differs, real = rank == "1", run.environment
codes = [
    # Hosts may have other numbers of cores.
    cli.main(["train", "p.tsv", "--out", "m", *(["--seed", "2", "--threads", "1"] * differs)]),
    cli.main(["train", "q.tsv" if differs else "p.tsv", "--out", "m"]),
    cli.main(["train", "none.tsv", "--out", "m"]),
    cli.main(["train", "p.tsv", "--out", "m"]),
]
run.environment = lambda: real() | {"torch": rank}
codes.append(cli.main(["train", "p.tsv", "--out", "m"]))
Path("codes").write_text(str(codes))
"""


def test_what_differs_between_processes_is_one_line_of_each(
    place: Path, python_command: list[str]
) -> None:
    (place / "script.py").write_text(DIFFERENT)
    for host in (place / "host0", place / "host1"):
        host.mkdir()
        for pairs in ("p.tsv", "q.tsv"):
            shutil.copyfile("p.tsv", host / pairs)
    said = two_ranks([*python_command, str(place / "script.py"), str(place)])
    for line in (
        "train: process 1 has another training.seed than process 0 (",
        "train: process 1 has another PAIRS than process 0 (",
        "train: none.tsv: no such file or directory (looked in ",
        "train: m: not every process has it (use a disk that all share, ",
        "train: process 1 has another version of torch than process 0 (",
    ):
        assert said.count(line) == 2, said
    for host in (place / "host0", place / "host1"):
        assert (host / "codes").read_text() == "[2, 2, 2, 2, 2]"
        assert not (host / "m").exists()


def test_a_port_in_use_is_one_line(dragoman_command: list[str], tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(other.getsockname()[1])}
        first = port | {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
        command = [*dragoman_command, "train", "p.tsv", "--out", str(tmp_path / "m")]
        done = subprocess.run(
            command, env=os.environ | first, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("dragoman")]
    assert line.startswith("dragoman train: the processes are not joined: ")
    assert "EADDRINUSE" in line and line.endswith(")") and "MASTER_PORT" in line
    assert "Traceback" not in done.stderr and not (tmp_path / "m").exists()
