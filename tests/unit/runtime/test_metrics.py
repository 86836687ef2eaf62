"""Metrics as Prometheus reads them: counters where the name counts, gauges elsewhere, and nothing of the cluster."""

from prometheus_client.parser import text_string_to_metric_families

from daemon.runtime.metrics import ProcessMetrics


def families(metrics: ProcessMetrics) -> dict[str, tuple[str, float]]:
    """Return every series by name: its type and its value, read back with Prometheus' own parser."""
    return {
        sample.name: (family.type, sample.value)
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_a_number_that_counts_is_a_counter_and_any_other_a_gauge():
    metrics = ProcessMetrics({"process": lambda: {"inbox_received_total": 7.0, "inbox_waiting": 2.0}})
    assert families(metrics) == {
        "fluxmedic_process_inbox_received_total": ("counter", 7.0),
        "fluxmedic_process_inbox_waiting": ("gauge", 2.0),
    }


def test_the_numbers_are_those_of_the_moment_they_are_asked_for():
    counts = {"steps_total": 1.0}
    metrics = ProcessMetrics({"world": lambda: counts})
    before = families(metrics)
    counts["steps_total"] = 2.0
    assert [before, families(metrics)] == [
        {"fluxmedic_world_steps_total": ("counter", 1.0)},
        {"fluxmedic_world_steps_total": ("counter", 2.0)},
    ]


def test_f108_a_target_with_an_odd_name_gives_a_lawful_name_and_no_label():
    metrics = ProcessMetrics({"target": lambda: {'Ops-Team "1"\n_sent_total': 1.0}})
    assert families(metrics) == {"fluxmedic_target_ops_team__1___sent_total": ("counter", 1.0)}
    assert b"{" not in metrics.text()


def test_each_part_has_its_own_prefix():
    metrics = ProcessMetrics({"a": lambda: {"x": 1.0}, "b": lambda: {"x": 2.0}})
    assert families(metrics) == {"fluxmedic_a_x": ("gauge", 1.0), "fluxmedic_b_x": ("gauge", 2.0)}


def test_nothing_to_count_is_no_fault():
    assert ProcessMetrics({}).text() == b""
