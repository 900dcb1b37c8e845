"""A definition compiled for speed: for each event name, everything that a touchpoint of that name can set in motion.

Owns how routes (``routes.py``) are made, and the order of rules. Compiled once when a definition is adopted; nothing
here changes afterwards but the cache of routes for event names that no rule names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from streams.contracts.outputs import Signal
from streams.definitions.channels import CHANNELS
from streams.definitions.model import (
    Absence,
    Action,
    Channel,
    Count,
    Definition,
    EventRef,
    Expression,
    Friction,
    Journey,
    Preset,
    Sequence,
    Stalled,
    When,
)
from streams.engine import facts
from streams.engine.contents import HANDLED
from streams.engine.decisions.contacts import MESSAGE
from streams.engine.decisions.plan import PolicyPlan
from streams.engine.detectors.clicks import PRESETS, ClickPreset
from streams.engine.routes import (
    ActionPlan,
    Condition,
    JourneyPlan,
    JourneyRoute,
    Route,
    RulePlan,
    SegmentPlan,
    StagePlan,
    TierPlan,
    weigh,
)
from streams.engine.scoring.kinds import KIND_OF, OTHER
from streams.engine.scoring.plan import RiskPlans
from streams.engine.signatures import signature

SEPARATOR: Final = "\x1f"
ROUTES_KEPT: Final = 4096
"""Routes for unknown event names beyond this are made anew each time: producers may invent names without end."""


class Plan:
    """One definition, ready to run."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.number = definition.number
        self.time = definition.time
        self.journeys: dict[str, JourneyPlan] = {}
        self.rules: dict[str, RulePlan] = {}
        self.presets: dict[str, ClickPreset] = {}
        self.waiting_presets: dict[str, ClickPreset] = {}
        """Those that wait for silence."""
        self.leave_reads = 0
        self.segments = tuple(
            SegmentPlan(s.name, s.where.bound(facts.READERS), facts.groups(s.where.uses)) for s in definition.segments
        )
        self._segments_of: dict[int, tuple[SegmentPlan, ...]] = {}
        self.segment_names = frozenset(s.name for s in definition.segments)
        self.segment_reads = 0
        for segment in self.segments:
            self.segment_reads |= segment.reads
        self.actions = {
            a.name: ActionPlan(a, n, tuple(self.channel(c) for c in a.channels))
            for n, a in enumerate(definition.actions)
        }
        self.policy = PolicyPlan(definition, self.channel)
        self.by_kind: dict[str, tuple[tuple[ActionPlan, When], ...]] = {}
        self._candidates: dict[tuple[str | None, ...], tuple[ActionPlan, ...]] = {}
        self.anniversaries = tuple(m.name for m in definition.milestones if m.anniversary_of is not None)
        self.words = definition.satisfaction.words
        self.fall = definition.satisfaction.fall
        self.watches_touchpoints = False
        """Some stalled rule counts touchpoints."""
        self.session_timer = any(v.startswith("session.") for s in definition.segments for v in s.where.uses)
        """The end of a session must be noticed when it happens, not at the next touchpoint."""
        self.routes: dict[str, Route] = {}
        self._aliases = dict(definition.aliases)
        self.scoring = RiskPlans(definition)
        self.risks = self.scoring.risks
        order = 0
        for n, journey in enumerate(definition.journeys):
            order = self._add_journey(journey, n, order)
        for action in self.actions.values():
            self._add_action(action)
        self._add_risks()
        for name, info in definition.events.items():
            if info.actor is not None:
                self._route(name).actor = info.actor
        for route in self.routes.values():
            route.known = route.known or route.named or route.handler is not None
        stages = (stage for journey in definition.journeys for stage in journey.stages)
        leaves = (stage.leave_when for stage in stages if stage.leave_when is not None)
        if any(variable.startswith("session.") for expression in leaves for variable in expression.uses):
            self.session_timer = True
        self._close_refs()

    def route(self, event: str) -> Route:
        """The route of an event name as it arrives (aliases included)."""
        found = self.routes.get(event)
        if found is None:
            standard = self._aliases.get(event, event)
            handler = HANDLED.get(standard)
            found = Route(standard, known=handler is not None, handler=handler)
            self._count_kind(found)
            weigh(found)
            if len(self.routes) < ROUTES_KEPT:
                self.routes[event] = found
        return found

    def channel(self, name: str) -> Channel:
        found = self.definition.channels.get(name) or CHANNELS.get(name)
        return found if found is not None else Channel(name, opt_in=False)

    def candidates(self, signal: Signal) -> tuple[ActionPlan, ...]:
        """The actions that select a signal like this one, in the order of the definition."""
        like = (signal.kind, signal.journey, signal.name, signal.stage, signal.severity, signal.band)
        found = self._candidates.get(like)
        if found is None:
            selected = {a.action.name: a for a, when in self.by_kind.get(signal.kind, ()) if selects(when, signal)}
            found = tuple(selected.values())
            if len(self._candidates) < ROUTES_KEPT:  # a touchpoint may name any journey
                self._candidates[like] = found
        return found

    def segments_of(self, dirty: int) -> tuple[SegmentPlan, ...]:
        """Those that read one of the moved facts, or segments, in their order. There are few combinations."""
        found = self._segments_of.get(dirty)
        if found is None:
            may_move = dirty | facts.SEGMENTS if self.segment_reads & dirty else 0
            found = self._segments_of[dirty] = tuple(s for s in self.segments if s.reads & may_move)
        return found

    def _route(self, event: str) -> Route:
        found = self.routes.get(event)
        if found is None:
            found = self.routes[event] = Route(event, handler=HANDLED.get(event))
            self._count_kind(found)
        return found

    def _add_journey(self, journey: Journey, n: int, order: int) -> int:
        plan = JourneyPlan(journey, journey.name, n, journey.instance_by, journey.goal.within_ms or 0)
        self.journeys[plan.name] = plan
        tiers: dict[str, TierPlan] = {}
        for spec in journey.abandonment:
            tiers[spec.stage] = TierPlan(spec, order)
            order += 1
        tier: TierPlan | None = None
        for rank, stage in enumerate(journey.stages):
            tier = tiers.get(stage.name, tier)
            plan.stages[stage.name] = StagePlan(stage, stage.name, rank, tier)
        plan.leaves = tuple(
            (plan.stages[s.name], s.leave_when.bound(facts.READERS), facts.groups(s.leave_when.uses))
            for s in journey.stages
            if s.leave_when is not None
        )
        plan.milestones = tuple((m.name, m.nth) for m in self.definition.milestones if m.goal == journey.name)
        entries: dict[str, list[tuple[StagePlan, Condition | None]]] = {}
        for stage_plan in reversed(plan.stages.values()):
            for ref in stage_plan.stage.on:
                entries.setdefault(ref.event, []).append((stage_plan, _condition(ref)))
        goals: dict[str, list[Condition | None]] = {}
        for ref in journey.goal.on:
            goals.setdefault(ref.event, []).append(_condition(ref))
        moved: set[str] = set()
        for _, _, reads in plan.leaves:
            self.leave_reads |= reads
            for bit, events in facts.EVENTS_OF.items():
                if reads & bit:
                    moved.update(events)
        for event in sorted({*entries, *goals, *moved}):
            route = self._route(event)
            route.named = True
            route.journeys += (
                JourneyRoute(plan, tuple(entries.get(event, ())), tuple(goals.get(event, ())), event in moved),
            )
        for friction in journey.friction:
            self._add_rule(friction, plan, order)
            order += 1
        return order

    def _add_rule(self, friction: Friction, journey: JourneyPlan, order: int) -> None:
        rule = friction.rule
        per_customer = journey.instance_by is None or isinstance(rule, Preset)
        if isinstance(rule, Count):
            per_customer = per_customer or bool(rule.same or rule.different)
        elif isinstance(rule, Sequence):
            per_customer = per_customer or rule.across_customer
        plan = RulePlan(
            friction,
            journey,
            f"{journey.name}/{friction.name}",
            order,
            per_customer,
            signature(friction.rule, journey.instance_by),
        )
        self.rules[plan.key] = journey.rules[friction.name] = plan
        if isinstance(rule, Count):
            for ref in rule.on:
                self._named(ref).counts += ((plan, _condition(ref)),)
        elif isinstance(rule, Sequence):
            for k, ref in enumerate(rule.of):
                self._named(ref).sequences += ((plan, k, _condition(ref)),)
        elif isinstance(rule, Absence):
            for ref in rule.of:
                self._named(ref).ended_absences += ((plan, _condition(ref)),)
            for ref in rule.after:
                self._named(ref).started_absences += ((plan, _condition(ref)),)
        elif isinstance(rule, Stalled):
            stage = journey.stages[rule.stage]
            stage.stalled += (plan,)
            self.watches_touchpoints = self.watches_touchpoints or rule.or_touchpoints is not None
        else:
            preset = PRESETS[rule.preset]
            self.presets[plan.key] = preset
            if preset.family == "dead":
                self.waiting_presets[plan.key] = preset
            for event in sorted(preset.reads):
                route = self._route(event)
                route.named = True
                route.presets += ((plan, preset),)

    def _add_action(self, plan: ActionPlan) -> None:
        for when in plan.action.when:
            self.by_kind[when.signal] = (*self.by_kind.get(when.signal, ()), (plan, when))
        for ref in plan.action.cancel_on:
            cancels = self._named(ref).cancels
            cancels[plan.action.name] = (*cancels.get(plan.action.name, ()), _condition(ref))

    def _add_risks(self) -> None:
        for risk in self.risks.values():
            for ref in risk.risk.on:
                # Staying counts for whom the touchpoint counts; what comes true may be told by anyone.
                route = self._route(ref.event) if risk.without else self._named(ref)
                route.known = True
                route.decides += ((risk, _condition(ref)),)
        if self.policy.counts_messages:
            route = self._route(MESSAGE)
            route.named = route.message = True
        if self.scoring.reads & facts.ORDERS:
            self._route("Order Cancelled").named = True

    def _count_kind(self, route: Route) -> None:
        if self.risks:
            route.kind = KIND_OF.get(route.event, OTHER)
            route.known = route.known or route.kind != OTHER

    def _named(self, ref: EventRef) -> Route:
        route = self._route(ref.event)
        route.named = True
        return route

    def _close_refs(self) -> None:
        """What a fact's event moves is named where a segment or an action reads that fact."""
        reads = self.segment_reads | self.scoring.reads
        for action in self.actions.values():
            for expression in _expressions(action.action):
                reads |= facts.groups(expression.uses)
        for bit, events in facts.EVENTS_OF.items():
            if reads & bit:
                for event in events:
                    self._route(event).named = True
        for own, standard in self._aliases.items():
            self.routes[own] = self._route(standard)
        for route in self.routes.values():
            route.known = route.known or route.named or route.handler is not None
            weigh(route)
            route.has_goals = any(jr.goals for jr in route.journeys)


def selects(when: When, signal: Signal) -> bool:
    return (
        (not when.journey or signal.journey in when.journey)
        and (not when.name or signal.name in when.name)
        and (not when.stage or signal.stage in when.stage)
        and (not when.severity or signal.severity in when.severity)
        and (not when.band or signal.band in when.band)
    )


def _condition(ref: EventRef) -> Condition | None:
    return ref.where.bound(facts.READERS) if ref.where is not None else None


def _expressions(action: Action) -> Iterable[Expression]:
    contents = [*action.content.values()]
    for step in action.steps:
        contents += step.content.values()
    if action.experiment is not None:
        for arm in action.experiment.arms:
            contents += arm.content.values()
    conditions = (action.value, action.weight, action.eligible, action.applicable, action.suitable)
    for candidate in (*conditions, *contents):
        if candidate is not None and hasattr(candidate, "uses"):
            yield candidate
