"""The lock with hashes, and what `make audit` says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tools import supply

ROOT = Path(__file__).resolve().parents[1]


def versions(name: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pins}


def test_the_lock_names_the_versions_of_the_constraints() -> None:
    assert versions(supply.LOCK) == versions(supply.CONSTRAINTS)
    assert len(versions(supply.LOCK)) > 60


def test_every_package_of_the_lock_has_a_hash_and_no_place() -> None:
    text = (ROOT / supply.LOCK).read_text("utf-8")
    entries = re.split(r"\n(?=\S)", "".join(re.split(r"^#.*\n", text, flags=re.MULTILINE)))
    line = r"[\w.-]+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n?"
    assert [entry for entry in entries if not re.fullmatch(line, entry)] == []


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 packages looked up, 0 advisories"),
        ([{"name": "a", "skip_reason": "?"}], supply.NOT_CHECKED, "NOT CHECKED"),
        ([], supply.NOT_CHECKED, "0 packages"),
        (
            [
                {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]},
                {"name": "b", "skip_reason": "?"},
            ],
            supply.FOUND,
            "a 1: X-1 (fixed in: 2)",
        ),
    ],
)
def test_what_was_not_looked_up_is_no_success(
    packages: list[dict[str, Any]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert supply.verdict(packages) == code
    assert said in capsys.readouterr().out


def test_a_version_above_its_lower_bound_is_named() -> None:
    project: dict[str, Any] = {
        "dependencies": ["rich>=13", "tomli-w>=1.0", "dragoman[train]"],
        "optional-dependencies": {
            "train": ["torch>=2.6"],
            "track": ["wandb>=0.17,<1", "Name_x>=2"],
        },
    }
    lowest = {"rich": "13.0.0", "tomli_w": "1.0.0", "torch": "2.6.0+cpu", "name-x": "2"}
    assert supply.above_bounds(project, lowest) == []
    higher = lowest | {"torch": "2.7.0", "rich": "13.9.4", "wandb": "0.18.0"}
    said = [line.split(";")[0] for line in supply.above_bounds(project, higher)]
    assert said == [
        "rich>=13: 13.9.4 is tested",
        "torch>=2.6: 2.7.0 is tested",
        "wandb<1,>=0.17: 0.18.0 is tested",
    ]
