"""The npm package ``translate``, which talks to LibreTranslate, talks to the server."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from base64 import b64encode
from hashlib import sha512
from pathlib import Path

import pytest

from served import LINE, process, save_tiny_folder
from sites import npm_package

pytestmark = pytest.mark.slow
NAME, VERSION = "translate", "3.1.0"
SHA512 = "X0KKY1Zl9vXZAUj+jyjQox4NIeryAEKBZymtjEuA6jLIyKtAlAJGfdw2+W1PRMkyHydGMHFIkMyxv4kUxEvgBw=="
"""What ``npm view translate@3.1.0 dist.integrity`` shows."""
SCRIPT = """
import translate from "./translate.mjs";
const [url, key, ...texts] = process.argv.slice(2);
Object.assign(translate, {engine: "libre", url, key, from: "german", to: "en"});
const answers = [];
for (const text of texts) answers.push(await translate(text));
answers.push(await translate("dogs", "fr").catch(error => error.message));
translate.key = "wrong";
answers.push(await translate("dogs").catch(error => error.message));
console.log(JSON.stringify(answers));
"""


def test_the_package_translates_and_tells_refusals(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node, which is not installed")
    file = npm_package(pytestconfig.cache.mkdir("npm"), NAME, VERSION)
    assert b64encode(sha512(file.read_bytes()).digest()).decode() == SHA512
    with tarfile.open(file) as packed:
        module = packed.extractfile("package/index.min.js")
        assert module is not None
        (tmp_path / "translate.mjs").write_bytes(module.read())
    (tmp_path / "ask.mjs").write_text(SCRIPT)
    (tmp_path / "keys").write_text("a key\n")
    folder, texts = save_tiny_folder(tmp_path / "de-en"), [LINE, "dogs sit\n\na cat"]
    with process(folder, "--api-keys", str(tmp_path / "keys")) as server:
        right = [server.client.translate(one, api_key="a key").json for one in texts]
        command = [node, str(tmp_path / "ask.mjs"), f"{server.client.url}/translate", "a key"]
        done = subprocess.run(
            [*command, *texts], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    *answers, language, key = json.loads(done.stdout)
    assert answers == [one["translatedText"] for one in right] and all(answers)
    assert (language, key) == ("fr is not supported", "Invalid API key")
