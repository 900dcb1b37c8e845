"""Every metric that the project exposes, in one table: name, type, unit, labels, meaning, and what to do about it.

Owns the names. ``docs/metrics.md`` is made from it (``streams.worker.reference``), alerts and dashboards may read
nothing else, and a process exposes what its side of the table says, no more and no less: tests hold them together. What
is counted, and when, is in ``metrics.py``, ``learner/process/metrics.py`` and ``merged.py``.

Labels are bounded by definitions, tables and topics: never a customer, an event id or anything else that a touchpoint
may set freely.
"""

from __future__ import annotations

from typing import Final

from streams.worker.metric import Metric, Side

LATENCY_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
COMMIT_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SCORES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
RECORDS: Final = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000)

CATALOGUE: Final[dict[str, Metric]] = {}
"""Name -> metric, in the order in which they are explained."""


def _noted(metric: Metric) -> Metric:
    if metric.name in CATALOGUE:
        raise ValueError(f"two metrics are called {metric.name}")
    CATALOGUE[metric.name] = metric
    return metric


def _counter(name: str, unit: str, *labels: str, meaning: str, wrong: str, side: Side = "worker") -> Metric:
    return _noted(Metric(name, "counter", unit, labels, meaning, wrong, side=side))


def _gauge(name: str, unit: str, *labels: str, meaning: str, wrong: str, side: Side = "worker") -> Metric:
    return _noted(Metric(name, "gauge", unit, labels, meaning, wrong, side=side))


def _histogram(name: str, unit: str, buckets: tuple[float, ...], *labels: str, meaning: str, wrong: str) -> Metric:
    return _noted(Metric(name, "histogram", unit, labels, meaning, wrong, buckets))


# -- the conservation law: consumed = the sum of processed + in flight (semantics, rule 26) ---------------------------

CONSUMED: Final = _counter(
    "events_consumed", "touchpoints", "topic",
    meaning="Records of the input taken into a transaction.",
    wrong="Flat while lag grows: PartitionStalled. Flat without lag: NoIngest.",
)  # fmt: skip
PROCESSED: Final = _counter(
    "events_processed", "touchpoints", "result",
    meaning="By what became of them: processed, duplicate, too_late, dead_letter, already_applied (read again after a "
    "restart), abandoned (given up when the partition was lost or the process died; whoever owns it next takes them "
    "again), refused (of a learner: no example). With those in flight they add up to journey_events_consumed_total, at "
    "every scrape.",
    wrong="They do not add up: ConservationLawBroken. Many already_applied: workers are killed rather than ended.",
)  # fmt: skip
IN_FLIGHT: Final = _gauge(
    "events_in_flight", "touchpoints",
    meaning="In transactions that are not yet committed.",
    wrong="Stays up: commits hang, see journey_commit_duration_seconds and CommitOrProduceErrors.",
)  # fmt: skip

# -- transactions ------------------------------------------------------------------------------------------------------

BATCH_SECONDS: Final = _histogram(
    "batch_processing_duration_seconds", "seconds", COMMIT_S,
    meaning="Decoding, engine and encoding of a transaction.",
    wrong="High: smaller JOURNEY_BATCH_TRANSACTION_RECORDS, or a definition that has become dearer.",
)  # fmt: skip
BATCH_RECORDS: Final = _histogram(
    "batch_size_records", "touchpoints", RECORDS,
    meaning="Touchpoints in a transaction.",
    wrong="Always at JOURNEY_BATCH_TRANSACTION_RECORDS: there is a backlog, LagGrowing. Always 1 at a high rate: raise "
    "JOURNEY_BATCH_LINGER.",
)  # fmt: skip
COMMITS: Final = _counter(
    "commits", "transactions", "result",
    meaning="By result: committed, aborted (sent again), unknown (settled by the marker), fenced (another worker took "
    "the partition over).",
    wrong="CommitOrProduceErrors. Fenced without a rebalance: two workers share an instance id or an application name.",
)  # fmt: skip
COMMIT_SECONDS: Final = _histogram(
    "commit_duration_seconds", "seconds", COMMIT_S,
    meaning="Sending and committing a transaction.",
    wrong="High: the brokers are slow; their disks and under-replicated partitions.",
)  # fmt: skip
PRODUCE_ERRORS: Final = _counter(
    "produce_errors", "transactions", "topic",
    meaning="Aborted because of a topic or a broker; named is the topic that holds the marker.",
    wrong="Rising: the worker's log has the brokers' words; often a full disk (DiskAlmostFull) or a missing right.",
)  # fmt: skip
LATENCY: Final = _histogram(
    "end_to_end_latency_seconds", "seconds", LATENCY_S,
    meaning="Freshness: from the occurrence that caused a trigger (of a deadline, from its due time) to its commit.",
    wrong="FreshnessBudgetBurnFast. High with little lag: producers deliver late.",
)  # fmt: skip

