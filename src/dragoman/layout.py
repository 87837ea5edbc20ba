"""The names of the files and folders in a model folder, and the version of its format.

fra-eng/
  config.toml              every option of the run, those chosen from the data included
  model.safetensors        the best weights so far
  source.json target.json  tokenizers, in Hugging Face's format
  confidence.json          how a translation's score becomes a confidence
  README.md report.html    the model card; the run's report
  metrics.jsonl            one JSON object a line: training, validation, start and end
  run.json                 what the run was begun with: options, files, a digest of the data; notes
  corpus/                  the pairs as ids, about a million a file; train.json and validation.json
                           say where they come from
  preparing/               what an interrupted preparation goes on with
  checkpoints/             one folder a checkpoint; the last ones are kept
  refit/                   the second training, on all pairs, until it is done
  distilled/               the pairs that another model has made for this one

A folder that ``dragoman prepare`` has made holds what a model folder holds before its weights:
config.toml, the tokenizers, run.json and corpus/.

A folder of seeds has no files of its own but the model folders seed-1, seed-2 ..., which translate
together (``train --seeds``).

A bundle is a folder, or a zip file of one, that runs without torch (:mod:`dragoman.runtime`):

fra-eng.bundle/
  bundle.json                    format, digests of all files, parity with the model folder, licence
  encoder.onnx decoder.onnx      the graphs; decoder-shortlist.onnx scores candidates only
  model.safetensors              the weights, in fp32 or 8 bits: ONNX's external data of the graphs
  shortlist.safetensors          the likely target words of each source word
  config.toml source.json target.json confidence.json README.md   as in the model folder

A site is a folder of files for any web server (:mod:`dragoman.export.web`):

fra-eng.site/
  index.html page/         the page; sw.js files.js keep it for use without a network
  model/                   a bundle
  model.json               what the page must know of the model
  packages/                ONNX Runtime for browsers, and its licences
"""

from pathlib import Path

FORMAT = "1"
"""Version of this layout; stands first in ``config.toml``, and in ``model.safetensors``."""

CONFIG, WEIGHTS, SOURCE, TARGET = "config.toml", "model.safetensors", "source.json", "target.json"
CONFIDENCE, CARD, REPORT = "confidence.json", "README.md", "report.html"
METRICS, RECORD, LOCK = "metrics.jsonl", "run.json", ".lock"
CORPUS, CHECKPOINTS, DISTILLED, REFIT = "corpus", "checkpoints", "distilled", "refit"
PREPARING = "preparing"
TRAIN, VALIDATION = "train.arrow", "validation.arrow"
"""In :data:`CORPUS`: the training pairs, and the held-out pairs."""
STATE, OPTIMIZER = "state.json", "optimizer.safetensors"
"""In a checkpoint: counters and the position in the data; the optimizer's tensors and the random
states."""
SEEDS = "seed-"
"""Names of the model folders in a folder of seeds begin with this, followed by the seed."""

ENTRIES = (
    *(CONFIG, WEIGHTS, SOURCE, TARGET, CONFIDENCE, CARD, REPORT, METRICS, RECORD, LOCK),
    *(CORPUS, CHECKPOINTS, DISTILLED, REFIT, PREPARING),
)
"""Every file and folder that Dragoman writes directly into a model folder."""


def members(folder: Path) -> list[Path]:
    """The model folders in a folder of seeds, in the order of seeds; ``folder`` if it is none."""
    found = [path.parent for path in folder.glob(f"{SEEDS}*/{CONFIG}")]
    if not found or (folder / CONFIG).exists():
        return [folder]
    return sorted(found, key=lambda path: (len(path.name), path.name))


BUNDLE = "bundle.json"
BUNDLE_FORMAT = "6"
"""Version of the bundle's layout and of the graphs in it; stands first in ``bundle.json``."""
ENCODER, DECODER, SHORT_DECODER = "encoder.onnx", "decoder.onnx", "decoder-shortlist.onnx"
SHORTLIST = "shortlist.safetensors"
BUNDLE_NEEDS = (CONFIG, SOURCE, TARGET, ENCODER, DECODER, WEIGHTS)
BUNDLE_SHORT = (SHORT_DECODER, SHORTLIST)
"""Files of a bundle with a shortlist: it has both or neither."""
BUNDLE_MAY_HAVE = (CONFIDENCE, CARD)
SITE = "model.json"
EXPORTED = (BUNDLE, SITE, "model.bin")
"""Files of which a folder that was exported has one; the last is CTranslate2's."""
