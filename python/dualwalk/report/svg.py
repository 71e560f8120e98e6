"""A chart as SVG text: scales, lines, areas and axes. Colours are classes of page.css, so that a theme costs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LETTER = 6.4  # width of a letter of an axis, in pixels


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Up to `most` round numbers between low and high."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(k * power for k in (1, 2, 2.5, 5, 10) if (high - low) / (k * power) <= most)
    return [round(k * step, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def words(value: float) -> str:
    """A tick's number."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


class Chart:
    """An SVG picture of width x height pixels whose plot runs over `x` and `y` (low, high) inside its margins."""

    def __init__(
        self,
        width: float,
        height: float,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        left: float = 44,
        right: float = 12,
        top: float = 10,
        bottom: float = 38,
    ) -> None:
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = left, width - right, top, height - bottom
        self.x, self.y = x, y
        self._parts: list[str] = []

    def px(self, x: ArrayLike) -> NDArray[np.float64]:
        """Pixels from the left of places x."""
        low, high = self.x
        return self.left + (np.asarray(x, dtype=np.float64) - low) / ((high - low) or 1.0) * (self.right - self.left)

    def py(self, y: ArrayLike) -> NDArray[np.float64]:
        """Pixels from the top of heights y."""
        low, high = self.y
        return self.bottom - (np.asarray(y, dtype=np.float64) - low) / ((high - low) or 1.0) * (self.bottom - self.top)

    def add(self, tag: str, kind: str, **attributes: Any) -> None:
        """An element of a class; numbers are pixels."""
        self._parts.append(f"<{tag}{_written({'class': kind, **attributes})}/>")

    def line(self, x: ArrayLike, y: ArrayLike, kind: str, **attributes: Any) -> None:
        """A line through points of the plot."""
        self.add("path", f"line {kind}", d=path(self.px(x), self.py(y)), **attributes)

    def area(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, kind: str) -> None:
        """What lies between two lines."""
        x, low, high = (np.asarray(v, dtype=np.float64) for v in np.broadcast_arrays(x, low, high))
        outline = path(self.px(np.r_[x, x[::-1]]), self.py(np.r_[high, low[::-1]]))
        self.add("path", kind, d=outline + "Z")

    def rect(self, x: tuple[float, float], y: tuple[float, float], kind: str, **attributes: Any) -> None:
        """A rectangle between two places and two heights."""
        (a, b), (c, d) = np.sort(self.px(x)), np.sort(self.py(y))
        self.add("rect", kind, x=a, y=c, width=b - a, height=d - c, **attributes)

    def image(self, uri: str, x: tuple[float, float], y: tuple[float, float]) -> None:
        """A tiny picture stretched over a part of the plot, its pixels kept sharp."""
        (a, b), (c, d) = np.sort(self.px(x)), np.sort(self.py(y))
        self.add("image", "pixels", x=a, y=c, width=b - a, height=d - c, preserveAspectRatio="none", href=uri)

    def strokes(self, x: ArrayLike, top: float, bottom: float, kind: str) -> None:
        """A short upright stroke for every x, between two rows of pixels."""
        ups = "".join(f"M{_short(p)} {_short(top)}V{_short(bottom)}" for p in self.px(x))
        if ups:
            self.add("path", f"line {kind}", d=ups)

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "middle", turn: bool = False) -> None:
        """A word at pixels x, y."""
        attributes: dict[str, Any] = {"x": x, "y": y, "text-anchor": anchor}
        if turn:
            attributes["transform"] = f"rotate(-90 {_short(x)} {_short(y)})"
        self._parts.append(f"<text{_written({'class': kind or None, **attributes})}>{escape(text)}</text>")

    def x_axis(self, label: str, at: Iterable[tuple[float, str]] | None = None, *, grid: bool = False) -> None:
        """Ticks and numbers under the plot; those that would touch the one before are left out."""
        most = max(2, int((self.right - self.left) / 70))
        self.add("path", "line axis", d=f"M{_short(self.left)} {_short(self.bottom)}H{_short(self.right)}")
        end = -math.inf
        for place, name in [(t, words(t)) for t in ticks(*self.x, most)] if at is None else at:
            p = float(self.px(place))
            half = LETTER * len(name) / 2
            if p - half < end:
                continue
            end = p + half + 6
            start = self.top if grid else self.bottom
            self.add("path", "line grid" if grid else "line axis", d=f"M{_short(p)} {_short(start)}V{_short(self.bottom + 4)}")
            self.text(p, self.bottom + 16, name)
        self.text((self.left + self.right) / 2, self.bottom + 32, label, "label")

    def y_axis(self, label: str, at: Iterable[tuple[float, str]] | None = None, *, grid: bool = True) -> None:
        """Ticks and numbers left of the plot."""
        most = max(2, int((self.bottom - self.top) / 34))
        for place, name in [(t, words(t)) for t in ticks(*self.y, most)] if at is None else at:
            p = float(self.py(place))
            if grid:
                self.add("path", "line grid", d=f"M{_short(self.left)} {_short(p)}H{_short(self.right)}")
            self.text(self.left - 6, p + 4, name, anchor="end")
        if label:
            self.text(11, (self.top + self.bottom) / 2, label, "label", turn=True)

    def svg(self, alt: str, kind: str = "", **data: Any) -> str:
        """The whole picture; `alt` says what it shows, `data` become data- attributes for the page's script."""
        named = {f"data-{name}": value for name, value in data.items()}
        box = {"viewBox": f"0 0 {_short(self.width)} {_short(self.height)}", "role": "img", "aria-label": alt}
        return f"<svg{_written({'class': kind or None, **box, **named})}>{''.join(self._parts)}</svg>"


def path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """The `d` of a line through pixels."""
    return "M" + "L".join(f"{_short(a)} {_short(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _written(attributes: dict[str, Any]) -> str:
    shown = ((name.replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    return "".join(
        f' {name}="{_short(float(v)) if isinstance(v, float | np.floating) else escape(str(v))}"' for name, v in shown
    )
