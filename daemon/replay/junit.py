"""The results of `rules test` as JUnit XML, which every CI system draws."""

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from daemon.replay.examples import ExampleResult

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, escaped or not: a name with one would cost the whole report."""


def junit(results: Sequence[ExampleResult]) -> str:
    """Return one test suite: a case for each example, named by its rule, with the place of one that failed."""
    failed = sum(not each.passed for each in results)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="fluxmedic rules" tests="{len(results)}" failures="{failed}" errors="0">',
    ]
    for each in results:
        case = (
            f"  <testcase classname={quoteattr(each.rule)} name={quoteattr(each.example)} file={quoteattr(each.file)}"
        )
        if each.passed:
            lines.append(f"{case}/>")
        else:
            place = f"{each.file}:{each.line}: {each.detail}"
            lines += [
                f"{case}>",
                f"    <failure message={quoteattr(each.detail)}>{escape(place)}</failure>",
                "  </testcase>",
            ]
    return FORBIDDEN.sub(_spelt, "\n".join([*lines, "</testsuite>", ""]))


def _spelt(found: re.Match[str]) -> str:
    return f"\\x{ord(found.group()):02x}"