# -- where a partition stands ------------------------------------------------------------------------------------------

LAG: Final = _gauge(
    "consumer_lag_records", "records", "topic", "partition",
    meaning="Last stable offset minus position.",
    wrong="Growing: LagGrowing. Not moving: PartitionStalled.",
)  # fmt: skip
LAG_SECONDS: Final = _gauge(
    "consumer_lag_seconds", "seconds", "partition",
    meaning="Age of the last touchpoint processed, while there is lag; 0 without.",
    wrong="High: so late does a customer hear from us. As for lag in records.",
)  # fmt: skip
COMMITTED: Final = _gauge(
    "committed_offset", "offset", "partition",
    meaning="Where reading goes on if the worker dies now.",
    wrong="Still while journey_log_end_offset rises: PartitionStalled.",
)  # fmt: skip
LOG_END: Final = _gauge(
    "log_end_offset", "offset", "partition",
    meaning="Last stable offset of the input.",
    wrong="Still while producers write: one of their transactions is open, and holds up every reader.",
)  # fmt: skip
PROGRESS: Final = _gauge(
    "last_progress_timestamp_seconds", "seconds since 1970", "partition",
    meaning="When a transaction was last committed or none was due.",
    wrong="Older than JOURNEY_GROUP_STALLED_AFTER: the process ends itself and is to be started again.",
)  # fmt: skip
WATERMARK_LAG: Final = _gauge(
    "watermark_lag_seconds", "seconds", "partition",
    meaning="Wall clock minus watermark: how far event time is behind. At least time.allowed_lateness.",
    wrong="WatermarkStuck, where no lag explains it.",
)  # fmt: skip
PAUSED: Final = _gauge(
    "paused", "0 or 1", "partition",
    meaning="1: the partition is paused by its dead letters.",
    wrong="PartitionPaused: mend the producer, then `journey partitions resume N`.",
)  # fmt: skip
DEFINITION: Final = _gauge(
    "definition_number", "number", "partition",
    meaning="Number of the definition in force.",
    wrong="Partitions differ for more than seconds: one does not commit, or a worker runs an older version.",
)  # fmt: skip

# -- group, recovery and process ---------------------------------------------------------------------------------------

READY: Final = _gauge(
    "ready", "0 or 1",
    meaning="1: member of the group and every assigned partition is restored.",
    wrong="NotReady: `/readyz` says in words what is missing.",
)  # fmt: skip
ASSIGNED: Final = _gauge(
    "assigned_partitions", "partitions",
    meaning="Partitions that the group has given to this process.",
    wrong="Unequal for long, or fewer than the topic has in all: a member is missing, WorkerDown.",
)  # fmt: skip
REBALANCES: Final = _counter(
    "rebalances", "assignments", meaning="Assignments received.", wrong="Many: RebalanceStorm."
)
REBALANCE_SECONDS: Final = _histogram(
    "rebalance_duration_seconds", "seconds", LATENCY_S,
    meaning="From revocation to assignment: the group stands still.",
    wrong="High: a member does not answer until JOURNEY_GROUP_REBALANCE_TIMEOUT; look for one that is stopped.",
)  # fmt: skip
RECOVERY_LEFT: Final = _gauge(
    "recovery_remaining_records", "offsets", "partition",
    meaning="Offsets of the state topic still to be read by an open.",
    wrong="Does not fall: RecoveryTooLong.",
)  # fmt: skip
RECOVERY_SECONDS: Final = _histogram(
    "recovery_duration_seconds", "seconds", LATENCY_S,
    meaning="Taking over a partition: fencing, reading and rebuilding its state.",
    wrong="Long each time: the state topic is not compacted as it should be, `journey topics check`.",
)  # fmt: skip
STATE_ENTRIES: Final = _gauge(
    "state_entries", "profiles", "partition",
    meaning="Profiles held (of a learner: risks and actions learned).",
    wrong="Rises for ever: identities that never come back, or time.forget_after is too long for the memory.",
)  # fmt: skip
STATE_BYTES: Final = _gauge(
    "state_bytes", "bytes", "partition",
    meaning="The profiles as the state topic holds them, estimated: their number times the mean size of those restored "
    "or written last. Memory is what docs/benchmarks.md says for each.",
    wrong="Rises faster than journey_state_entries: profiles grow; journey_noted_events_total{what=\"shed\"}.",
)  # fmt: skip
STATE_WRITTEN: Final = _counter(
    "state_written_bytes", "bytes",
    meaning="Written to the state topic.",
    wrong="High for the rate: small transactions write a profile again and again; raise JOURNEY_BATCH_LINGER.",
)  # fmt: skip
STATE_RECORDS: Final = _counter(
    "state_written_records",
    "records",
    meaning="Written to the state topic.",
    wrong="As journey_state_written_bytes_total.",
)
LOOP_LAG: Final = _gauge(
    "event_loop_lag_seconds", "seconds",
    meaning="How late the process's event loop came round, the longest of the last 15 to 30 s.",
    wrong="Above 1: chunks are too large (JOURNEY_BATCH_CHUNK_RECORDS), or the machine gives no CPU.",
)  # fmt: skip
BUILD_INFO: Final = _gauge(
    "build_info", "1", "version",
    meaning="Version of the software.",
    wrong="Several for longer than a rolling upgrade takes: an instance was left behind.",
)  # fmt: skip
REGISTRY_WAITS: Final = _counter(
    "registry_waits", "chunks",
    meaning="That waited for the schema registry.",
    wrong="Rising: bring the registry back; nothing is lost meanwhile.",
)  # fmt: skip
LOSSES: Final = _counter(
    "accepted_losses", "losses", "what",
    meaning="That --accept-loss went past, by what was lost.",
    wrong="Not 0: somebody decided so. Take --accept-loss away again.",
)  # fmt: skip

