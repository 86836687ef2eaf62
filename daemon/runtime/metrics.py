"""Prometheus text, made when it is asked for from what the World, the inbox and the lanes count themselves.

No label holds a name from the cluster: the number of series is bounded by the program, not by its input (fault 108).
"""

import re
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Read = Callable[[], Mapping[str, float]]
NAME = re.compile(r"[^a-z0-9_]")


class ProcessMetrics(Collector):
    """Collects from functions that return numbers by name."""

    def __init__(self, readers: Mapping[str, Read]) -> None:
        """Read these, each under its own prefix."""
        self._readers = readers
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return everything as Prometheus text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Yield one series a number: a counter where the name says so (_total), else a gauge."""
        for prefix, read in sorted(self._readers.items()):
            for name, value in sorted(read().items()):
                full = NAME.sub("_", f"fluxmedic_{prefix}_{name}".lower())
                words = f"{prefix}: {name.replace('_', ' ')}"
                counts = full.endswith("_total")
                family = CounterMetricFamily(full, words) if counts else GaugeMetricFamily(full, words)
                family.add_metric([], value)
                yield family
