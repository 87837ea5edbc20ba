"""Writes a static site: the server's page with the model in the browser, and no server.

The model runs in onnxruntime-web, a package of npm. Its WebAssembly file of 14 MB is not part of
Dragoman: the user fetches the package once, and its digest is checked.
"""

import io
import json
import tarfile
from base64 import b64encode
from dataclasses import asdict
from hashlib import sha256, sha512
from importlib import resources
from pathlib import Path
from typing import Any

from dragoman.api import Paths, load
from dragoman.errors import FolderError, OptionError
from dragoman.evaluation.confidence import load_confidence
from dragoman.evaluation.examples import Pairs
from dragoman.export.bundle import export, require_replaceable
from dragoman.files import replacing
from dragoman.layout import CARD, DECODER, ENCODER, SITE, WEIGHTS
from dragoman.runtime.folder import load_runtime

RUNTIME, VERSION = "onnxruntime-web", "1.30.0"
PACKAGE = f"{RUNTIME}-{VERSION}.tgz"
"""The file that ``npm pack onnxruntime-web@1.30.0`` writes."""
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""The digest of that file, as ``npm view onnxruntime-web@1.30.0 dist.integrity`` shows it."""
_TAKEN = {
    "onnxruntime.js": "package/dist/ort.wasm.bundle.min.mjs",
    "onnxruntime.wasm": "package/dist/ort-wasm-simd-threaded.wasm",
}
_AT_THE_TOP = ("index.html", "sw.js")
_LOADED = (
    *("index.html", "page/*", "packages/onnxruntime.*", SITE),
    *(f"model/{name}" for name in (ENCODER, DECODER, WEIGHTS)),
)
"""The files that the page uses, which a browser keeps."""


def read_runtime(package: Path) -> dict[str, bytes]:
    """The files of onnxruntime-web that a site needs, by name.

    Args:
        package: the file :data:`PACKAGE`.

    Raises:
        OptionError: it is missing, or has another digest.
    """
    raw = package.read_bytes() if package.is_file() else b""
    if b64encode(sha512(raw).digest()).decode() != SHA512:
        cause, cure = f"{package} is missing, or is not {RUNTIME} {VERSION}", f"npm pack {RUNTIME}"
        raise OptionError(cause, place="--runtime", cure=f"{cure}@{VERSION}")
    with tarfile.open(fileobj=io.BytesIO(raw)) as packed:
        files = {name: packed.extractfile(member) for name, member in _TAKEN.items()}
        return {name: file.read() for name, file in files.items() if file}


def export_site(
    folder: str | Path,
    out: str | Path,
    pairs: Paths | Pairs | None = None,
    *,
    runtime: str | Path,
    languages: tuple[str, str],
    **options: Any,
) -> dict[str, Any]:
    """Write a static site that translates in the browser with a model folder's model.

    Args:
        folder: the model folder.
        out: the folder of the site.
        pairs: as for :func:`export`.
        runtime: the npm package onnxruntime-web, a file, see :data:`PACKAGE`.
        languages: the codes of source and target, such as ``("fr", "en")``.
        options: of :func:`export`: ``lines``, ``int8`` and ``licence``.

    Returns:
        What ``bundle.json`` of the site's model says.

    Raises:
        OptionError: the package is missing or another, or ``out`` holds other files than a site's.
        FolderError: the model's sources have tags, or it draws its outputs at random.
    """
    require_replaceable(Path(out), zipped=False)
    read, name = read_runtime(Path(runtime)), Path(folder).resolve().name
    model = load(folder)
    if model.folder.source.tags or model.config.search.temperature:
        cause = "a page reads no tags, and draws no outputs at random (search.temperature)"
        raise FolderError(cause, place=folder, cure="dragoman serve")
    with replacing(Path(out), folder=True) as aside:
        facts = export(folder, aside / "model", pairs, shortlist=False, **options)
        _write_site(aside, name, languages, read)
    return facts


def _write_site(site: Path, name: str, codes: tuple[str, str], runtime: dict[str, bytes]) -> None:
    """Write the files of a site.

    Args:
        site: the folder; it has the bundle in ``model/``.
        name: of the model, for people.
        codes: of its source and target language.
        runtime: from :func:`read_runtime`.
    """
    import onnxruntime  # the same program, so the same licences

    packages, page = site / "packages", site / "page"
    packages.mkdir()
    page.mkdir()
    for file, raw in runtime.items():
        (packages / file).write_bytes(raw)
    for file in ("LICENSE", "ThirdPartyNotices.txt"):
        (packages / file).write_bytes((Path(onnxruntime.__file__).parent / file).read_bytes())
    for folder in ("serving/page", "export/site"):  # both have begin.js: the second one stays
        for one in (resources.files("dragoman") / folder).iterdir():
            ((site if one.name in _AT_THE_TOP else page) / one.name).write_bytes(one.read_bytes())
    bundle = load_runtime(site / "model")
    config, confidence, card = bundle.config, load_confidence(bundle.path), bundle.path / CARD
    facts = {
        "name": name,
        "source": codes[0],
        "target": codes[1],
        "card": card.read_text("utf-8", errors="replace") if card.exists() else "",
        "confidence": confidence and asdict(confidence),
        "longest": config.source.max_tokens,
        "search": asdict(config.search),
        "tokenizers": [json.loads(side.made) for side in (bundle.source, bundle.target)],
    }
    (site / SITE).write_text(json.dumps(facts, ensure_ascii=False), "utf-8")
    files = {}
    for path in sorted(path for pattern in _LOADED for path in site.glob(pattern)):
        inside = path.relative_to(site).as_posix()
        found = b64encode(sha256(path.read_bytes()).digest()).decode()
        files["./" if inside == "index.html" else inside] = f"sha256-{found}"
    version = sha256(json.dumps(files).encode()).hexdigest()
    listed = json.dumps({"version": version, "files": files}, indent=1)
    (site / "files.js").write_text(f"self.SITE = {listed};\n", "utf-8")