# -- touchpoints that are not plain ------------------------------------------------------------------------------------

LATE: Final = _counter(
    "late_events", "touchpoints", "action",
    meaning="applied: late but taken into account; too_late: dropped.",
    wrong="Many: raise time.allowed_lateness, or find the producer that holds them back.",
)  # fmt: skip
DUPLICATES: Final = _counter(
    "duplicate_events", "touchpoints",
    meaning="With an id seen before.",
    wrong="A tenth or more: a producer retries without end, or gives out the same ids.",
)  # fmt: skip
NOTED: Final = _counter(
    "noted_events", "peculiarities", "what",
    meaning="Of touchpoints: conflicting (same id, other contents), skew_corrected, skew_cut, unassigned "
    "(no instance to join), preset_fields_missing, evicted and shed (state let go); of scores: "
    "features_missing (an expression of the definition failed), scores_unusable (a model gave no probability), "
    "snapshots_full and labels_censored (scores that teach nothing); of contacts: contacts_censored (teach "
    "nothing), held_full (a decision was not held, too many wait); of outcomes: outcomes_matched (without "
    "trigger_id, told to one), outcomes_ambiguous (could be of several, told to none), "
    "outcomes_unknown, outcomes_repeated and outcomes_early (before the trigger): without effect.",
    wrong="skew: a producer's clock. preset_fields_missing: an app sends less than the definition reads. shed: one id "
    "for many people.",
)  # fmt: skip
DEAD_LETTERS: Final = _counter(
    "dead_letters", "records", "reason",
    meaning="That were no touchpoint; docs/contracts.md explains each reason.",
    wrong="DeadLetterRatioHigh. `journey dead-letters list`.",
)  # fmt: skip
UNUSED_EVENTS: Final = _gauge(
    "unused_event_names", "names", "partition",
    meaning="Event names that arrived and that no definition uses; at most 200.",
    wrong="More than you know of: a misspelt name in the definition, or a producer's new one.",
)  # fmt: skip

# -- what was found and done -------------------------------------------------------------------------------------------

SIGNALS: Final = _counter(
    "signals", "signals", "kind", "journey",
    meaning="By kind.",
    wrong="A kind stops: the touchpoints that it needs do not arrive under that name any more.",
)  # fmt: skip
TRIGGERS: Final = _counter(
    "triggers", "trigger records", "action", "arm", "status",
    meaning="By what happened to them: issued, fulfilled, cancelled, expired.",
    wrong="Many expired: nobody carries them out, or expires_after is too short.",
)  # fmt: skip
SUPPRESSED: Final = _counter(
    "suppressed", "decisions", "reason",
    meaning="That issued nothing, by reason (docs/decisions.md).",
    wrong="stale: lag. warm_up: JOURNEY_START_ISSUING. A limit: the contact policy is tight.",
)  # fmt: skip
STAGES: Final = _counter(
    "stage_transitions", "transitions", "journey", "stage", "change",
    meaning="Stages entered and left (change: entered or left).",
    wrong="A stage is never entered: its `on` names an event that does not arrive.",
)  # fmt: skip
SCORES_MADE: Final = _histogram(
    "churn_score", "probability", SCORES, "risk",
    meaning="Scores made, by risk.",
    wrong="All in one bin: the prior, or a model that has learned nothing.",
)  # fmt: skip
MODEL_VERSION: Final = _gauge(
    "model_version", "number", "risk", "partition",
    meaning="Version of the model that scores a risk or an action's success; 0: the prior does.",
    wrong="0 for long: no learner, no labels, or models are refused. Partitions differ: a worker cannot load it.",
)  # fmt: skip
MODELS_REFUSED: Final = _counter(
    "models_refused", "models", "reason",
    meaning="Snapshots that are not used: tampered, unsigned (or JOURNEY_LEARNER_KEY is not set), newer "
    "(than this software), foreign (its body is more than a model), malformed, gone (taken back while "
    "it was read), signature, unknown_risk and other_definition (no risk has "
    "its features and labels; passes when the learner knows the new ones).",
    wrong="Tampered, foreign: find out who writes to the models topic.",
)  # fmt: skip
LABELS_WAITING: Final = _gauge(
    "labels_waiting", "scores", "partition",
    meaning="That wait for what comes to pass.",
    wrong="Rises for ever: a horizon that never ends.",
)  # fmt: skip
EXAMPLES: Final = _counter(
    "examples", "labels", "risk", "label",
    meaning="That have matured, by what became true.",
    wrong="No risk comes true, or all do: its horizon or its event is not what was meant.",
)  # fmt: skip

