"""Reliability of trained runs: are links and boundaries as probable as the runs say?

    hardpp train --data bible-alignments --objective exact --out runs/links
    hardpp train --model online-alignment --data synthetic-timit --objective exact \
        --set network.form=transducer --max-epochs 14 --out runs/speech
    python benchmarks/reliability_curves.py runs/links --of guide
    python benchmarks/reliability_curves.py runs/speech
    python benchmarks/reliability_curves.py runs/links --backward runs/links-backward --of guide

Prints, for links and times of the test part that are known, the expected calibration error and the curve, raw
and calibrated on the dev part. Errors are binomial: they count links and times as independent.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measured import commit

import hardpp


def table(curves: Sequence[dict[str, Any]]) -> str:
    """Curves as Markdown: a line of totals each, and a row a bin."""
    lines = []
    for curve in curves:
        lines += [f"\n{curve['what']}: ECE {curve['ece']:.4f} of {curve['count']}\n"]
        lines += ["| bin | said | true | ± | count |", "|---|---|---|---|---|"]
        for row in curve["rows"]:
            figures = (f"{row[key]:.3f}" for key in ("predicted", "observed", "error"))
            lines.append(f"| {row['bin']} | {' | '.join(figures)} | {row['count']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--of", choices=["posterior", "guide", "prior"], default="posterior")
    parser.add_argument("--part", choices=["dev", "test"], default="test")
    parser.add_argument("--bins", type=int, default=10)
    parser.add_argument(
        "--backward", type=Path, help="a run of the other direction, to symmetrise links with"
    )
    parser.add_argument("--symmetrise", default="grow-diag-final-and")
    options = parser.parse_args()
    for path in options.runs:
        run: Any = hardpp.open_run(path, "cpu")
        items = run.select(part=options.part)
        print(f"\n{run}, step {run.step}, {options.part}, seed {run.config.seed}, commit {commit()}")
        print(table(run.reliability(items, of=options.of, bins=options.bins)), flush=True)
        if options.backward is not None:
            other = hardpp.open_run(options.backward, "cpu")
            method: Any = {"of": options.of, "method": options.symmetrise, "bins": options.bins}
            print(table(run.link_reliability(other, items, **method)), flush=True)


if __name__ == "__main__":
    main()
