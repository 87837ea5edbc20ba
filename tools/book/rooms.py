"""Draws the rooms of the package from its imports: who imports whom, as an SVG."""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "dragoman"
WIDTH, BOX, HIGH, GAP = 760, 130, 34, 30


def layers() -> list[list[str]]:
    """The rooms from the top to the ground, as the contract in pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (one,) = (contract for contract in contracts if contract["type"] == "layers")
    return [[name.strip().split(".")[-1] for name in row.split("|")] for row in one["layers"]]


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports anything from, at any place in its files."""
    rooms = {name for row in layers() for name in row}
    found: dict[str, set[str]] = {name: set() for name in rooms}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in rooms:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for name in _names(node):
                other = name.split(".")[1] if name.startswith("dragoman.") else ""
                if other in rooms and other != room:
                    found[room].add(other)
    return found


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module == "dragoman":
        return [f"dragoman.{one.name}" for one in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [one.name for one in node.names] if isinstance(node, ast.Import) else []


def svg() -> str:
    """Boxes in rows, one row a layer; a line for each import of a room in a lower row.

    A line that another path already tells (training imports data, and so does evaluation, which
    training imports) is left out.
    """
    rows, needs, places = layers(), imports(), dict[str, tuple[float, float]]()
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            places[name] = (WIDTH * (x + 0.5) / len(row), y * (HIGH + GAP) + HIGH / 2 + 4)
    high, around = len(rows) * (HIGH + GAP), 0
    left = min(x for x, _ in places.values()) - BOX / 2 - 4
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.0f} 0 {WIDTH - 2 * left:.0f} '
        f'{high}" role="img" class="rooms" aria-label="The rooms of the package and their imports" '
        'font-family="sans-serif" font-size="19">'
    ]
    for room, others in sorted(needs.items()):
        told = {far for near in others for far in _below(near, needs)}
        for other in sorted(others - told):
            (x1, y1), (x2, y2) = places[room], places[other]
            aside = 0.0
            if x1 == x2 and any(x == x1 and y1 < y < y2 for x, y in places.values()):
                aside = BOX * 0.7 + (y2 - y1) / 8  # around the boxes that stand between
                aside *= -1 if (around := around + 1) % 2 else 1
            bend = f"M{x1:.0f} {y1 + HIGH / 2:.0f} C{x1 + aside:.0f} {y1 + 45:.0f} "
            bend += f"{x2 + aside:.0f} {y2 - 45:.0f} {x2:.0f} {y2 - HIGH / 2:.0f}"
            parts.append(f'<path d="{bend}" fill="none" stroke="#7986cb" stroke-width="1.5"/>')
    for name, (x, y) in places.items():
        parts.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX}" height="{HIGH}" '
            f'rx="6" fill="#3f51b5"/><text x="{x:.0f}" y="{y + 6:.0f}" fill="#fff" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _below(room: str, needs: dict[str, set[str]]) -> set[str]:
    """Every room that ``room`` needs, also through others."""
    found, ahead = set[str](), list(needs[room])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += needs[name]
    return found


def picture() -> str:
    """The drawing as a part of a page."""
    return svg()
