"""``dragoman check``"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from dragoman.cli.parse import Given, Inputs, OutputFile
from dragoman.config.options import DataOptions, ReadingOptions
from dragoman.data.formats import form_of
from dragoman.data.streams import PACKINGS
from dragoman.errors import OptionError


@dataclass(frozen=True)
class Check:
    """Report what a file of pairs contains and what is wrong with it, with file and line."""

    pairs: Inputs
    """One file of pairs (TSV, CSV, JSON, Parquet, TMX ..., plain or packed; -
    for standard input), or two aligned."""
    against: tuple[Path, ...] = ()
    """The test pairs: report what is in both."""
    fix: OutputFile = None
    """Write the pairs that remain, with all that can be put right, to this
    file as TSV; its name and ".changes.tsv" lists what was removed or
    changed, and why. Each kind of change is shown with examples first."""
    json: bool = False
    """Print JSON instead of text, with 1,000 places of a finding instead of 3."""
    data: ReadingOptions = field(default_factory=ReadingOptions)


def main(asked: Check, given: Given) -> None:
    """Run the verb."""
    reading = DataOptions(**vars(asked.data))
    if asked.fix and reading.features:
        cure = "leave out --features-column and --target-tag"
        raise OptionError("features cannot be written", place="--fix", cure=cure)
    from dragoman.data.check.check import LIST, check_pairs  # only now: --help answers at once
    from dragoman.data.check.report import Report, to_json

    if fix := asked.fix:
        if form_of("", fix.name.lower()) != "tsv" or fix.suffix.lower() in PACKINGS:
            raise OptionError("TSV is written", place="--fix", cure="a name that ends in .tsv")
        files, beside = (*asked.pairs, *asked.against), fix.with_name(fix.name + LIST)
        if beside.exists() and any(map(beside.samefile, filter(Path.exists, files))):
            raise OptionError(f"{beside} is read", place="--fix", cure="another file")

    def say(report: Report) -> None:
        if not asked.json:
            print("\n".join(report.lines()), flush=True)

    most = 1000 if asked.json else 3
    report = check_pairs(asked.pairs, reading, against=asked.against, fix=fix, shown=most, tell=say)
    if asked.json:
        print(json.dumps(report, default=to_json, ensure_ascii=False, indent=1))
    elif report.cleaned:
        print(f"cleaned: {report.cleaned}")
