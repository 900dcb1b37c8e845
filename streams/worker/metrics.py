"""Every metric of the worker: one registry, each with its meaning and what to do about it.

Labels are bounded: names of rules, actions and reasons come from definitions and tables, partitions from the topic;
never a customer or an event id. Counters move once a transaction, after its commit.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from streams import __version__
from streams.worker.batch import Tally

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for

LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
COMMIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
RECORDS = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


class Metrics:
    """Prefix ``journey_``; seconds and bytes; ``_total`` for what only rises."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, gauge, histogram = self.counter, self.gauge, self.histogram
        # consumed = processed + duplicate + too_late + dead_letter + already_applied + abandoned + in flight
        self.consumed = counter(
            "events_consumed",
            "Touchpoints taken into a transaction. Flat while lag grows: see PartitionStalled.",
            "topic",
        )
        self.processed = counter(
            "events_processed",
            "Touchpoints by what became of them: processed, duplicate, too_late, dead_letter, already_applied (read "
            "again), abandoned (given up when fenced; the new owner processes them). With those in flight they "
            "add up to journey_events_consumed_total; if they do not, report a defect.",
            "result",
        )
        self.in_flight = gauge("events_in_flight", "Touchpoints in transactions that are not yet committed.")
        self.batch_seconds = histogram(
            "batch_processing_duration_seconds",
            "Decoding, engine and encoding of a transaction. High: smaller JOURNEY_BATCH_TRANSACTION_RECORDS.",
            COMMIT_S,
        )
        self.latency = histogram(
            "end_to_end_latency_seconds",
            "From the time of the causing signal to the committed trigger. High with low lag: producers are late.",
            LATENCY_S,
        )
        self.lag = gauge(
            "consumer_lag_records",
            "Last stable offset minus position. Growing: more workers, or a slow definition.",
            "topic",
            "partition",
        )
        self.lag_seconds = gauge(
            "consumer_lag_seconds", "Age of the last touchpoint processed while there is lag; 0 without.", "partition"
        )
        self.committed = gauge("committed_offset", "Where the next touchpoint is read from.", "partition")
        self.log_end = gauge("log_end_offset", "Last stable offset of the input.", "partition")
        self.progress = gauge(
            "last_progress_timestamp_seconds", "When a transaction was last committed or none was due.", "partition"
        )
        self.commits = counter(
            "commits",
            "Transactions by result: committed, aborted (sent again), unknown (settled by the marker), fenced (another "
            "worker took over). Fenced without a rebalance: two workers share an instance id or an application name.",
            "result",
        )
        self.commit_seconds = histogram("commit_duration_seconds", "Sending and committing a transaction.", COMMIT_S)
        self.produce_errors = counter(
            "produce_errors", "Transactions aborted because of a topic or a broker. Read the worker's log.", "topic"
        )
        self.batch_records = histogram("batch_size_records", "Touchpoints in a transaction.", RECORDS)
        self.rebalances = counter("rebalances", "Assignments received. Many: unstable workers, see RebalanceStorm.")
        self.rebalance_seconds = histogram(
            "rebalance_duration_seconds", "From revocation to assignment: the group stands still.", LATENCY_S
        )
        self.assigned = gauge("assigned_partitions", "Partitions that the group has given to this worker.")
        self.recovery_left = gauge(
            "recovery_remaining_records", "Offsets of the state topic still to be read by an open.", "partition"
        )
        self.recovery_seconds = histogram(
            "recovery_duration_seconds",
            "Taking over a partition: fencing, reading and rebuilding its state.",
            LATENCY_S,
        )
        self.state_entries = gauge("state_entries", "Profiles held.", "partition")
        self.state_bytes = gauge(
            "state_bytes",
            "Bytes of the profiles as the state topic holds them, estimated: their number times the mean of those "
            "restored or written last.",
            "partition",
        )
        self.state_written = counter("state_written_bytes", "Bytes written to the state topic.")
        self.state_records = counter("state_written_records", "Records written to the state topic.")
        self.watermark_lag = gauge(
            "watermark_lag_seconds",
            "Wall clock minus watermark. Stuck: no touchpoints and the idle clock stands.",
            "partition",
        )
        self.late = counter(
            "late_events",
            "applied: late but taken into account; too_late: dropped. Many: raise time.allowed_lateness.",
            "action",
        )
        self.duplicates = counter("duplicate_events", "Touchpoints with an id seen before.")
        self.noted = counter(
            "noted_events",
            "Peculiarities of touchpoints: conflicting (same id, other contents), skew_corrected, skew_cut, unassigned "
            "(no instance to join), preset_fields_missing, evicted and shed (state let go); of scores: "
            "features_missing (an expression of the definition failed), scores_unusable (a model gave no probability), "
            "snapshots_full and labels_censored (scores that teach nothing); of contacts: contacts_censored (teach "
            "nothing), held_full (a decision was not held, too many wait); of outcomes: outcomes_matched (without "
            "trigger_id, told to one), outcomes_ambiguous (could be of several, told to none), "
            "outcomes_unknown, outcomes_repeated and outcomes_early (before the trigger): without effect.",
            "what",
        )
        self.dead_letters = counter(
            "dead_letters", "Records that were no touchpoint. See the dead-letter topic.", "reason"
        )
        self.loop_lag = gauge(
            "event_loop_lag_seconds", "Delay of the worker's event loop. Above 1: chunks are too large."
        )
        self.paused = gauge(
            "paused",
            "1: the partition is paused by its dead letters; `journey partitions resume N` resumes it.",
            "partition",
        )
        self.ready = gauge("ready", "1: member of the group and every assigned partition is restored.")
        self.losses = counter("accepted_losses", "Losses that --accept-loss went past, by what was lost.", "what")
        self.registry_waits = counter("registry_waits", "Chunks that waited for the schema registry.")
        self.definition = gauge("definition_number", "Number of the definition in force.", "partition")
        self.unused_events = gauge(
            "unused_event_names", "Event names that arrived and that no definition uses.", "partition"
        )
        self.signals = counter("signals", "Signals by kind.", "kind", "journey")
        self.triggers = counter("triggers", "Triggers by what happened to them.", "action", "arm", "status")
        self.suppressed = counter("suppressed", "Decisions that issued nothing, by reason.", "reason")
        self.stages = counter("stage_transitions", "Stages entered and left.", "journey", "stage", "change")
        self.scores = histogram(
            "churn_score",
            "Scores made, by risk. All in one bin: the prior, or a model that has learned nothing.",
            SCORES,
            "risk",
        )
        self.labels_waiting = gauge(
            "labels_waiting",
            "Scores that wait for what comes to pass. Rises for ever: a horizon that never ends.",
            "partition",
        )
        self.examples = counter(
            "examples",
            "Labels that have matured, by what became true. No risk comes true, or all do: its horizon or its event "
            "is not what was meant.",
            "risk",
            "label",
        )
        self.model_version = gauge(
            "model_version", "Version of the model that scores a risk; 0: the prior does.", "risk", "partition"
        )
        self.models_refused = counter(
            "models_refused",
            "Snapshots of models that are not used: tampered, unsigned (or JOURNEY_LEARNER_KEY is not set), newer "
            "(than this software), foreign (its body is more than a model), malformed, gone (taken back while "
            "it was read), signature, unknown_risk and other_definition (no risk has "
            "its features and labels; passes when the learner knows the new ones). Tampered, foreign: find out who "
            "writes to the models topic.",
            "reason",
        )
        Info("journey_build", "Version of the software.", registry=self.registry).info({"version": __version__})
        for result in ("processed", "duplicate", "too_late", "dead_letter", "already_applied", "abandoned"):
            self.processed.labels(result)
        for result in ("committed", "aborted", "unknown", "fenced"):
            self.commits.labels(result)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"journey_{name}", text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"journey_{name}", text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"journey_{name}", text, labels, buckets=buckets, registry=self.registry)

    def settled(self, tally: Tally, wall_s: float) -> None:
        """A transaction is certain: count what it did."""
        dead = tally.dead_letters.total()
        counts = tally.counts
        processed = self.processed
        for result, number in (
            ("processed", counts["processed"]),
            ("duplicate", counts["duplicate"]),
            ("too_late", counts["too_late"]),
            ("dead_letter", dead),
            ("already_applied", tally.already_applied),
        ):
            if number:
                processed.labels(result).inc(number)
        for reason, number in tally.dead_letters.items():
            self.dead_letters.labels(reason).inc(number)
        if counts["late"]:
            self.late.labels("applied").inc(counts["late"])
        if counts["too_late"]:
            self.late.labels("too_late").inc(counts["too_late"])
        if counts["duplicate"]:
            self.duplicates.inc(counts["duplicate"])
        for what in (
            "conflicting",
            "skew_corrected",
            "skew_cut",
            "unassigned",
            "preset_fields_missing",
            "evicted",
            "shed",
            "features_missing",
            "scores_unusable",
            "snapshots_full",
            "labels_censored",
            "contacts_censored",
            "held_full",
            "outcomes_matched",
            "outcomes_ambiguous",
            "outcomes_unknown",
            "outcomes_repeated",
            "outcomes_early",
        ):
            if counts[what]:
                self.noted.labels(what).inc(counts[what])
        for (kind, journey), number in tally.signals.items():
            self.signals.labels(kind, journey).inc(number)
        for (journey, stage, change), number in tally.stages.items():
            self.stages.labels(journey, stage, change).inc(number)
        for (action, arm, status), number in tally.triggers.items():
            self.triggers.labels(action, arm, status).inc(number)
        for reason, number in tally.not_issued.items():
            self.suppressed.labels(reason).inc(number)
        by_risk = {risk: self.scores.labels(risk) for risk in dict(tally.scores)}
        for risk, score in tally.scores:
            by_risk[risk].observe(score)
        for (risk, label), number in tally.examples.items():
            self.examples.labels(risk, str(label).lower()).inc(number)
        for issued_at in tally.issued_for:
            self.latency.observe(max(0.0, wall_s - issued_at / 1000))
        self.state_records.inc(tally.state_records)
        self.state_written.inc(tally.state_bytes)
        if tally.consumed:
            self.batch_records.observe(tally.consumed)
            self.batch_seconds.observe(tally.seconds)
            self.in_flight.dec(tally.consumed + tally.already_applied)
        self.commits.labels("committed").inc()

    def taken(self, topic: str, records: int) -> None:
        self.consumed.labels(topic).inc(records)
        self.in_flight.inc(records)

    def abandoned(self, tally: Tally) -> None:
        """The partition was fenced: its new owner processes these again."""
        number = tally.consumed + tally.already_applied
        if number:
            self.processed.labels("abandoned").inc(number)
            self.in_flight.dec(number)
