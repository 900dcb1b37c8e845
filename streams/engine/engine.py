"""The engine of one partition: touchpoints and time in, everything that follows from them out.

Owns the order of things: the touchpoint's time moves the watermark, due timers fire, then it is applied (semantics,
rules 5 to 7). Pure: no I/O, no clock, no random source. The same object runs live, in a replay and in a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.contracts.outputs import Outputs
from streams.contracts.touchpoint import AGENT, CUSTOMER, IMPORT_ENDED, IMPORT_STARTED, RESERVED_PREFIX, Touchpoint
from streams.definitions.model import Definition
from streams.engine import adoption, application, clock, formats, satisfaction, sessions
from streams.engine.admission import misrouted
from streams.engine.decisions import outcomes
from streams.engine.decisions.arbitration import ActionModel
from streams.engine.decisions.shares import Shares
from streams.engine.due import Due
from streams.engine.memory import fingerprint, remember, seen_key
from streams.engine.plan import Plan
from streams.engine.routes import Route
from streams.engine.scoring import activity
from streams.engine.scoring.models import kept, kept_of_actions, refusal, refusal_of_action
from streams.engine.scoring.scorer import Scorer
from streams.engine.state import PartitionRecord, Profile, measure
from streams.engine.step import Step
from streams.engine.store import Store
from streams.engine.timers import EPSILON, anniversary

UNUSED_KEPT = 200
"""Names of events that no definition uses, kept with their number."""


class Engine:
    """State of every customer of one partition, and the rules that move it."""

    def __init__(
        self,
        definition: Definition,
        *,
        partition: int = 0,
        partitions: int | None = None,
        start_issuing_at: int | None = None,
        hot_profiles: int = 20_000,
    ) -> None:
        self.partition = partition
        self.partitions = partitions
        self.plan = Plan(definition)
        self.store = Store(hot_profiles)
        self.watermark: int | None = None
        self._import_marks = 0
        self._unused: dict[str, int] = {}
        self._expected_stale: set[str] = set()
        self._withdrawn: set[str] = set()
        self._step = Step(self.plan)
        self._step.stale_ids = self._expected_stale
        self._step.shares = Shares(partition, partitions)
        self._due = Due(self._step, self.store)
        self._step.start_issuing_at = start_issuing_at

    # -- what the shell asks -----------------------------------------------------------------------------------------

    @property
    def definition(self) -> Definition:
        return self.plan.definition

    @property
    def profiles(self) -> int:
        return len(self.store)

    @property
    def importing(self) -> bool:
        """Between the marks of an import, where silence means nothing."""
        return self._import_marks > 0

    @property
    def event_names_unused(self) -> dict[str, int]:
        """Names that arrived and that no rule uses -> how often; at most 200 names."""
        return self._unused

    @property
    def start_issuing_at(self) -> int | None:
        return self._step.start_issuing_at

    @start_issuing_at.setter
    def start_issuing_at(self, at: int | None) -> None:
        self._step.start_issuing_at = at

    @property
    def next_due_ms(self) -> int | None:
        """Smallest watermark at which some timer fires; None without profiles or without a watermark."""
        if self.watermark is None:
            return None
        while (entry := self.store.first()) is not None:
            p = self.store.get(entry[1])
            assert p is not None  # noqa: S101 - first() has just seen it
            if self._due.recount(p) == entry[0]:
                return entry[0] + EPSILON
        return None

    @property
    def labels_waiting(self) -> int:
        """Scores that wait for what comes to pass, as of the last ``changed``."""
        return self.store.waiting

    @property
    def models(self) -> dict[str, str]:
        """Risk (or ``action.<name>``) -> name@version of the model in use; what has none yet is left out."""
        models = {name: scorer.key for name, scorer in self._step.models.items()}
        return models | {model.risk: model.key for model in self._step.action_models.values()}

    def expect_stale(self, trigger_ids: Iterable[str]) -> None:
        """A replay: these were decided stale when it was live."""
        self._expected_stale.update(trigger_ids)

    # -- what moves it -----------------------------------------------------------------------------------------------

    def process(self, touchpoints: Sequence[Touchpoint], now_ms: int | None) -> Outputs:
        """Apply touchpoints in the partition's order. ``now_ms`` only decides whether a trigger comes too late."""
        out = self._begin(now_ms)
        step = self._step
        time = self.plan.time
        lateness = time.allowed_lateness_ms
        watermark = self.watermark
        skew = time.permitted_skew_ms
        counts = out.counts
        store = self.store
        hot = store.hot
        cold = store.cold
        heap = store.heap
        routes = self.plan.routes
        processed = 0
        if watermark is not None and heap and heap[0][0] < watermark:
            self._due.partition(watermark)  # what a new definition has made due
        for tp in touchpoints:
            route = routes.get(tp.type)
            if route is None:
                if tp.type.startswith(RESERVED_PREFIX):
                    self._command(tp)
                    processed += 1
                    continue
                route = self.plan.route(tp.type)
            t = tp.occurred_at
            record = tp.record_time
            if record is not None and (tp.sent_at is not None or t > record + skew):
                t, how = clock.corrected(tp, time)
                if how == clock.CUT:
                    counts.skew_cut += 1
                elif how == clock.CORRECTED:
                    counts.skew_corrected += 1
            if watermark is not None and t < watermark - time.too_late_ms:
                counts.too_late += 1
                continue
            profile_id = tp.customer_id or tp.anonymous_id or ""
            p = hot.get(profile_id)
            if p is None and cold:
                p = store.get(profile_id)
            event = seen_key(tp.event_id)
            if p is None:
                rejection = misrouted(tp, profile_id, self.partition, self.partitions)
                if rejection is not None:
                    out.rejections.append(rejection)
                    counts.rejected += 1
                    continue
            elif (held := p.seen.get(event)) is not None:
                counts.duplicate += 1
                if held & 0xFFFFFFFF != fingerprint(tp):
                    counts.conflicting += 1
                continue
            mark = clock.candidate(t, record, lateness)
            if watermark is None or mark > watermark:
                watermark = self.watermark = step.watermark = mark
                if heap and heap[0][0] < mark:
                    self._due.partition(mark)
                    p = store.get(profile_id)
            if p is None:
                p = self._new_profile(profile_id, t)
            self._apply(p, tp, t, event, route)
            processed += 1
            p = step.p
            if p.room < 0:
                counts.shed += measure(p)
            if step.armed:
                step.armed = False
                store.push(p, p.next_due)
            if heap[0][0] < watermark:
                self._due.partition(watermark)
        counts.processed += processed
        return self._end()

    def advance(self, to_ms: int, now_ms: int | None) -> Outputs:
        """Time has come to ``to_ms``, nothing else was heard: due timers fire. Without a watermark nothing happens.

        An earlier ``to_ms`` does not move the watermark back; it fires what a new definition has made due meanwhile.
        """
        self._begin(now_ms)
        if self.watermark is not None:
            self.watermark = self._step.watermark = max(self.watermark, to_ms)
            self._due.partition(self.watermark)
        return self._end()

    def drain(self, until_ms: int | None = None) -> Outputs:
        """Time moves on until every open deadline is decided (or to ``until_ms``): the end of a replay.

        Without ``until_ms`` nobody is scored on the way and no label is decided: the log has ended, silence after it
        means nothing. ``until_ms`` says that the log is complete until then.
        """
        self._begin(None)
        if self.watermark is None:
            return self._end()
        if until_ms is not None:
            if until_ms >= self.watermark:
                self._pass(until_ms)
            return self._end()
        self._step.draining = True
        undecided = {i for i in (*self.store.hot, *self.store.cold) if self._due.undecided(i)}
        while undecided and (due := self.next_due_ms) is not None:
            for profile_id in self._pass(due - EPSILON):
                if self._due.undecided(profile_id):
                    undecided.add(profile_id)
                else:
                    undecided.discard(profile_id)
        self._step.draining = False
        return self._end()

    def adopt(self, definition: Definition, now_ms: int | None = None) -> Outputs:
        """Go over to another definition between two batches (semantics, rule 23). ``now_ms`` as in ``process``.

        What it makes due (an instance that may not live so long any more, a session whose end nobody asked for before)
        fires before the next touchpoint, or when the idle clock comes to it.
        """
        self._begin(now_ms)
        old = self.plan
        self.plan = self._step.plan = Plan(definition)
        self._step.facts.time = self.plan.time
        self._step.models = kept(self.plan, self._step.models)
        self._step.action_models = kept_of_actions(self.plan, self._step.action_models)
        self._withdrawn = {name for name in self._step.action_models if adoption.guarded(self._step, self.plan, name)}
        self._step.shares.keep(set(self.plan.policy.channels), set(self.plan.actions))
        if definition.digest != old.definition.digest:
            for p, stored in self.store.everyone():
                self._step.begin(p, self.watermark or p.last_seen, "", None)
                known = p.next_due
                changed = adoption.adopt(self._step, old, self.plan)
                application.conclude(self._step, scored=False)
                if self._due.recount(p) < known or changed:
                    self.store.touched[p.id] = p
                elif stored:
                    self.store.cool(p)
        return self._end()

    def adopt_model(self, scorer: Scorer) -> Outputs:
        """Use another model of one risk, or of one action's success, from the next score or decision on, between two
        batches.

        Raises ``ModelRefused`` where it was made for another definition of the risk or action.
        """
        if isinstance(scorer, ActionModel):
            return self._adopt_action_model(scorer)
        refused = refusal(self.plan, scorer)
        if refused is not None:
            raise refused
        self._step.models[scorer.risk] = scorer
        return self._begin(None)

    def _adopt_action_model(self, model: ActionModel) -> Outputs:
        refused = refusal_of_action(self.plan, model)
        if refused is not None:
            raise refused
        action = self.plan.policy.action_of[model.risk]
        self._step.action_models[action] = model
        out = self._begin(None)
        adoption.guard(self._step, self._due, action, self._withdrawn)
        return out

    # -- what is stored ----------------------------------------------------------------------------------------------

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Changelog records of the profiles changed since the last call."""
        return self.store.changed()

    def partition_record(self, state_format: int = formats.NEWEST) -> bytes:
        """``state_format``: an older one, for software that is rolled back to."""
        return formats.write(
            PartitionRecord(
                self.watermark,
                self._step.start_issuing_at,
                self._import_marks,
                self.plan.number,
                self._unused,
                self.store.count(),
                self._step.shares.used,
                sorted(self._withdrawn),
            ),
            state_format,
        )

    def restore(
        self, profiles: dict[bytes, bytes], partition_record: bytes | None, state_format: int = formats.NEWEST
    ) -> None:
        """Take over what ``changed`` and ``partition_record`` gave, of that format. Raises ``StateError``."""
        self.store.restore(profiles)
        if partition_record is not None:
            record = formats.read(partition_record, state_format)
            self.watermark = record.watermark
            self._step.start_issuing_at = record.start_issuing_at
            self._import_marks = record.importing
            self._unused = record.unused
            self.store.waiting = record.waiting
            self._step.shares.used = record.used
            self._withdrawn = set(record.withdrawn)
        self._step.watermark = self.watermark or 0

    # -- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, now_ms: int | None) -> Outputs:
        out = self._step.out = Outputs()
        self._step.now_ms = now_ms
        return out

    def _end(self) -> Outputs:
        return self._step.out

    def _command(self, tp: Touchpoint) -> None:
        if tp.type == IMPORT_STARTED:
            self._import_marks = 1
        elif tp.type == IMPORT_ENDED:
            self._import_marks = 0

    def _new_profile(self, profile_id: str, t: int) -> Profile:
        p = Profile(profile_id, last_seen=t)
        p.next_due = t + self.plan.time.forget_after_ms
        self.store.add(p)
        self._step.armed = True
        return p

    def _first_seen(self, p: Profile, t: int) -> None:
        """The first touchpoint that counts or tells something, or an even earlier one."""
        p.first_seen = t
        for name in self.plan.anniversaries:
            passed = p.anniversaries.setdefault(name, [0, 0])
            p.room -= 32 + len(name)
            passed[1] = anniversary(t, passed[0] + 1)
            self._step.arm(passed[1])

    def _apply(self, p: Profile, tp: Touchpoint, t: int, event: bytes, route: Route) -> None:
        step = self._step
        if not route.known and tp.outcome is None:
            self._note_unused(route.event)
        actor = tp.actor or route.actor
        counting = actor == CUSTOMER or (actor == AGENT and application.together(p, tp))
        if t > p.next_due:
            if not counting and self.plan.risks and application.moves(tp, route, actor):
                self._due.for_scores(p, t)
            if p.id in self.store.hot:
                self._due.own(p, t, None if counting else route)
            if p.id not in self.store.hot:
                p = self._new_profile(p.id, t)
        step.begin(p, t, tp.event_id, tp)
        step.counting = counting
        facts = step.facts
        facts.event_type = route.event
        facts.event_actor = actor
        self.store.touched[p.id] = p
        remember(p, event, t, fingerprint(tp), step.watermark)
        p.arrivals += 1
        name = tp.event_id
        p.room -= route.grows + route.keeps * (len(name) if name.isascii() else 4 * len(name))
        if t > p.last_seen:  # noqa: PLR1730 - a call costs more, and this is done for each touchpoint
            p.last_seen = t
        application.append_trail(p, tp, t, route.event, actor)
        if tp.customer_id is not None:
            p.customer_id = tp.customer_id
        if tp.anonymous_id is not None and tp.anonymous_id != p.anonymous_id:
            p.anonymous_id = tp.anonymous_id
            p.room -= 4 * len(tp.anonymous_id)
        if not counting and not application.moves(tp, route, actor):
            return
        if t < p.first_seen:
            self._first_seen(p, t)
        if counting:
            sessions.touch(step)
        application.learn(step, route)
        if step.plan.risks:
            activity.observe(step, route)
        if route.named:
            application.run_rules(step, route)
        elif p.open:
            application.run_unnamed(step)
        if tp.outcome is not None or route.message:
            outcomes.hear(step)
        if tp.score is not None or tp.sentiment is not None or tp.emotion is not None:
            satisfaction.observe(step, tp)
        application.regroup(step)
        if step.found or step.view:
            application.conclude(step)

    def _note_unused(self, event: str) -> None:
        n = self._unused.get(event)
        if n is not None or len(self._unused) < UNUSED_KEPT:
            self._unused[event] = (n or 0) + 1

    def _pass(self, due: int) -> list[str]:
        """Time has passed ``due``; whose timers fired."""
        self.watermark = self._step.watermark = max(due + EPSILON, self.watermark or 0)
        return self._due.partition(self.watermark)
