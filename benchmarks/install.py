"""Make the peers' virtual environments: torch first, the peer without its dependencies, the rest.

    python -m benchmarks.install [NAME ...]

The peers pin old versions of torch or draw in gigabytes that training does not need: what is
installed is listed in ``programs/NAME.toml``. pip must find a build of torch for the processor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.program import CACHE, PEERS, PROGRAMS

TORCH = "torch==2.13.0"


def install(name: str) -> bool:
    """Make one virtual environment; false when it could not be done."""
    folder, spec = CACHE / name, PROGRAMS[name].spec
    print(f"{name}: installing", flush=True)
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    first, *rest = spec["packages"]
    # Newer versions of pip refuse the metadata of old packages.
    for step in (["pip<24.1"], [TORCH, "numpy"], ["--no-deps", first], [TORCH, *rest]):
        if step[0] == TORCH and _draws_in_cuda(folder):
            print(
                "pip would fetch gigabytes for CUDA: show it a build of torch for the processor"
                " (PIP_INDEX_URL or PIP_FIND_LINKS)",
                file=sys.stderr,
            )
            return False
        if _pip(folder, "--prefer-binary", *step).returncode:
            return False
    if "patch" in spec:
        site = next((folder / "lib").glob("python*/site-packages"))
        (site / "sitecustomize.py").write_text(spec["patch"], encoding="utf-8")
    (folder / ".ready").touch()
    return True


def _draws_in_cuda(folder: Path) -> bool:
    """Whether the build of torch that pip would choose needs CUDA's libraries."""
    done = _pip(folder, "--dry-run", "--report", "-", TORCH, stdout=subprocess.PIPE)
    chosen = json.loads(done.stdout)["install"] if done.returncode == 0 else []
    return any(item["metadata"]["name"].startswith(("nvidia", "cuda")) for item in chosen)


def _pip(folder: Path, *asked: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--no-warn-conflicts"]
    return subprocess.run([*command, *asked], check=False, text=True, stdout=stdout)


def main() -> int:
    """Install all peers or those named; one that fails does not keep the others from it."""
    asked = sys.argv[1:] or PEERS
    if unknown := set(asked) - set(PEERS):
        print(f"no such peer: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = [name for name in asked if not (PROGRAMS[name].installed or install(name))]
    print(f"not installed: {', '.join(failed)}" if failed else "all there")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
