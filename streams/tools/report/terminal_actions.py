"""Actions as tables: what was issued and how it ended, what came back, uplift, warnings, harm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from streams.tools.report import words
from streams.tools.report.actions import OUTCOMES, ActionFigures
from streams.tools.report.offpolicy import PolicyFigures
from streams.tools.report.terminal_table import Detail, table


def action_tables(actions: Sequence[ActionFigures], detail: Detail) -> Iterator[RenderableType]:
    if not actions:
        return
    yield Text("\nActions", style="bold underline")
    for action in actions:
        for reason in action.harmful:
            yield Text(f"HARMFUL  {action.action}: {reason}", style="bold red")
        for warning in action.warnings:
            yield Text(f"WARNING  {action.action}: {warning}", style="bold yellow")
    if any(action.whole.lives for action in actions):
        yield _lives(actions)
    if any(life.outcomes for action in actions for life in action.whole.lives):
        yield _outcomes(actions)
    if any(action.whole.groups for action in actions):
        yield _uplift(actions)
    if detail == "short":
        return
    if any(action.whole.groups for action in actions):
        yield _guardrails(actions)
    for action in actions:
        if any(group.against for group in action.whole.groups):
            yield _uplift_splits(action)
    if any(action.own is not None for action in actions):
        yield _own(actions)
    if any(action.closed for action in actions):
        yield _closed(actions)


def policy_tables(policy: PolicyFigures) -> Iterator[RenderableType]:
    yield Text("\nThe other policy", style="bold underline")
    facts = Table(show_header=False)
    facts.add_column()
    facts.add_column(justify="right")
    facts.add_row("decisions", f"{policy.decisions:,} of {policy.customers:,} customers")
    facts.add_row("in which it would choose otherwise", f"{policy.differing:,}")
    facts.add_row("of what it would do in those, never possible", words.share(policy.uncovered))
    facts.add_row("effective decisions", f"{policy.effective:,.0f}, in those {policy.effective_differing:,.0f}")
    facts.add_row("mean weight (1 is right)", f"{policy.mean_weight:.3f}")
    facts.add_row("goals count for", words.duration(policy.window_ms / 1000))
    yield facts
    if policy.refused is not None:
        yield Text(f"NO ESTIMATE: {policy.refused}", style="bold yellow")
        return
    caption = (
        "By decision, 95 % by customer. As it was, what the other policy would have earned by inverse propensity "
        "scoring and doubly robust, and the doubly robust difference."
    )
    made = table("What it would have earned", ("",), ("as it was", "IPS", "doubly robust", "difference"), caption)
    for measure, one in policy.estimates.items():
        rates = measure == "conversion"
        shown = (
            f"{i.estimate:.2%} [{i.low:.2%}, {i.high:.2%}]" if rates else words.amounts(i).replace("+", "")
            for i in (one.logged, one.ips, one.doubly_robust)
        )
        gain = words.points(one.difference) if rates else words.amounts(one.difference)
        made.add_row(measure if rates else "value of goals", *shown, gain)
    yield made


def _lives(actions: Sequence[ActionFigures]) -> Table:
    before = any(action.previous is not None for action in actions)
    numbers = ("issued", *(("previous",) if before else ()), "fulfilled", "cancelled", "expired", "open")
    made = table("Triggers", ("action", "arm"), (*numbers, "cancelled because"))
    for action in actions:
        earlier = {life.arm: life.issued for life in action.previous.lives} if action.previous is not None else {}
        for life in action.whole.lives:
            cancelled = sum(life.cancelled.values())
            made.add_row(
                action.action,
                life.arm,
                f"{life.issued:,}",
                *((f"{earlier.get(life.arm, 0):,}",) if before else ()),
                words.count_of(life.fulfilled),
                f"{cancelled:,} ({words.share(cancelled / life.issued if life.issued else None)})",
                words.count_of(life.expired),
                f"{life.open:,}",
                ", ".join(f"{reason} {n:,}" for reason, n in life.cancelled.items()),
            )
    return made


def _outcomes(actions: Sequence[ActionFigures]) -> Table:
    told = [name for name in OUTCOMES if any(name in life.outcomes for one in actions for life in one.whole.lives)]
    made = table("What came back, of the issued", ("action", "arm"), told)
    for action in actions:
        for life in action.whole.lives:
            if life.outcomes:
                rates = [life.outcomes.get(name) for name in told]
                made.add_row(action.action, life.arm, *("" if rate is None else words.count_of(rate) for rate in rates))
    return made


def _uplift(actions: Sequence[ActionFigures]) -> Table:
    caption = (
        "Each customer once, at the first decision; goals within the attribution window. Absolute uplift and value by "
        "customer, relative uplift by the delta method, 95 %. *: fewer than 5 conversions in a group."
    )
    numbers = ("customers", "not over yet", "converted", "uplift", "relative", "value", "value uplift")
    made = table("Uplift", ("action", "group", "against"), numbers, caption)
    for action in actions:
        for group in action.whole.groups:
            made.add_row(
                action.action,
                group.group + ("*" if group.few else ""),
                group.against or "",
                f"{group.units:,}",
                f"{group.young:,}",
                words.count_of(group.conversion),
                words.points(group.uplift) if group.against else "",
                words.relative(group.uplift_relative) if group.against else "",
                words.number(group.value, 2),
                words.amounts(group.value_uplift) if group.against else "",
            )
    return made


def _uplift_splits(action: ActionFigures) -> Table:
    """The first comparison (all that was issued, where there are arms) in every split."""
    made = table(
        f"Uplift of {action.action} by split", ("by", "value"), ("customers", "converted", "against", "uplift")
    )
    by = None
    for one in sorted(action.splits, key=lambda one: one.by):
        group = next((group for group in one.groups if group.against), None)
        if group is None:
            continue
        if by is not None and one.by != by:
            made.add_section()
        by = one.by
        control = next(other for other in one.groups if other.group == group.against)
        made.add_row(
            one.by,
            one.value,
            f"{group.units:,} + {control.units:,}",
            words.count_of(group.conversion),
            words.count_of(control.conversion),
            words.points(group.uplift) + ("*" if group.few else ""),
        )
    return made


def _guardrails(actions: Sequence[ActionFigures]) -> Table:
    caption = (
        "Within the attribution window. Complained: a detractor's answer, or a contact. Contacts: triggers issued to a "
        "customer. Divided: probability of a division into groups as uneven as this one."
    )
    numbers = ("unsubscribed", "dismissed", "complained", "contacts", "divided")
    made = table("Guardrails", ("action", "group"), numbers, caption)
    for action in actions:
        for n, group in enumerate(action.whole.groups):
            divided = "" if n or action.sample_ratio is None else f"p = {action.sample_ratio:.2g}"
            rates = (words.count_of(group.harm[name]) for name in ("unsubscribed", "dismissed", "complained"))
            made.add_row(action.action, group.group, *rates, words.number(group.contacts, 2), divided)
    return made


def _own(actions: Sequence[ActionFigures]) -> Table:
    caption = (
        "Whom an action suits is learned where that says more than its share of success: P is then the customer's own. "
        "Expected: mean P of those it was issued to, and what everyone's P would have been"
    )
    made = table("P of each customer", ("action",), ("weighed", "issued", "expected", "everyone's"), caption)
    for action in actions:
        if action.own is not None:
            own = action.own
            means = (f"{own.p:.1%}", f"{own.usual:.1%}") if own.issued else ("", "")
            made.add_row(action.action, f"{own.weighed:,}", f"{own.issued:,}", *means)
    return made


def _closed(actions: Sequence[ActionFigures]) -> Table:
    made = table("Why not: gates that closed candidates", ("action", "gates"), ("candidates",))
    for action in actions:
        if action.closed:
            gates = ", ".join(f"{gate} {n:,}" for gate, n in action.closed.items())
            made.add_row(action.action, gates, f"{sum(action.closed.values()):,}")
    return made
