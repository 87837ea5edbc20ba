"""Translate standard input with a model in CTranslate2's format, of words between single spaces.

    python -m benchmarks.ctranslate2_model FOLDER BEAM THREADS

Each thread searches batches of its own, of at most 64 sentences of like length. All else is as
CTranslate2 has it.
"""

from __future__ import annotations

import sys

import ctranslate2


def main() -> None:
    """Translate."""
    folder, beam, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    model = ctranslate2.Translator(folder, inter_threads=threads, intra_threads=1)
    sources = [line.split() for line in sys.stdin]
    for answer in model.translate_batch(sources, beam_size=beam, max_batch_size=64):
        print(*answer.hypotheses[0])


if __name__ == "__main__":
    main()
