"""Do the tests notice when the core is wrong? `python -m tests.mutation` changes it a thousand times and asks them.

The idea: mutmut makes one small change to one function at a time (`<` becomes `<=`, an argument is left out, `and`
becomes `or`), forks a warm process and runs the tests of the engine that reach that function, cheapest first. A change
that no test minds is a survivor: either a test is missing, or the change makes no difference that anybody could see.
Survivors of the second kind stand in equivalent.toml, each with its reason; any other fails the run.

Names such as `daemon.engine.graph*` as arguments ask for those mutants alone; without, what was judged before and has
not changed since keeps its verdict (`mutants/`, safe to remove).

Limits: only functions are changed. Tables and constants of a module are not (tests/unit/engine says what they mean),
nor are regular expressions. A verdict is that of tests/unit/engine alone: recordings and properties are not asked,
they would take a hundred times as long.
"""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff
from pathlib import Path

MUTANTS = Path("mutants")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
KILLED = {1, 3, 24, 36, 37, 152, 255, -24}
"""Exit codes by which mutmut says that a test failed, or that time ran out: a loop without an end is noticed too."""
UNASKED = None


@dataclass(frozen=True, order=True)
class Mutant:
    """One change of one function: the lines it takes out, and what it puts there."""

    module: str
    function: str
    before: str
    after: str

    def __str__(self) -> str:
        """Print as an entry of equivalent.toml that lacks only its reason."""
        facts = {"in": f"{self.module}.{self.function}", "before": self.before, "after": self.after}
        return "\n".join(
            ["[[mutant]]", *(f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in facts.items())]
        )


def main() -> int:
    """Make the mutants, let the tests judge them, and say the score; return the exit code."""
    _ask_again()
    mutmut = Path(sys.executable).with_name("mutmut")
    if subprocess.run([mutmut, "run", "--max-children", "1", *sys.argv[1:]], check=False).returncode:
        return 2
    entries = tomllib.loads(EQUIVALENT.read_text())["mutant"]
    excused = {(entry["in"], entry["before"], entry["after"]): entry["why"] for entry in entries}
    used: set[tuple[str, str, str]] = set()
    failed = False
    for meta in sorted(MUTANTS.glob("daemon/**/*.py.meta")):
        codes = {
            name: code for name, code in json.loads(meta.read_text())["exit_code_by_key"].items() if code is not UNASKED
        }
        if not codes:
            continue
        survivors = list(_read(meta.with_suffix(""), [name for name, code in codes.items() if code not in KILLED]))
        known = [each for each in survivors if _key(each) in excused]
        used |= {_key(each) for each in known}
        missed = sorted(each for each in survivors if _key(each) not in excused)
        score = f"{len(codes) - len(survivors):5} of {len(codes):5} killed"
        print(f"{meta.stem:15}{score}, {len(known):3} make no difference, {len(missed):3} survive")
        print(*missed, sep="\n")
        failed |= bool(missed)
    return int(failed)


def _ask_again() -> None:
    """Forget the verdict on what survived: a new test may mind it."""
    for meta in MUTANTS.glob("daemon/**/*.py.meta"):
        data = json.loads(meta.read_text())
        codes = data["exit_code_by_key"]
        data["exit_code_by_key"] = {name: code if code in KILLED else None for name, code in codes.items()}
        meta.write_text(json.dumps(data))


def _key(mutant: Mutant) -> tuple[str, str, str]:
    return f"{mutant.module}.{mutant.function}", mutant.before, mutant.after


def _read(path: Path, names: list[str]) -> Iterator[Mutant]:
    """Yield what these mutants change, from the file that has every variant of every function in it."""
    text = path.read_text()
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    lines = text.splitlines()
    for name in names:
        variant = name.rpartition(".")[2]
        plain = variant.rpartition("__mutmut_")[0]
        before, after = (_body(lines, functions[each]) for each in (f"{plain}__mutmut_orig", variant))
        changes = list(ndiff(before, after))
        took, put = (" ".join(line[2:].strip() for line in changes if line[0] == sign) for sign in "-+")
        yield Mutant(path.stem, plain.removeprefix("x_"), took, put)


def _body(lines: list[str], function: ast.FunctionDef) -> list[str]:
    """Return a function's lines without its name, which alone says which variant it is."""
    found = lines[function.lineno - 1 : function.end_lineno]
    return [line.replace(function.name, "f", 1) for line in found]


if __name__ == "__main__":
    sys.exit(main())
