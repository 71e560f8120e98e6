"""Draw docs/demo.png, the README's picture: real beside generated vowels and their dual space, fitted as in the README's example.

And demo-dark.png beside it, for the dark pages of the documentation.

python benchmarks/make_demo_picture.py [docs/demo.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

from dualwalk.datasets import load_japanese_vowels
from dualwalk.estimator import DualDivergence
from dualwalk.plots import DARK, LIGHT
from dualwalk.report.figures import cover, to_png
from dualwalk.report.story import tell
from dualwalk.sampler import DualSampler

TARGET = Path(__file__).parent.parent / "docs" / "demo.png"


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    vowels = load_japanese_vowels()
    divergence = DualDivergence(random_state=0).fit(vowels.X)
    sampler = DualSampler(random_state=0).fit(vowels.X)
    story = tell(sampler, divergence, vowels.X, sampler.sample(300))
    for path, theme in ((target, LIGHT), (target.with_stem(f"{target.stem}-dark"), DARK)):
        path.write_bytes(to_png(cover(story, theme)))
        print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