# -- the learner -------------------------------------------------------------------------------------------------------

LEARNED: Final = _counter(
    "examples_learned", "labels", "risk", side="learner",
    meaning="Learned from.",
    wrong="Flat while journey_examples_total rises: the learner is down or behind.",
)  # fmt: skip
EXAMPLES_REFUSED: Final = _counter(
    "examples_refused", "records", "reason", side="learner",
    meaning="Not learned from: malformed, unknown_definition, other_definition (scored for features or labels that no "
    "risk has any more).",
    wrong="malformed: somebody else writes to the examples. The others pass after a change of the definition.",
)  # fmt: skip
PUBLISHED: Final = _counter(
    "models_published", "models", "risk", side="learner",
    meaning="Snapshots written to the models topic.",
    wrong="Flat while labels are learned: no snapshot is due yet, or commits fail.",
)  # fmt: skip
TAKEN_BACK: Final = _counter(
    "models_taken_back", "models", "risk", side="learner",
    meaning="Old snapshots that no journal names any more.",
    wrong="Flat for longer than the journal's retention: the models topic grows.",
)  # fmt: skip
AUC: Final = _gauge(
    "model_auc", "share", "risk", "model", side="learner",
    meaning="Share of pairs of customers in which the one whose risk came true had the higher score; 0.5 is chance. On "
    "labels not learned yet.",
    wrong="Falls: ModelDegraded.",
)  # fmt: skip
LOG_LOSS: Final = _gauge(
    "model_log_loss", "nats", "risk", "model", side="learner",
    meaning="Mean of -ln(probability of what came true).",
    wrong="Rises while AUC stays: the probabilities are off, see journey_model_calibration_error.",
)  # fmt: skip
CALIBRATION_ERROR: Final = _gauge(
    "model_calibration_error", "probability", "risk", "model", side="learner",
    meaning="Expected calibration error: by how much scores miss the share that came true, ten bins.",
    wrong="Over 0.1: ModelDegraded.",
)  # fmt: skip
BASE_RATE: Final = _gauge(
    "model_base_rate", "share", "risk", side="learner",
    meaning="Share of labels that came true.",
    wrong="Jumps: the event that decides the label is not sent as before.",
)  # fmt: skip
DRIFT: Final = _counter(
    "model_drift", "changes", "risk", "on", side="learner",
    meaning="Noticed by the detectors, on the loss or on a feature. The model follows by itself.",
    wrong="Many on one feature: what it measures may have changed.",
)  # fmt: skip

# -- the parent of --processes -----------------------------------------------------------------------------------------

WORKER_RESTARTS: Final = _counter(
    "worker_restarts", "processes", "worker", side="supervisor",
    meaning="Worker processes that died and were started again.",
    wrong="Rising: the log has the exit status of each; 4 is a defect, 5 stood still, 137 or -9 was killed (memory).",
)  # fmt: skip
WORKER_UP: Final = _gauge(
    "worker_up", "0 or 1", "worker", side="supervisor",
    meaning="1: the process runs and answered within the last ten seconds.",
    wrong="0 for long: it is being started again with growing pauses, or it is stopped.",
)  # fmt: skip


def side(*sides: Side) -> list[Metric]:
    """The metrics of these sides."""
    return [metric for metric in CATALOGUE.values() if metric.side in sides]


ABSENT: Final[dict[str, str]] = {
    "webhook_deliveries_total": "The project writes to Kafka only; whatever carries triggers on counts its deliveries "
    "itself, and reports them as outcomes.",
}
"""Names that one may look for and that no process has, and why."""
