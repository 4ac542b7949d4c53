"""Panels over one time, one below the other, quiet enough for a page, readable on light and dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Curve", "Panel", "Phase", "draw"]

INK, GRID, PAPER = "#4a5568", "#e2e8f0", "#ffffff"
COLOURS = {"good": "#2f855a", "bad": "#c53030", "calm": "#2b6cb0", "old": "#b7791f", "state": "#c53030"}
STATES = ((0, "closed", "#c6e6d3"), (1, "open", "#f2b8b5"), (2, "half-open", "#f6e0a6"))
SHADES = ("none", "#c53030", "#2f855a", "#2b6cb0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the story; seconds since the epoch."""

    begins: float
    ends: float
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line: seconds since the beginning, and the value then. *manner* names its colour, or ``state``."""

    name: str
    manner: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves that share an axis."""

    title: str
    unit: str
    curves: tuple[Curve, ...]


def draw(panels: Sequence[Panel], phases: Sequence[Phase], path: Path) -> None:
    """Write the picture, as the end of *path* says: no date in it, no path, the same for the same numbers."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    settings: Any = {
        "svg.hashsalt": "narrows",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GRID,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(settings):
        heights = [0.45 if _is_state(panel) else 1.0 for panel in panels]
        figure, axes = plt.subplots(
            len(panels),
            1,
            sharex=True,
            figsize=(9.0, 7.0),
            facecolor=PAPER,
            gridspec_kw={"height_ratios": heights, "hspace": 0.34},
        )
        for number, (panel, area) in enumerate(zip(panels, axes, strict=True)):
            _panel(area, panel)
            _phases(area, phases, named=number == 0)
        axes[-1].set_xlabel("seconds")
        figure.align_ylabels(axes)
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, bbox_inches="tight", dpi=110, metadata=metadata)
        plt.close(figure)


def _is_state(panel: Panel) -> bool:
    return panel.curves[0].manner == "state"


def _panel(area: Any, panel: Panel) -> None:
    """The curves of *panel* into *area*."""
    area.set_title(panel.title, loc="left", fontsize=9.5, fontweight="bold", pad=4)
    area.set_facecolor(PAPER)
    for side in ("top", "right", "left"):
        area.spines[side].set_visible(False)
    area.tick_params(length=0)
    if _is_state(panel):
        _states(area, panel.curves[0])
        return
    area.grid(axis="y", color=GRID, linewidth=0.8)
    area.set_axisbelow(True)
    area.set_ylabel(panel.unit, fontsize=8)
    for curve in panel.curves:
        times, values = zip(*curve.points, strict=True)
        colour = COLOURS[curve.manner]
        area.plot(times, values, color=colour, linewidth=1.5, label=curve.name)
        area.fill_between(times, values, color=colour, alpha=0.12, linewidth=0)
    area.set_ylim(
        bottom=0, top=max(1.0, *(value for curve in panel.curves for _, value in curve.points)) * 1.15
    )
    area.yaxis.set_major_locator(_whole())
    if len(panel.curves) > 1:
        area.legend(loc="upper right", ncols=2, frameon=False, fontsize=8, bbox_to_anchor=(1.0, 1.32))


def _whole() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=3, integer=True)


def _states(area: Any, curve: Curve) -> None:
    """A bar whose colour is the state, with its word where there is room."""
    area.set_yticks([])
    area.set_ylim(0, 1)
    area.spines["bottom"].set_visible(False)
    for state, begins, ends in _runs(curve):
        _, word, colour = STATES[state]
        area.axvspan(begins, ends, color=colour, linewidth=0)
        if ends - begins >= 7:  # seconds: room for its word
            area.text((begins + ends) / 2, 0.46, word, ha="center", va="center", fontsize=8)


def _runs(curve: Curve) -> list[tuple[int, float, float]]:
    """State, begin and end of each stretch of one state."""
    runs = list[tuple[int, float, float]]()
    for at, value in curve.points:
        if runs and runs[-1][0] == int(value):
            runs[-1] = (int(value), runs[-1][1], at + 1.0)
        else:
            runs.append((int(value), at, at + 1.0))
    return runs


def _phases(area: Any, phases: Sequence[Phase], *, named: bool) -> None:
    """A thin line where a phase begins, and in the topmost panel its name."""
    start = phases[0].begins
    area.set_xlim(0, phases[-1].ends - start)
    for phase, shade in zip(phases, SHADES, strict=False):
        if phase is not phases[0]:
            area.axvline(phase.begins - start, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), alpha=0.7)
        if named:
            area.annotate(
                phase.name,
                ((phase.begins - start), 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, 22),
                textcoords="offset points",
                fontsize=8.5,
                color=INK if shade == "none" else shade,
            )
