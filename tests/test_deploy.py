"""The files of ``deploy/``: their own programs find no fault in them, and their checks check."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from served import serving

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


def run(*command: str | Path) -> str:
    """What a program prints, if it is there and finds no fault."""
    beside = Path(sys.executable).with_name(str(command[0]))
    program = str(beside) if beside.exists() else shutil.which(str(command[0]))
    if program is None:
        pytest.skip(f"needs the program {command[0]}")
    done = subprocess.run([program, *command[1:]], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["runtime", "train"])
def test_container_files_have_no_fault(name: str) -> None:
    file = DEPLOY / f"{name}.Containerfile"
    assert run("hadolint", file) == ""
    text = file.read_text("utf-8")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert all((DEPLOY.parent / path).exists() for path in copied.split())
    kept = (DEPLOY.parent / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in kept if line.startswith("!")} == {
        *re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)[0].split(),
        "src",
    }
    assert re.search(r"^USER 10001$", text, re.MULTILINE)


def test_the_health_check_of_the_container_tells_a_server_from_none() -> None:
    text = (DEPLOY / "runtime.Containerfile").read_text("utf-8")
    command = json.loads(re.search(r"HEALTHCHECK .*\\\n +CMD (.*)", text)[1])  # type: ignore[index]
    assert command[:2] == ["python", "-c"]

    def healthy(port: int) -> bool:
        code = command[2].replace(":5000/", f":{port}/")
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
        return done.returncode == 0

    with serving() as running:
        assert healthy(running.port)
    assert not healthy(running.port)


def test_nginx_takes_its_sample(tmp_path: Path) -> None:
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; include {DEPLOY}/nginx.conf; }}\n"
    )
    assert "test is successful" in run("nginx", "-t", "-c", conf)


def test_systemd_takes_its_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "dragoman.service").read_text("utf-8")
    unit = tmp_path / "dragoman.service"
    unit.write_text(re.sub(r"/opt/dragoman/bin/\w+", "/bin/true", text))
    assert run("systemd-analyze", "verify", unit) == ""
    code = re.search(r'^ExecStartPost=\S+ -c "(.*)"$', text, re.MULTILINE)[1]  # type: ignore[index]
    compile(code.replace("\\n", "\n"), "ExecStartPost", "exec")
