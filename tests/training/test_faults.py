"""Disks that fail: at every operation of a save the folder still loads, to the old or new state."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from rich.console import Console

from dragoman.config.options import Config, ModelOptions, SideOptions
from dragoman.config.toml import merge
from dragoman.data.setup import save_setup
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.folder import load_folder, save_weights
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training import loop
from dragoman.training.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from dragoman.training.run import train
from dragoman.training.state import TrainingState

OPERATIONS = ("replace", "rename", "fsync", "open", "mkdir", "unlink", "rmdir")
KEEP = 2


class Failing:
    """An open file of which each ``write`` counts; a failing one writes only the first half."""

    def __init__(self, file: Any, step: Callable[[str], bool]) -> None:
        self._file, self._step = file, step

    def write(self, content: Any) -> int:
        if self._step("write"):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def watched(under: Path, step: Callable[[str], bool], code: int = 0) -> Iterator[None]:
    """Call ``step`` before each operation on a file; where it says so, the operation fails."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        def wrap(module: Any, name: str) -> None:
            real = getattr(module, name)

            def operation(*arguments: Any, **more: Any) -> Any:
                if module is not os and not str(arguments[0]).startswith(str(under)):
                    return real(*arguments, **more)
                if step(name):
                    known = (str(arguments[0]),) if name == "open" else ()  # as the system does
                    raise OSError(code, os.strerror(code), *known)
                result = real(*arguments, **more)
                mode = str(arguments[1] if len(arguments) > 1 else more.get("mode", "r"))
                return Failing(result, step) if module is not os and "r" not in mode else result

            patch.setattr(module, name, operation)

        for name in OPERATIONS:
            wrap(os, name)
        wrap(io, "open")
        wrap(builtins, "open")
        stack.enter_context(patch.context())
        yield


