"""``dragoman serve`` as a process: it starts, is killed, is stopped, and says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dragoman.cli import main
from dragoman.export.bundle import export
from served import LINE, process, save_tiny_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_folder(tmp_path_factory.mktemp("models") / "de-en")


def test_a_folder_is_served_and_a_signal_ends_it(folder: Path) -> None:
    with process(folder) as server:
        client = server.client
        answer = client.translate()
        assert answer.status == 200 and isinstance(answer.json["translatedText"], str)
        assert client.get("/languages").json[0]["code"] == "de"
        explained = client.post("/explain", {"q": LINE, "source": "de", "target": "en"})
        assert explained.json["examples"][0]["text"] == LINE
        assert "server" not in answer.headers  # which program it is concerns nobody
        page = client.get("/")
        assert "page/begin.js" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        said = server.stop()
        assert server.popen.returncode == 0 and "Traceback" not in said
        assert "POST /translate 200" in said and LINE not in said


@pytest.mark.parametrize("name", ["x-de-en", "de-en.zip"])
def test_a_bundle_is_served_without_torch(folder: Path, tmp_path: Path, name: str) -> None:
    pairs = [(line, line) for line in ("the cat sat on a mat", "dogs sit !")] * 3
    export(folder, tmp_path / name, pairs, zipped=name.endswith("zip"))
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('none', name='torch')\n")
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    with process(folder) as of_folder, process(tmp_path / name, PYTHONPATH=path) as server:
        answer = server.client.translate(alignment=True)
        assert answer.json == of_folder.client.translate(alignment=True).json
        fields = {"q": LINE, "source": "de", "target": "en"}
        refusal = server.client.post("/explain", fields)
        assert refusal.status == 400 and refusal.json["error"].startswith("a bundle cannot be")


def test_a_signal_under_load_loses_no_accepted_request(folder: Path) -> None:
    with process(folder) as server:
        counts = {"answered": 0, "refused": 0}
        lock, stop = threading.Lock(), threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    status = server.client.translate([LINE] * 5).status
                    name = "answered" if status == 200 else "refused"
                except OSError:  # no connection, or one that was closed before it was accepted
                    name = "refused"
                with lock:
                    counts[name] += 1

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(1.0)
        said = server.stop()
        stop.set()
        for thread in threads:
            thread.join()
        accepted = [line.split()[4] for line in said.splitlines() if "POST /translate" in line]
        assert accepted.count("200") == counts["answered"] > 16
        assert {*accepted} <= {"200", "429"}


def test_workers_leave_nothing_that_they_unpacked(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "de-en.zip", [(LINE, LINE)] * 3, zipped=True)
    (home := tmp_path / "home").mkdir()
    with process(tmp_path / "de-en.zip", workers=2, TMPDIR=str(home)) as server:
        assert server.client.translate().status == 200 and any(home.iterdir())
        server.stop()
    assert not any(home.iterdir())


def test_a_killed_worker_is_replaced(folder: Path) -> None:
    with process(folder, workers=2) as server:
        client, deadline = server.client, time.monotonic() + 120

        def workers() -> set[int]:
            """The workers that answered the last requests."""
            texts = [client.get("/metrics").text for _ in range(20)]
            return {int(text.split('process="')[1].split('"')[0]) for text in texts}

        client.get("/health")
        while len(before := workers()) < 2:
            assert time.monotonic() < deadline
        assert server.popen.pid not in before
        os.kill(min(before), signal.SIGKILL)
        assert client.translate().status == 200  # by the other one
        while min(before) in (now := workers()) or len(now) < 2:
            assert time.monotonic() < deadline
        server.stop()
        assert server.popen.returncode == 0


def test_what_is_wrong_is_said_in_a_line(
    folder: Path, tmp_path: Path, dragoman_command: list[str]
) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    blind = save_tiny_folder(tmp_path / "fr-en", attention="none")
    port = str(taken.getsockname()[1])
    wrongs = {
        (): "no model is named",
        (str(tmp_path / "no"), "--port", "0"): "no",
        (str(folder), "--port", port): f"--port: cannot listen at 127.0.0.1, port {port}",
        (str(folder), "--host", "no.such.invalid"): "--port: cannot listen at no.such.invalid",
        (str(folder), "--languages", "german"): "--languages: 'german' is not a pair",
        (str(folder), str(folder), "--port", "0"): "both translate de to en",
        (str(folder), "--max-waiting", "0"): "serving.max_waiting: ",
        (str(folder), "--api-keys", str(tmp_path), "--port", "0"): "--api-keys: cannot be read",
        (str(tmp_path / "no"), "--port", "0", "--workers", "2"): "no",
        (str(folder), str(blind), "--port", "0", "--keep", "usual"): f"{blind}: keep, format: this",
    }
    for arguments, text in wrongs.items():
        command = [*dragoman_command, "serve", *arguments]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 2, (arguments, ended)
        assert text in ended.stderr and "Traceback" not in ended.stderr, (arguments, ended)
    taken.close()


def test_each_model_has_its_own_memory_and_terms(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(folder, tmp_path / "fr-en")
    memory, terms = tmp_path / "memory.tsv", tmp_path / "terms.tsv"
    memory.write_text("a cat\tthe answer\n")
    terms.write_text("dogs\tmat\n")
    files = ("--memory", str(memory), "--memory", "-", "--terms", "-", "--terms", str(terms))
    with process(folder, str(other), *files) as server:
        client, said = server.client, {}
        for code in ("de", "fr"):
            asked = {"q": ["a cat", "dogs sit"], "source": code, "target": "en", "alignment": True}
            said[code] = client.post("/translate", asked).json
            line = {**asked, "q": "dogs sit"}
            steps = client.post("/explain", line).json["examples"][0]["steps"]
            words = [s["expected"]["text"].strip("▁") for s in steps if s["real"]]
            best = said[code]["alignment"][1][0]["target"]  # what is explained was answered
            words = [one for one in words if one != "</s>"]
            same = [a.strip() == b for a, b in zip(best, words, strict=True) if b != "<unk>"]
            assert same and all(same)  # an unknown word is copied
        known, searched = (said[code]["translatedText"] for code in ("de", "fr"))
        assert known[0] == "the answer" != searched[0]
        assert "mat" in searched[1].split() and "mat" not in known[1].split()
        refusal = client.post("/explain", {"q": "a cat", "source": "de", "target": "en"})
        assert refusal.status == 400 and "the memory answers" in refusal.json["error"]
    three = [str(folder), str(other), "--terms", *["-", "--terms"] * 2, str(terms)]
    assert main(["serve", *three]) == 2
    assert "--terms: 3 given for 2 models" in capsys.readouterr().err


def test_the_help_needs_no_extra(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", "--help"])
    assert not end.value.code and "max-waiting" in capsys.readouterr().out


def test_serving_imports_no_torch() -> None:
    code = (
        "import sys, dragoman.serving.app, dragoman.serving.gate, dragoman.cli.serve\n"
        "print([name for name in ('torch', 'pyarrow') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]", ended.stderr
