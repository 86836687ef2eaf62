"""Play many stories: `python -m tests.random_clusters --count 100000`; the first wrong one becomes a recording."""

import argparse
import gzip
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from daemon.cli.rules import load_rules
from daemon.rules.ruleset import RuleSet
from tests.random_clusters.story import tell
from tests.random_clusters.verdict import verdict

CHUNK = 20


@cache
def shipped() -> RuleSet:
    """Return the shipped rules, compiled once a process."""
    return load_rules(())


def played(seed: int) -> tuple[int, tuple[str, ...], list[str]]:
    """Play one story; return its faults and what is wrong with what was told."""
    story = tell(seed)
    return seed, story.faults, verdict(story, shipped())


def main() -> int:
    """Play stories, say what is wrong, and return 1 when something is."""
    parser = argparse.ArgumentParser(prog="random_clusters")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=Path("wrong.jsonl.gz"), help="where the first wrong story goes")
    asked = parser.parse_args()
    faults: Counter[str] = Counter()
    bad = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        seeds = range(asked.first, asked.first + asked.count)
        for seed, kinds, wrong in pool.map(played, seeds, chunksize=CHUNK):
            faults.update(kinds or ("none",))
            if not wrong:
                continue
            print(f"seed {seed} ({', '.join(kinds)}):", *wrong, sep="\n  ")
            if not bad:
                asked.out.write_bytes(gzip.compress("\n".join(tell(seed).lines).encode()))
                print(f"  its recording, for `fluxmedic replay`: {asked.out}")
            bad += 1
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items()))
    print(f"{asked.count} random clusters, {bad} told wrong; faults: {told}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
