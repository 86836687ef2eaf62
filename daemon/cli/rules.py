"""Rule files: check, test, explain, eval, list and schema. None of them needs a cluster."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from daemon.cli.figures import length
from daemon.cli.output import FINDINGS, LINT, emit, output_option, place, printable, say, table

if TYPE_CHECKING:
    from daemon.rules.ruleset import RuleSet

PLACES = click.argument("places", nargs=-1, type=click.Path(path_type=Path))


@click.group()
def rules() -> None:
    """Check, test, explain and list rule files: folders and files in their order (default: shipped).

    The word `shipped` stands for the shipped rules: `rules check shipped mine/` adds mine to them.
    """


@rules.command()
@PLACES
@click.option("--lint-fatal", is_flag=True, help="Exit 3 on warnings.")
def check(places: tuple[Path, ...], lint_fatal: bool) -> None:
    """Compile rule files and print every problem with its place."""
    ruleset = load_rules(places)
    for problem in ruleset.problems:
        say(f"warning: {problem}")
    say(f"{len(ruleset.rules)} rules and {len(ruleset.procedures)} procedures are well formed")
    if ruleset.problems and lint_fatal:
        raise SystemExit(LINT)


@rules.command("test")
@PLACES
@click.option("--run", "only", default="", metavar="RE", help="Only rules and detectors whose name this matches.")
@click.option("--diff", is_flag=True, help="Show of each failed example what was expected and what came, and why.")
@click.option("--junit", "report", type=click.Path(path_type=Path), help="Write the results as JUnit XML, for a CI.")
@output_option("table", "json", "yaml")
def test_examples(*, places: tuple[Path, ...], only: str, diff: bool, report: Path | None, output: str) -> None:
    """Run the examples that rules and detectors carry through the real engine, on virtual time.

    --run takes a regular expression (RE2) that may match anywhere in a name: ^helm- or ^build-failed$.
    """
    from daemon.model.documents import API_VERSION
    from daemon.replay.examples import difference, run_examples

    ruleset = load_rules(places)
    results = run_examples(ruleset, _matching(only))
    if only and not results:
        raise click.UsageError(f"--run {only!r} matches the name of no rule or detector that has examples")
    if report is not None:
        from daemon.replay.junit import junit

        try:
            report.write_text(junit(results), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{report} cannot be written: {error.strerror}") from error
    failed = [result for result in results if not result.passed]
    if output == "table":
        for result in failed:
            click.echo(printable(f"{result.file}:{result.line}: {result.rule}: {result.example}: {result.detail}"))
            for line in difference(result) if diff else ():
                click.echo(printable(f"  {line}"))
        say(f"{len(results) - len(failed)} examples passed, {len(failed)} failed")
    else:
        items = [
            {
                "rule": each.rule,
                "example": each.example,
                "passed": each.passed,
                "detail": each.detail,
                "expected": dict(each.wanted),
                "got": dict(each.seen),
            }
            for each in results
        ]
        emit({"apiVersion": API_VERSION, "kind": "RuleTestReport", "failed": len(failed), "items": items}, output)
    if failed:
        raise SystemExit(FINDINGS)


@rules.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.argument("wanted", metavar="KIND/NAME")
@click.option("-n", "--namespace", default="flux-system", show_default=True, help="Namespace of the object.")
@click.option("--rules", "places", multiple=True, type=click.Path(path_type=Path), help="Rule folder or file.")
@click.option("--rule", default="", help="Only the rule of this name.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"]), help="RFC 3339, UTC.")
@output_option("table", "json", "yaml")
def explain(
    *,
    recording: Path,
    wanted: str,
    namespace: str,
    places: tuple[Path, ...],
    rule: str,
    until: datetime | None,
    output: str,
) -> None:
    """Say why each rule holds, or not, for one object of a recording, clause by clause; exit 1 if it is not in it."""
    from daemon.cli.card import explains, explanation, narrowed
    from daemon.cli.recordings import opened, utc
    from daemon.flux.kinds import group_for_kind, kind_named
    from daemon.model.refs import ObjectRef
    from daemon.replay.explain import explain as explained

    kind, _, name = wanted.partition("/")
    if not name:
        raise click.UsageError("name the object as KIND/NAME, for example Kustomization/apps")
    kind = kind_named(kind)
    ref = ObjectRef("default", group_for_kind(kind), kind, namespace, name)
    with opened(recording) as lines:
        found = narrowed(explained(lines, load_rules(places), ref, name=str(recording), until=utc(until)), rule)
    if not explains(found):
        raise click.UsageError(f"no rule about a {kind} and no detector is called {rule!r}")
    if output != "table":
        emit(found, output)
    else:
        click.echo(printable(explanation(found, everything=bool(rule))))
    if not found.get("known"):
        raise SystemExit(FINDINGS)


@rules.command("eval")
@PLACES
@click.option("-f", "file", required=True, type=click.File("rb"), help="Objects as YAML or JSON; - is standard input.")
@click.option(
    "--after",
    type=length(bare=True),
    default="0s",
    show_default=True,
    metavar="DURATION",
    is_eager=True,  # a length that cannot be meant is told before a file is opened
    help="How long they stay as they are, such as 90 (seconds) or 10m.",
)
@click.option("--rule", default="", help="Only the rule of this name.")
@output_option("table", "json", "yaml")
def evaluate_objects(*, places: tuple[Path, ...], file: BinaryIO, after: float, rule: str, output: str) -> None:
    """Say of objects from a file which rules hold for them, clause by clause."""
    from daemon.cli.card import explains, explanation, narrowed
    from daemon.cli.manifests import read_manifests
    from daemon.replay.evaluate import evaluate

    found = evaluate(read_manifests(file), load_rules(places), after=after, name=file.name)
    items = [narrowed(each, rule) for each in found["items"]]  # type: ignore[attr-defined] # its own shape
    if not any(map(explains, items)):
        raise click.UsageError(f"no rule about any of these kinds and no detector is called {rule!r}")
    if output != "table":
        emit({**found, "items": items}, output)
        return
    blocks = (f"{place(each['object'])}\n{explanation(each, everything=bool(rule))}" for each in items)
    click.echo(printable("\n\n".join(blocks)))


@rules.command("list")
@PLACES
@output_option()
def list_rules(places: tuple[Path, ...], output: str) -> None:
    """List the rules with what they are about and how far each may go, and the detectors; say what is switched off."""
    from daemon.engine.detect import DETECTORS, purpose_of
    from daemon.model.documents import API_VERSION

    ruleset = load_rules(places)
    items: list[dict[str, object]] = [
        {
            "name": each.name,
            "severity": each.severity.word,
            "kinds": sorted(each.match.kinds),
            "mode": each.remediation.mode.value if each.remediation else "observe",
            "enabled": each.enabled,
            "examples": sum(len(version.examples) for version in (each, *each.revised)),
            "file": f"{each.file}:{each.line}",
        }
        for each in sorted(ruleset.rules, key=lambda rule: rule.name)
    ]
    detectors: list[dict[str, object]] = [
        {
            "name": name,
            "enabled": name not in ruleset.detectors_off,
            "severity": ruleset.detector_severity[name].word if name in ruleset.detector_severity else "",
            "for": ruleset.detector_hold.get(name),
            "examples": len(ruleset.detector_examples.get(name, ())),
            "text": purpose_of(name),
        }
        for name in sorted(DETECTORS)
    ]
    if output in ("json", "yaml"):
        emit({"apiVersion": API_VERSION, "kind": "RuleList", "items": items, "detectors": detectors}, output)
    elif output == "name":
        click.echo("\n".join(str(item["name"]) for item in (*items, *detectors)))
    else:
        fields = ("name", "severity", "mode", "examples", *(("file",) if output == "wide" else ()), "kinds")
        rows = [[_cell(item[field]) for field in fields] for item in map(_marked, items)]
        table([field.upper() for field in fields], rows)
        click.echo()
        changed = ("severity", "for") if output == "wide" else ()
        fields = ("name", "examples", *changed, "text")
        rows = [[_cell(item[field]) for field in fields] for item in map(_marked, detectors)]
        table(("DETECTOR", "EXAMPLES", *(field.upper() for field in changed), "IT FINDS"), rows)


@rules.command()
def schema() -> None:
    """Print the JSON schema of rule files."""
    from daemon.rules.schema import json_schema

    emit(json_schema(), "json")


def load_rules(places: Sequence[Path]) -> "RuleSet":
    """Return the rules of these folders and files, or the shipped ones. Raises ConfigError with every problem."""
    from daemon.model.errors import ConfigError, Problem
    from daemon.rules.compile import compile_rules
    from daemon.runtime.reload import read
    from daemon.settings import named_rules

    files = read(named_rules(places))
    if not files:
        raise ConfigError(Problem("no rule file is there", file=", ".join(map(str, places))))
    return compile_rules(files)


def _matching(pattern: str) -> Callable[[str], object] | None:
    """Return the question whether a name matches a regular expression, wherever; None where none is given."""
    if not pattern:
        return None
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search  # type: ignore[no-any-return, no-untyped-call] # it has no types
    except re2.error as error:
        words = error.args[0].decode(errors="replace")
        raise click.UsageError(f"--run {pattern!r} is no regular expression (RE2): {words}") from error


def _marked(item: dict[str, object]) -> dict[str, object]:
    """Return a row for people: what is switched off says so beside its name."""
    return item if item["enabled"] else {**item, "name": f"{item['name']} (off)"}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}s"
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
