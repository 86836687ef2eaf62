"""Branch coverage by package against its floor: `python -m tests.coverage_gate` after a run with `--cov`.

100 % where decisions are made, 90 % where the outside is met. Prints what is missing; exits 1 when a floor is missed.
"""

import sys
from collections import defaultdict
from pathlib import Path

from coverage import Coverage

FLOORS = {"model": 100.0, "flux": 100.0, "rules": 100.0, "engine": 100.0}
DEFAULT_FLOOR = 90.0
ROOT = Path(__file__).resolve().parent.parent / "daemon"


def main() -> int:
    """Combine, report and judge; return the exit code."""
    coverage = Coverage()
    coverage.combine(keep=False)
    coverage.load()
    reached: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    missing: list[str] = []
    for name in sorted(coverage.get_data().measured_files()):
        path = Path(name)
        if ROOT not in path.parents:
            continue
        package = path.relative_to(ROOT).parts[0].removesuffix(".py")
        numbers = coverage._analyze(name).numbers
        reached[package][0] += numbers.n_executed + numbers.n_executed_branches
        reached[package][1] += numbers.n_statements + numbers.n_branches
        lines = coverage.analysis2(name)[4]
        if numbers.n_missing or numbers.n_partial_branches:
            missing.append(f"  {path.relative_to(ROOT)}: {lines or 'branches'}")
    return _judge(reached, missing)


def _judge(reached: dict[str, list[int]], missing: list[str]) -> int:
    failed = False
    for package, (hit, all_of) in sorted(reached.items()):
        share = 100.0 * hit / all_of if all_of else 100.0
        floor = FLOORS.get(package, DEFAULT_FLOOR)
        failed |= share < floor
        print(f"{package:12} {share:6.1f} %  (floor {floor:.0f} %){'  MISSED' if share < floor else ''}")
    if failed:
        print("not covered:", *missing, sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