class Run:
    """A folder with a saved state, and the same model a step further, not yet saved."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.step = folder, 0
        side = SideOptions(level="word", vocabulary=50)
        self.tokenizer: Tokenizer = train_tokenizer(["a b c"], side)
        self.config = Config(
            source=side,
            target=side,
            model=replace(ModelOptions(), embedding=6, hidden=10, dropout=0.0),
        )
        self.model = self.build()
        self.optimizer = torch.optim.Adam(self.model.parameters())
        folder.mkdir()
        save_setup(folder, self.config, self.tokenizer, self.tokenizer)
        for _ in range(KEEP + 1):
            self.learn()
            self.save()
        self.old = self.model.output.bias[0].item()
        self.learn()
        self.new = self.model.output.bias[0].item()

    def build(self) -> Seq2Seq:
        known = len(self.tokenizer)
        return build_model(self.config.model, source_vocabulary=known, target_vocabulary=known)

    def learn(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        self.optimizer.step()
        self.step += 1

    def save(self) -> None:
        save_weights(self.folder, self.model, self.tokenizer, self.tokenizer)
        save_checkpoint(
            self.folder, self.model, self.optimizer, TrainingState(step=self.step), KEEP
        )

    def require_old_or_new(self, folder: Path) -> None:
        """The best model and every checkpoint load; the last one is the old or the new state."""
        assert load_folder(folder).model.output.bias[0].item() in (self.old, self.new)
        saved, model = checkpoints(folder), self.build()
        assert len(saved) >= KEEP
        for path in saved:
            state = load_checkpoint(path, model, torch.optim.Adam(model.parameters()))
            assert state.step == int(path.name[5:])
        assert (state.step, model.output.bias[0].item()) in (
            (self.step - 1, self.old),
            (self.step, self.new),
        )


def count_operations(run: Run) -> int:
    count = 0

    def step(name: str) -> bool:
        nonlocal count
        count += 1
        return False

    with watched(run.folder, step):
        run.save()
    return count


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE])
def test_an_error_at_any_operation_leaves_a_whole_folder(tmp_path: Path, code: int) -> None:
    torch.manual_seed(1)
    run = Run(tmp_path / "m")
    shutil.copytree(run.folder, tmp_path / "kept")
    operations = count_operations(run)
    assert operations > 20
    failed = 0
    for last in range(1, operations + 1):
        shutil.rmtree(run.folder)
        shutil.copytree(tmp_path / "kept", run.folder)
        seen = 0

        def step(name: str, last: int = last) -> bool:
            nonlocal seen
            seen += 1
            return seen == last

        with watched(run.folder, step, code):
            try:
                run.save()
            except OSError as error:
                failed += 1
                assert str(run.folder) in str(error.filename), (last, error)
        run.require_old_or_new(run.folder)
        run.save()  # the disk is well again
        run.require_old_or_new(run.folder)
    assert failed > operations // 2


@pytest.mark.slow
def test_a_disk_that_stays_full(tmp_path: Path) -> None:
    torch.manual_seed(1)
    run = Run(tmp_path / "m")
    shutil.copytree(run.folder, tmp_path / "kept")
    for first in range(1, count_operations(run) + 1):
        shutil.rmtree(run.folder)
        shutil.copytree(tmp_path / "kept", run.folder)
        seen = 0

        def step(name: str, first: int = first) -> bool:
            nonlocal seen
            seen += 1
            return seen >= first

        with watched(run.folder, step, errno.EROFS), pytest.raises(OSError):
            run.save()
            raise OSError("saved")  # only removals were left to be done
        run.require_old_or_new(run.folder)


@pytest.mark.slow
def test_power_cut_at_any_operation_leaves_a_whole_folder(tmp_path: Path) -> None:
    """Each snapshot is what a disk holds then: content that was not forced to it is lost."""
    torch.manual_seed(1)
    run = Run(tmp_path / "m")
    forced = {inode(p): p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}
    real_fsync, snapshots = os.fsync, 0

    def fsync(handle: int) -> None:
        real_fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_file():
            forced[inode(path)] = path.read_bytes()

    def look(name: str) -> bool:
        nonlocal snapshots
        snapshots += 1
        with pytest.MonkeyPatch.context() as patch:
            for module, real in originals:
                for what, function in real.items():
                    patch.setattr(module, what, function)
            copy = tmp_path / "snapshot"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(run.folder, copy)
            for path in run.folder.rglob("*"):
                if path.is_file():
                    (copy / path.relative_to(run.folder)).write_bytes(forced.get(inode(path), b""))
            run.require_old_or_new(copy)
        return False

    originals = [
        (os, {name: getattr(os, name) for name in OPERATIONS}),
        (io, {"open": io.open}),
        (builtins, {"open": builtins.open}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with watched(run.folder, look):
            run.save()
    look("the end")
    assert snapshots > 20
    assert load_folder(run.folder).model.output.bias[0].item() == run.new


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_what_a_crash_left_behind_is_removed(tmp_path: Path) -> None:
    run = Run(tmp_path / "m")
    left = run.folder / "checkpoints" / "step-00000001.partial"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    run.save()
    names = sorted(path.name for path in left.parent.iterdir())
    assert names == ["step-00000003", "step-00000004"]


@pytest.mark.slow
def test_sigterm_finishes_the_step_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.tsv").write_text("un deux\tone two\ntrois un\tthree one\n" * 20)
    small = {"embedding": 12, "hidden": 16}
    limits = {"steps": 12, "batch_tokens": 40, "validate_every": 50, "precision": "fp32"}
    config = merge(Config(), {"model": small, "training": limits}, place="test")
    real = loop.train_step

    def asked_to_end(run: Any, batch: Any) -> Any:
        if run.state.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(run, batch)

    def go(out: Path) -> Any:
        return train([tmp_path / "p.tsv"], out, config, console=Console(quiet=True))

    monkeypatch.setattr(loop, "train_step", asked_to_end)
    outcome = go(tmp_path / "parts")
    assert outcome.interrupted and outcome.reason == "stopped by SIGTERM"
    assert [path.name for path in checkpoints(tmp_path / "parts")] == ["step-00000005"]
    load_folder(tmp_path / "parts")
    monkeypatch.undo()
    assert not go(tmp_path / "parts").interrupted
    go(tmp_path / "whole")
    one, other = (cast(Seq2Seq, load_folder(tmp_path / name).model) for name in ("parts", "whole"))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_state_of_an_older_version_is_read() -> None:
    values = asdict(TrainingState(step=3, best_scores={"loss": 1.0}))
    assert TrainingState.from_json(values | {"returns": 2, "best": None}) == TrainingState(
        step=3, best_scores={"loss": 1.0}
    )
