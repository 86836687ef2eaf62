"""Logs: one JSON line an event, ours and every library's alike, without secrets and without control characters.

What is bound with `structlog.contextvars` (cause, incident, ref) stands in every line below it. Limit: a log line is
for people and never the audit; that is the incident's timeline.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from daemon.model.ports import Clock

Redact = Callable[[str], str]
QUIET = {
    "kubernetes_asyncio.client.rest": logging.INFO,
    "aiosqlite": logging.INFO,
    "alembic": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.INFO,
}
"""Least levels of libraries: below them they print whole response bodies, statements with values, or every request."""
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"} | {
    code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
}
"""Terminal escapes, line separators and what turns the direction of text, spelled out (faults 109, 81)."""


def configure(clock: Clock, redact: Redact, stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send everything logged in this process to the stream as JSON lines, from `level` up."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamp(clock),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                cleaner(redact),
                _render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def cleaner(redact: Redact) -> Processor:
    """Return a processor that takes secrets and control characters out of every key and value."""

    def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(_clean(str(key), redact)): _clean(value, redact) for key, value in event.items()}

    return clean


def _clean(value: object, redact: Redact) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(_clean(str(key), redact)): _clean(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return [_clean(item, redact) for item in value]
    return redact(str(value)).translate(CONTROLS)


def _stamp(clock: Clock) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["at"] = clock.now().isoformat()
        return event

    return stamp


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS).decode()
