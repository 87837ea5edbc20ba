"""Downloads corpora that others publish: Tatoeba's pairs, OPUS, datasets of the Hugging Face hub.

    tatoeba:fra-eng        https://www.manythings.org/anki/: columns English, French, authors
    opus:Tatoeba/en-fr     https://opus.nlpl.eu/: a translation memory (TMX)
    hf:OWNER/NAME[/PATH]   https://huggingface.co/datasets: the files of pairs in the repository

Files are kept as they are published, packed. A text beside them has their address and licence. A
download goes on where an earlier try ended, and a file appears once it is whole and verified.
Environment variables name other hosts: ``DRAGOMAN_TATOEBA``, ``DRAGOMAN_OPUS``, ``HF_ENDPOINT``;
``HF_TOKEN`` opens what is not public.
"""

import hashlib
import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import quote

from dragoman.data.lines import Say
from dragoman.data.streams import PACKINGS, opened
from dragoman.errors import DataError, DragomanError, OptionError, did_you_mean
from dragoman.files import parse_json, replacing, take, write_text

_BLOCK = 1 << 18
_SECONDS = 60
"""A connection that brings no byte for so long is given up."""
_MOST_JSON = 1 << 26
"""Most bytes of an answer in JSON."""


def fetch_json(url: str, token: str = "") -> Any:
    """Fetch JSON from ``url``.

    Raises:
        DataError: there is no such page.
        DragomanError: the server cannot be reached or has a fault.
        ValueError: the answer is no JSON.
    """
    with _naming(url), _open(url, token) as response:
        raw = response.read(_MOST_JSON)
    return parse_json(raw.decode())


def fetch(
    url: str, path: Path, say: Say, *, token: str = "", size: int | None = None, sha256: str = ""
) -> None:
    """Download ``url`` to ``path``, which appears once it is whole and verified.

    Until then the bytes stand beside it in a file that ends in ``.part``; the next call goes on
    from there.

    Args:
        url: the address; up to ten redirections are followed.
        path: the file to write, in an existing folder.
        say: receives each line that the user should read.
        token: sent to this address, not to where it redirects.
        size: the bytes that the file must have, if known.
        sha256: the digest that it must have, if known.

    Raises:
        DataError: there is no such page, it is another file than promised, or one that cannot be
            read, such as a damaged archive or a page that tells of an error.
        DragomanError: the server cannot be reached, has a fault, or breaks off.
    """
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.exists() else 0
    with _naming(url), _open(url, token, have) as response, part.open("ab") as file:
        goes_on = response.status == http.client.PARTIAL_CONTENT
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise DataError("sends another part than asked for", place=url, cure="try again")
        if file.tell() != have or not take(file):
            raise DragomanError("another process downloads it", place=part, cure="wait")
        file.truncate(have if goes_on else 0)
        say(f"{path}: {f'goes on after {have:,} bytes' if goes_on else 'begins'}")
        while block := response.read(_BLOCK):
            file.write(block)
        if response.length:  # bytes that were promised and did not come
            raise http.client.IncompleteRead(b"", response.length)
        file.flush()
        try:
            with part.open("rb") as written, ExitStack() as stack:
                digest, has = hashlib.file_digest(written, "sha256").hexdigest(), written.tell()
                whole, right = opened(part, stack), size in (None, has) and sha256 in ("", digest)
                if not right or (path.suffix in PACKINGS and whole.on_disk):
                    raise DataError(f"another file than promised: {has:,} bytes, sha256 {digest}")
                while whole.stream.read(_BLOCK):  # a packed file has a checksum of its content
                    pass
        except DataError as error:
            file.close()  # Windows removes no open file
            part.unlink()
            raise DataError(error.cause, place=url, cure="it was not kept; try again") from error
    with replacing(path) as aside:
        os.replace(part, aside)
    say(f"{path}: {has:,} bytes, sha256 {digest}")


def _open(url: str, token: str, have: int = 0) -> Any:
    """Request ``url`` from byte ``have`` on; returns the open response.

    Raises:
        URLError: the address is not HTTP, the server cannot be reached, or it refuses.
    """
    headers = {"User-Agent": "dragoman"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    if request.type not in ("http", "https"):
        raise urllib.error.URLError("not an http or https address")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        return urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        return _open(url, token)  # there is nothing after these bytes: begin again


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Context manager; what the network raises becomes a DataError or DragomanError."""
    try:
        yield
    except urllib.error.HTTPError as error:
        cause = f"the server answers {error.code}: {(str(error.reason) or '?').splitlines()[0]}"
        if error.code >= 500:
            raise DragomanError(cause, place=url, cure="try again later") from error
        raise DataError(cause, place=url, cure="is the name right?") from error
    except (urllib.error.URLError, ValueError) as error:  # ValueError: it is no address
        cause = f"cannot be reached: {getattr(error, 'reason', error)}"
        raise DragomanError(cause, place=url, cure="is there a network?") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        cause = f"broke off: {error or 'no bytes came'}"
        raise DragomanError(cause, place=url, cure="the same command goes on from there") from error


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
