"""The files of ``deploy/``: their own programs find no fault in them, and their checks check."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dragoman.layout import METRICS, WEIGHTS
from dragoman.training.checkpoint import checkpoints
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


def test_shellcheck_finds_no_fault_in_the_job_for_slurm(tmp_path: Path) -> None:
    job = DEPLOY / "train.sbatch"
    assert run("shellcheck", job) == ""
    lines = job.read_text("utf-8").splitlines()
    settings = [number for number, line in enumerate(lines) if line.startswith("#SBATCH ")]
    first = next(number for number, line in enumerate(lines) if line and line[0] != "#")
    assert lines[0] == "#!/bin/bash" and max(settings) < first  # Slurm reads no further


SRUN = """#!/bin/bash
[ "$1" = --kill-on-bad-exit=1 ] || exit 9
trap 'kill -TERM $one $other' TERM
"${@:2}" & one=$!
"${@:2}" & other=$!
wait $one; wait $one && wait $other
"""
"""Starts a command twice on this machine, as on two nodes, and passes SIGTERM on."""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo localhost; else echo "$@" >> scontrol.log; fi
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Slurm runs bash")
def test_the_job_for_slurm_is_queued_again_and_goes_on(
    tmp_path: Path, python_command: list[str]
) -> None:
    (python,) = python_command
    torchrun = f'#!/bin/bash\nexec {python} -m torch.distributed.run "$@"\n'
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "torchrun": torchrun}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "p.tsv").write_text("".join(f"a{i} b{i}\tB{i} A{i}\n" for i in range(60)), "utf-8")
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = os.environ | {"PATH": path, "SLURM_JOB_ID": str(os.getpid())}
    variables |= {"SLURM_JOB_NODELIST": "localhost", "SLURM_JOB_NUM_NODES": "2"}
    variables |= {"PYTHON_EXEC": python}  # of the processes that torchrun starts

    def submit(steps: int) -> subprocess.Popen[bytes]:
        command = ["bash", str(DEPLOY / "train.sbatch"), "p.tsv", "--out", "m", "--threads", "1"]
        command += ["--hidden", "8", "--embedding", "8", "--report-every", "1", "--refit", "False"]
        command += ["--steps", str(steps), "--patience", "0"]
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=log, stderr=log)

    def ended(job: subprocess.Popen[bytes]) -> int:
        try:
            return job.wait(300)
        finally:
            if job.poll() is None:
                job.kill()

    job, out = submit(1_000_000), tmp_path / "m"
    deadline = time.monotonic() + 300
    while not (out / METRICS).exists() or b'"train"' not in (out / METRICS).read_bytes():
        assert job.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.2)
    job.send_signal(signal.SIGUSR1)  # Slurm's, before the time is over
    assert ended(job) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "scontrol.log").read_text() == f"requeue {os.getpid()}\n"
    (saved,) = checkpoints(out)
    step = int(saved.name.removeprefix("step-"))
    assert ended(submit(step + 5)) == 0, (tmp_path / "log").read_text()
    assert f"resuming at step {step}" in (tmp_path / "log").read_text()
    assert checkpoints(out)[-1].name.endswith(str(step + 5)) and (out / WEIGHTS).exists()


@pytest.fixture(name="objects")
def objects_of_kubernetes() -> dict[str, dict[str, Any]]:
    """The objects of ``train.kubernetes.yaml`` by kind."""
    yaml = pytest.importorskip("yaml", reason="needs the package pyyaml")
    text = (DEPLOY / "train.kubernetes.yaml").read_text("utf-8")
    return {made["kind"]: made for made in yaml.safe_load_all(text)}


def test_kubernetes_has_every_field_of_the_job(objects: dict[str, dict[str, Any]]) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for made in objects.values():
        schemas.validate(made, schemas.latest_version(), strict=True)
    objects["Job"]["spec"]["completion"] = 2
    with pytest.raises(schemas.ValidationError):
        schemas.validate(objects["Job"], schemas.latest_version(), strict=True)


def test_the_pods_of_the_job_find_each_other_and_their_disk(
    objects: dict[str, dict[str, Any]],
) -> None:
    service, job = objects["Service"], objects["Job"]["spec"]
    template = job["template"]
    pod = template["spec"]
    (container,) = pod["containers"]
    nodes = job["completions"]
    assert job["parallelism"] == nodes and f"--nnodes={nodes}" in container["command"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    assert pod["subdomain"] == service["metadata"]["name"]
    (port,) = service["spec"]["ports"]
    first = f"{objects['Job']['metadata']['name']}-0.{pod['subdomain']}:{port['port']}"
    assert f"--rdzv-endpoint={first}" in container["command"]
    assert [volume["name"] for volume in pod["volumes"]] == [
        mount["name"] for mount in container["volumeMounts"]
    ]
    claim = objects["PersistentVolumeClaim"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    image = (DEPLOY / "train.Containerfile").read_text("utf-8")
    assert f"\nUSER {pod['securityContext']['runAsUser']}\n" in image
    assert container["command"][-2:] == ["-m", "dragoman"] and container["args"][0] == "train"
