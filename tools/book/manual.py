"""The man page and the completion of shells, from the same options as the help."""

from __future__ import annotations

import inspect

from dragoman import __version__
from dragoman.cli import VERBS
from dragoman.cli.parse import spellings
from tools.book.options import Option, command, described, groups_of, of_group


def flags(verb: str) -> list[str]:
    """Every option of a verb as it is written, with its group's name."""
    found = ["--help", *(f"--{one.flag}" for one in described(command(verb)) if not one.positional)]
    for group, kind in groups_of(verb).items():
        found += [f"--{group}.{one.flag}" for one in of_group(kind)]
    return found


def spelt(verb: str) -> list[str]:
    """Every way to write an option of a verb: also without its group's name, and with ``no-``."""
    whole, found = {flag[2:] for flag in flags(verb)}, ["--help"]
    for name, options in spellings(command(verb)).items():
        if len(options) == 1 and {options[0], options[0].replace("no-", "", 1)} & whole:
            found.append(f"--{name}")
    return found


def man() -> str:
    """The man page ``dragoman(1)``, in the language of man."""
    lines = [
        f'.TH DRAGOMAN 1 "" "dragoman {__version__}" "User Commands"',
        ".SH NAME",
        "dragoman \\- train, explain and ship small sequence-to-sequence models",
        ".SH SYNOPSIS",
        ".B dragoman",
        ".I VERB",
        "[\\fIoptions\\fR]",
        ".SH VERBS",
    ]
    for verb in VERBS:
        own = described(command(verb))
        words = " ".join(one.name.upper() for one in own if one.positional)
        lines += [f".SS dragoman {verb} {words}".rstrip(), _text(inspect.getdoc(command(verb)))]
        for one in own:
            lines += _option(one, "")
        if groups := ", ".join(groups_of(verb)):
            lines += [".PP", f"Groups of options: {groups}."]
    shown = dict[str, type]()
    for verb in VERBS:
        for group, kind in groups_of(verb).items():
            if len(of_group(kind)) > len(
                of_group(shown.get(group, type)) if group in shown else ()
            ):
                shown[group] = kind
    lines += [
        ".SH OPTIONS OF GROUPS",
        "The group's name may be left out where the last name is unique.",
    ]
    for group, kind in shown.items():
        lines += [f".SS {group}", _text(inspect.getdoc(kind))]
        for one in of_group(kind):
            lines += _option(one, f"{group}.")
    lines += [".SH EXIT STATUS"]
    for code, about in (("0", "done"), ("1", "failed"), ("2", "wrong usage or bad input")):
        lines += [".TP", f".B {code}", f"{about}."]
    return "\n".join(lines) + "\n"


def _option(one: Option, prefix: str) -> list[str]:
    name = one.name.upper() if one.positional else f"\\-\\-{_text(prefix + one.flag)}"
    empty = one.positional or one.default in (None, "", ()) or isinstance(one.default, bool)
    default = "" if empty else f" Default: {one.default}."
    return [".TP", f".B {name}", _text(f"{one.about}{default}")]


def _text(text: str | None) -> str:
    """Text as man reads it: a backslash, a hyphen and a dot at the start of a line are marked."""
    safe = (text or "").replace("\\", "\\e").replace("-", "\\-").replace("\n\n", "\n.PP\n")
    lines = (one if one == ".PP" else f"\\&{one}" for one in safe.splitlines())
    return "\n".join(lines)


def completion(shell: str) -> str:
    """A script that completes verbs, options and file names.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.

    Raises:
        ValueError: another shell.
    """
    if shell == "fish":
        lines = ["complete -c dragoman -n __fish_use_subcommand -f"]
        for verb, about in VERBS.items():
            quoted = about.replace("'", "\\'")
            lines.append(f"complete -c dragoman -n __fish_use_subcommand -a {verb} -d '{quoted}'")
            lines += [
                f"complete -c dragoman -n '__fish_seen_subcommand_from {verb}' -l {flag[2:]}"
                for flag in spelt(verb)
            ]
        return "\n".join(lines) + "\n"
    cases = "".join(f"    {verb}) words='{' '.join(spelt(verb))}' ;;\n" for verb in VERBS)
    bash = (
        "_dragoman() {\n"
        '  local current="${COMP_WORDS[COMP_CWORD]}" words\n'
        '  case "$COMP_CWORD:${COMP_WORDS[1]}" in\n'
        f"    1:*) words='--help --version {' '.join(VERBS)}' ;;\n  esac\n"
        '  [ "$COMP_CWORD" -gt 1 ] && case "${COMP_WORDS[1]}" in\n'
        f"{cases}  esac\n"
        '  case "$COMP_CWORD:$current" in\n'
        '    1:*|*:-*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;\n'
        '    *) COMPREPLY=($(compgen -f -- "$current")) ;;\n  esac\n}\n'
        "complete -o filenames -F _dragoman dragoman\n"
    )
    if shell == "bash":
        return bash
    if shell == "zsh":
        return f"autoload -U +X bashcompinit && bashcompinit\n{bash}"
    raise ValueError(f"no completion for {shell}: bash, zsh or fish")
