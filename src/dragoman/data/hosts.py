"""Corpora that others publish: Tatoeba's pairs, OPUS, datasets of the Hugging Face hub.

    tatoeba:fra-eng        https://www.manythings.org/anki/: columns English, French, authors
    opus:Tatoeba/en-fr     https://opus.nlpl.eu/: a translation memory (TMX)
    hf:OWNER/NAME[/PATH]   https://huggingface.co/datasets: the files of pairs in the repository

Files are kept as they are published, packed. A text beside them has their address and licence.
Environment variables name other hosts: ``DRAGOMAN_TATOEBA``, ``DRAGOMAN_OPUS``, ``HF_ENDPOINT``;
``HF_TOKEN`` opens what is not public.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import quote

from dragoman.data.download import Say, fetch, fetch_json
from dragoman.errors import DataError, OptionError, did_you_mean
from dragoman.files import write_text

Files = dict[str, tuple[str, dict[str, Any]]]
"""Each file of a corpus by the name that it gets: its address, and what else ``fetch`` takes."""
_READABLE = r"\.(parquet|arrow|feather|jsonl?|ndjson|csv|tsv|tmx)(\.(gz|bz2|xz|zst|zip))?$"


def get_corpus(name: str, folder: Path, say: Say) -> list[Path]:
    """Fetch a corpus, and write where it comes from and its licence beside it.

    Args:
        name: a key of ``HOSTS``, a colon, and the name of the corpus there.
        folder: where the files are put; it is made if it is not there.
        say: receives each line that the user should read.

    Returns:
        The files of pairs.

    Raises:
        OptionError: there is no such host.
        DataError: there is no such corpus, the host answers something else, or as
            :func:`dragoman.data.download.fetch`.
    """
    host, _, rest = name.partition(":")
    if host not in HOSTS:
        raise OptionError(f"no host {host!r}", cure=did_you_mean(host, HOSTS))
    try:
        files, licence = HOSTS[host](rest)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # of the host's answer
        raise DataError("the answer has nothing of that name", place=name) from error
    folder.mkdir(parents=True, exist_ok=True)
    for file, (url, promised) in files.items():
        fetch(url, folder / file, say, **promised)
    write_text(folder / f"{_plain_name(rest)}.licence.txt", f"{licence}\n")
    say(licence)
    return [folder / file for file in files]


def tatoeba(name: str) -> tuple[Files, str]:
    """The pairs of two languages, such as fra-eng: columns English, French, authors."""
    if not re.fullmatch(r"[a-z]{2,4}-eng", name):
        raise DataError(f"no pairs {name!r}", place="tatoeba", cure="such as tatoeba:fra-eng")
    url = f"{os.environ.get('DRAGOMAN_TATOEBA', 'https://www.manythings.org/anki')}/{name}.zip"
    licence = "CC BY 2.0 (France), by the people of tatoeba.org and www.manythings.org/anki"
    return {f"{name}.zip": (url, {})}, f"{url}: {licence}; _about.txt in it says more"


def opus(name: str) -> tuple[Files, str]:
    """The newest version of a corpus, such as Tatoeba/en-fr, as a translation memory."""
    if not (found := re.fullmatch(r"([\w.-]+)/(\w+)-(\w+)", name)):
        raise DataError(f"no corpus {name!r}", place="opus", cure="such as opus:Tatoeba/en-fr")
    first, second = sorted(found.groups()[1:])  # as OPUS names a pair
    query = f"corpus={found[1]}&source={first}&target={second}&preprocessing=tmx&version=latest"
    host = os.environ.get("DRAGOMAN_OPUS", "https://opus.nlpl.eu/opusapi/")
    url = str(fetch_json(f"{host}?{query}")["corpora"][0]["url"])
    licence = f"OPUS (Tiedemann 2012); the licence stands at https://opus.nlpl.eu/{found[1]}"
    sides = f"--languages {found[2]} {found[3]} says which of the two is the source"
    return {f"{found[1]}.{first}-{second}.tmx.gz": (url, {})}, f"{url}: {licence}; {sides}"


def hub(name: str) -> tuple[Files, str]:
    """The files of pairs of a dataset's repository, or those under a path of it."""
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    token, parts = os.environ.get("HF_TOKEN", "").strip(), name.split("/")
    repository, under = "/".join(parts[:2]), "/".join(parts[2:])
    answer = fetch_json(f"{host}/api/datasets/{quote(repository)}?blobs=true", token)
    pairs = {one["rfilename"]: one for one in answer["siblings"]}
    pairs = {file: one for file, one in pairs.items() if re.search(_READABLE, file)}
    chosen = [file for file in pairs if not under or f"{file}/".startswith(f"{under}/")]
    if not chosen:
        known = shorten(", ".join(sorted({file.rpartition("/")[0] or file for file in pairs})), 200)
        cause = f"no file of pairs{f' under {under}' if under else ''}"
        raise DataError(cause, place=f"hf:{repository}", cure=f"there is: {known or 'none'}")
    source, revision, files = f"{host}/datasets/{repository}", str(answer["sha"]), Files()
    for file in chosen:
        digest = (pairs[file].get("lfs") or {}).get("sha256", "")
        promised = {"token": token, "size": pairs[file].get("size"), "sha256": digest}
        local = _plain_name(file)
        while local in files:  # that of a/b.tsv is that of a-b.tsv
            local = f"2-{local}"
        files[local] = f"{source}/resolve/{revision}/{quote(file)}", promised
    licence = (answer.get("cardData") or {}).get("license", "?")
    return files, f"{source}, revision {revision}: licence {licence}"


HOSTS: dict[str, Callable[[str], tuple[Files, str]]] = {"tatoeba": tatoeba, "opus": opus, "hf": hub}
"""By what stands before the colon of a name: the function that finds its files and licence."""


def _plain_name(path: str) -> str:
    """A name that leads into no other folder."""
    return re.sub(r"[^\w.-]+", "-", path).lstrip(".-") or "file"
