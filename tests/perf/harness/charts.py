"""Pictures of bars, as SVG. In: Charts. Out: files beside the figures. Called by command."""

from __future__ import annotations

from html import escape
from pathlib import Path

from .benchmark import Bar, Chart

_RIM = 'paint-order="stroke" stroke="#fff" stroke-width="5"'
"""Of texts that the line of the goal may be behind."""
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 36, 250, 170


def draw(chart: Chart, folder: Path) -> Path:
    """Write the picture; returns its path."""
    farthest = max([chart.goal or 0.0, *(max(bar.value, bar.tail or 0.0) for bar in chart.bars)]) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / (farthest * 1.05)
    height = 74 + _ROW * len(chart.bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
        '<g font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="16">{escape(chart.title)}</text>',
        *([_goal(chart, scale, height)] if chart.goal is not None else []),
        *(_row(chart, bar, 46 + _ROW * index, scale) for index, bar in enumerate(chart.bars)),
        "</g></svg>",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{chart.name}.svg"
    path.write_text("\n".join(parts) + "\n")
    return path


def _goal(chart: Chart, scale: float, height: int) -> str:
    goal = chart.goal or 0.0
    x = round(_LEFT + goal * scale)
    label = f"goal{f' for {chart.tail}' if chart.tail else ''}: {goal:g} {chart.unit}"
    return (
        f'<line x1="{x}" x2="{x}" y1="38" y2="{height - 22}" stroke="#c33" stroke-dasharray="4 3"/>'
        f'<text x="{x}" y="{height - 8}" fill="#c33" text-anchor="middle">{escape(label)}</text>'
    )


def _row(chart: Chart, bar: Bar, y: int, scale: float) -> str:
    end = round(_LEFT + bar.value * scale)
    parts = [
        f'<text x="{_LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{_LEFT}" y="{y + 2}" width="{max(1, end - _LEFT)}" height="18" fill="#2b6cb0"/>',
    ]
    said = f"{chart.value} {bar.value:,.4g}".strip()
    if bar.tail is not None:
        tail = round(_LEFT + bar.tail * scale)
        line = f'<line x1="{end}" x2="{tail}" y1="{y + 11}" y2="{y + 11}" stroke="#2b6cb0" stroke-width="3"/>'
        parts.append(line)
        said, end = f"{said}, {chart.tail} {bar.tail:,.4g}", max(end, tail)
    parts.append(f'<text x="{end + 8}" y="{y + 16}" {_RIM}>{escape(said)} {escape(chart.unit)}</text>')
    return "\n".join(parts)
