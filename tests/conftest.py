"""Batches that several test rooms share, with distinct primes as sizes; and a browser."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sites import npm_package
from tiny import BATCH, SOURCE, TARGET, VOCABULARY
from tools.book.forks import server

HAS_BENCHMARKS = (Path(__file__).parents[1] / "benchmarks").is_dir()
NEED_BENCHMARKS = ["benchmarks", "test_fuzz.py", "training/test_hosts.py", "training/test_kill.py"]
collect_ignore = [] if HAS_BENCHMARKS else NEED_BENCHMARKS


def pytest_report_header() -> str:
    """Say what is not tested here."""
    left_out = "no benchmarks/ here: tests of them, of hosts, kills and damaged input are left out"
    return "" if HAS_BENCHMARKS else left_out


@pytest.fixture
def lengths() -> torch.Tensor:
    """Source lengths of a padded batch: the longest, the shortest, and others."""
    return torch.tensor([SOURCE, 1, 4, SOURCE, 2])


@pytest.fixture
def mask(lengths: torch.Tensor) -> torch.Tensor:
    """The mask of ``lengths``, [B, S]."""
    return torch.arange(SOURCE) < lengths.unsqueeze(1)


@pytest.fixture
def source(mask: torch.Tensor) -> torch.Tensor:
    """Source ids [B, S], zero on padding."""
    ids = 4 + torch.arange(BATCH * SOURCE).view(BATCH, SOURCE) * 5 % (VOCABULARY - 4)
    return ids * mask


@pytest.fixture
def target() -> torch.Tensor:
    """Decoder input ids [B, T]."""
    ids = 4 + torch.arange(BATCH * TARGET).view(BATCH, TARGET) * 3 % (VOCABULARY - 4)
    ids[:, 0] = 2
    return ids


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of programs that run as forks of one process, which has imported PyTorch."""
    with server(tmp_path_factory.mktemp("forks")) as folder:
        yield folder


def _forked(request: pytest.FixtureRequest, name: str, *otherwise: str) -> list[str]:
    """A program of ``programs``, or a command that does the same where there is no fork."""
    if sys.platform == "win32":
        return [sys.executable, *otherwise]
    return [str(request.getfixturevalue("programs") / name)]


@pytest.fixture(scope="session")
def dragoman_command(request: pytest.FixtureRequest) -> list[str]:
    """The beginning of a command line of ``dragoman``, a process of its own that starts at once.

    What a process imports, and what its environment changes at the start of Python, is tested with
    ``python -m dragoman``.
    """
    return _forked(request, "dragoman", "-m", "dragoman")


@pytest.fixture(scope="session")
def python_command(request: pytest.FixtureRequest) -> list[str]:
    """The beginning of a command line of Python, as ``dragoman_command`` is one."""
    return _forked(request, "forked-python")


@pytest.fixture(scope="session")
def package(pytestconfig: pytest.Config) -> Path:
    """The npm package onnxruntime-web, a file."""
    return npm_package(pytestconfig.cache.mkdir("npm"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium that asks nobody for anything."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("needs Chromium, which is not installed")
    with playwright.sync_playwright() as running:
        options = ["--no-sandbox", "--disable-background-networking"]
        chromium = running.chromium.launch(executable_path=path, args=options)
        yield chromium
        chromium.close()
