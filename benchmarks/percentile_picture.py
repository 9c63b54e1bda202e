"""Draw what percentiles do to the bundled router's win rates.

    python benchmarks/percentile_picture.py docs/percentiles.svg

Left each prompt's raw win rate, right its percentile, both on a scale from 0 to 1.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from routellm_core import load_router

PROMPTS = (
    "Derive the Navier-Stokes equations.",
    "Prove that there are infinitely many primes.",
    "Explain the CAP theorem's trade-offs.",
    "Summarize this text in one line.",
    "What is the capital of Brazil?",
    "Why does my React component re-render infinitely?",
)
WIDTH, TOP, SCALE, LEFT, RIGHT = 760, 40, 300, 120, 330
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#334155}line{stroke:#94a3b8}"
    ".link{stroke:#2563eb;stroke-width:1.5}circle{fill:#2563eb}"
    "@media(prefers-color-scheme:dark){text{fill:#cbd5e1}.link{stroke:#60a5fa}circle{fill:#60a5fa}}"
)


def y_of(value: float) -> float:
    """Return the height of a number in [0, 1]."""
    return TOP + SCALE * (1.0 - value)


def axis(x: float, title: str) -> list[str]:
    """Return an axis from 0 to 1 with its title above."""
    parts = [
        f'<line x1="{x}" y1="{y_of(1)}" x2="{x}" y2="{y_of(0)}"/>',
        f'<text x="{x}" y="{TOP - 16}" text-anchor="middle">{title}</text>',
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = y_of(value)
        parts.append(f'<line x1="{x - 4}" y1="{y}" x2="{x + 4}" y2="{y}"/>')
        if x == LEFT:
            parts.append(f'<text x="{x - 12}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    return parts


def picture() -> str:
    """Return the drawing as SVG."""
    router = load_router("mf")
    raw, percentiles = router.raw_win_rates(PROMPTS), router.win_rates(PROMPTS)
    label = "The raw win rates of six prompts lie close together; their percentiles are spread out."
    parts = [*axis(LEFT, "raw win rate"), *axis(RIGHT, "percentile")]
    for prompt, before, after in zip(PROMPTS, raw.tolist(), percentiles.tolist(), strict=True):
        left, right = y_of(before), y_of(after)
        parts += [
            f'<line class="link" x1="{LEFT}" y1="{left:.1f}" x2="{RIGHT}" y2="{right:.1f}"/>',
            f'<circle cx="{LEFT}" cy="{left:.1f}" r="3"/>',
            f'<circle cx="{RIGHT}" cy="{right:.1f}" r="3"/>',
            f'<text x="{RIGHT + 14}" y="{right + 4:.1f}">{after:.2f} {escape(prompt)}</text>',
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + SCALE + 20}" '
        f'role="img" aria-label="{label}"><style>{STYLE}</style>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
