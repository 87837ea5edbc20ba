"""Where the packages come from: a lock with hashes, a bill of materials, known faults, bounds.

    python tools/supply.py lock     requirements-dev.lock, of the versions in constraints.txt
    python tools/supply.py sbom     sbom.json (CycloneDX), of what is installed in .venv
    python tools/supply.py audit    advisories about the versions in constraints.txt
    python tools/supply.py lowest   whether .venv-lowest holds the lowest versions of pyproject.toml

The Makefile's targets of the same names make the environments first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).resolve().parents[1]
CONSTRAINTS, LOCK, SBOM = "constraints.txt", "requirements-dev.lock", "sbom.json"
TOOLS = Path(sys.executable).parent
FOUND, NOT_CHECKED = 1, 3
HEAD = """\
# Made by `make lock` from constraints.txt; `make locked` installs from it. Hashes of the files for
# all systems, but of PyTorch only the build for the processor that this was made with (Linux on
# x86-64, Python 3.11): where that is not on offer, take `make test`, which asks for no hashes.
"""


def lock() -> int:
    """Write down the hashes of every file of every version."""
    lines = (HERE / CONSTRAINTS).read_text("utf-8").splitlines()
    (torch,) = (line for line in lines if line.startswith("torch=="))
    rest = "\n".join(line for line in lines if line != torch)
    compile_ = [
        TOOLS / "uv",
        "pip",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--universal",
        "--no-deps",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--python-version",
        "3.11",
        "-",
    ]
    hashed = _said(compile_, rest).rstrip("\n")
    look = [
        ".venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--report",
        "-",
        "--ignore-installed",
        "--no-deps",
        torch,
    ]
    (file,) = json.loads(_said(look))["install"]
    digest = file["download_info"]["archive_info"]["hashes"]["sha256"]
    text = f"{HEAD}{hashed}\n{torch} \\\n    --hash=sha256:{digest}\n"
    (HERE / LOCK).write_text(text, encoding="utf-8")
    print(f"{LOCK}: {len(lines)} packages, {text.count('--hash=')} files")
    return 0


def sbom() -> int:
    """List what is installed beside Dragoman."""
    _said(
        [
            TOOLS / "cyclonedx-py",
            "environment",
            "--pyproject",
            "pyproject.toml",
            "--output-format",
            "JSON",
            "--output-reproducible",
            "--output-file",
            SBOM,
            ".venv/bin/python",
        ]
    )
    print(f"{SBOM}: {len(json.loads((HERE / SBOM).read_text('utf-8'))['components'])} components")
    return 0


def audit() -> int:
    """Look for advisories: 1 when there are any, 3 when a package could not be looked up."""
    ask = [
        TOOLS / "pip-audit",
        "--format",
        "json",
        "--no-deps",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--requirement",
        CONSTRAINTS,
    ]
    done = subprocess.run(ask, cwd=HERE, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["no answer"]
        print(f"audit: NOT CHECKED: {said[-1]}")
        return NOT_CHECKED
    return verdict(packages)


def verdict(packages: list[dict[str, Any]]) -> int:
    """Say what pip-audit found out about each package; the exit code."""
    faults = [(package, fault) for package in packages for fault in package.get("vulns", [])]
    for package, fault in faults:
        fixed = ", ".join(fault["fix_versions"]) or "none yet"
        print(f"{package['name']} {package['version']}: {fault['id']} (fixed in: {fixed})")
    unknown = [str(package["name"]) for package in packages if "vulns" not in package]
    print(f"audit: {len(packages) - len(unknown)} packages looked up, {len(faults)} advisories")
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        print(f"audit: NOT CHECKED: the advisory service knows nothing of {len(unknown)}: {names}")
    return FOUND if faults else NOT_CHECKED if unknown or not packages else 0


def lowest() -> int:
    """Compare .venv-lowest with pyproject.toml: 1 when a version is above its lower bound."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    ask: list[str | Path] = [TOOLS / "uv", "pip", "list", "--python", ".venv-lowest"]
    listed = json.loads(_said([*ask, "--format", "json"]))
    above = above_bounds(project, {one["name"]: one["version"] for one in listed})
    print("\n".join(above) or "lowest: every version is its lower bound")
    return FOUND if above else 0


def above_bounds(project: dict[str, Any], installed: dict[str, str]) -> list[str]:
    """A line for each package that is installed in a higher version than its lower bound.

    Args:
        project: the table ``project`` of a pyproject.toml.
        installed: version by name; a package that is not there is passed over.
    """
    versions = {canonicalize_name(name): Version(version) for name, version in installed.items()}
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    found = []
    for wanted in (Requirement(text) for group in groups for text in group):
        version = versions.get(canonicalize_name(wanted.name))
        bounds = [Version(one.version) for one in wanted.specifier if one.operator == ">="]
        if version and bounds and Version(version.public) > bounds[0]:
            found.append(f"{wanted}: {version} is tested; raise the bound, or let it be installed")
    return found


def _said(command: list[str | Path], text: str = "") -> str:
    done = subprocess.run(
        command, cwd=HERE, input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{Path(command[0]).name}: failed with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    verbs = {"lock": lock, "sbom": sbom, "audit": audit, "lowest": lowest}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(f"usage: python tools/supply.py {' | '.join(verbs)}")
    sys.exit(verbs[sys.argv[1]]())
