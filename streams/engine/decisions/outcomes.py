"""What became of a contact: outcomes that downstream systems tell, matched to the customer's triggers.

Owns the matching (by trigger_id, else by the downstream's own ids, else by channel and validity, never by a guess) and
what each outcome changes. The same outcome twice, one of an unknown trigger and one from before its trigger are counted
and change nothing.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.touchpoint import COMPANY, SYSTEM, Touchpoint
from streams.engine.decisions import contacts, holding, success
from streams.engine.decisions.state import BITS, NOTE_BYTES, REFUSED, Made
from streams.engine.state import CHANNELS, Issued, Profile
from streams.engine.step import Step

FREEING: Final = frozenset(
    {"sent", "delivered", "opened", "clicked", "not_sent", "bounced", "dismissed", "unsubscribed", "converted"}
)
"""Outcomes after which the channel is free for another trigger."""
REACHED: Final = frozenset({"delivered", "opened", "clicked", "converted"})
"""Outcomes after which a goal fulfils the trigger."""
SENT: Final = frozenset({"sent", "delivered"})
"""Outcomes that say that a message of somebody else's was sent."""
BACK: Final = frozenset({"not_sent", "bounced"})
"""Outcomes that give the contact back."""
RESPONSES: Final = frozenset({"opened", "clicked", "converted"})
ARRIVED: Final = SENT | {"opened", "clicked", "dismissed", "unsubscribed"}
"""Outcomes that nothing but a message that was sent can have."""
GIVEN_BACK: Final = BITS["not_sent"] | BITS["bounced"]


def hear(step: Step) -> None:
    """An outcome, or somebody else's message."""
    tp = step.tp
    outcome = tp.outcome
    p = step.p
    if outcome is None:
        if step.facts.event_actor not in (COMPANY, SYSTEM):
            return
        if tp.trigger_id is None and tp.campaign is None and tp.dispatch is None:
            if step.plan.policy.counts_messages:
                contacts.hear_message(p, step.plan.policy, tp, step.t)
            return
        outcome = "sent"  # of one of ours, perhaps, which must not count twice
    issued, made, match = _matched(step, tp)
    if issued is None and made is None:
        ours = bool(match) or (tp.trigger_id is not None and tp.outcome is not None)
        if not ours and outcome in SENT and step.plan.policy.counts_messages:
            contacts.hear_message(p, step.plan.policy, tp, step.t)
        return
    bit = BITS.get(outcome, 0)
    told = issued.told if issued is not None else made.told if made is not None else 0
    decided = issued.trigger.issued_at if issued is not None else made.decided if made is not None else 0
    # Who names the trigger knows it: the clock of the customer's device was ahead, by which the trigger was dated.
    ahead = step.plan.time.permitted_skew_ms if match == "trigger_id" else 0
    if step.t < decided - ahead:
        step.counts.outcomes_early += 1
        return
    if told & bit:
        step.counts.outcomes_repeated += 1
        return
    if match != "trigger_id":
        step.counts.outcomes_matched += 1
    if made is None and issued is not None:
        made = contacts.of_trigger(p, issued.trigger.trigger_id)
    if made is not None:
        made.told |= bit
    if issued is not None:
        issued.told |= bit
        _of_open(step, issued, outcome, match)
    trigger = issued.trigger.trigger_id if issued is not None else made.trigger if made is not None else ""
    action = issued.trigger.action if issued is not None else made.action if made is not None else ""
    channel = issued.trigger.channel if issued is not None else made.channel if made is not None else ""
    if made is not None and outcome in ARRIVED and not made.told & GIVEN_BACK:
        made.counts = True  # cancelled, but not in time
    if outcome in BACK:
        back = contacts.given_back(p, trigger)
        success.drop(step, trigger)
        if back is not None and outcome == "not_sent":
            refund(step, back)
    elif outcome == "converted":
        success.converted(step, trigger)
    _refused(step, action, outcome)
    _replied(p, channel, outcome, told, step.t)
    holding.answered(p, step.plan, trigger, outcome)


def refund(step: Step, made: Made) -> None:
    """What was not sent costs nothing."""
    plan = step.plan.actions.get(made.action)
    if plan is not None and plan.action.budget is not None and not made.ghost:
        step.shares.give_back(made.action, plan.action.budget, plan.action.cost, made.decided)


def _of_open(step: Step, issued: Issued, outcome: str, match: str) -> None:
    if outcome in FREEING:
        issued.freed = True
    if outcome in REACHED and (issued.reached_at < 0 or step.t < issued.reached_at):
        issued.reached_at = step.t
    if issued.outcome is None or step.t >= issued.outcome_at:
        issued.outcome = outcome
        issued.outcome_at = step.t
        issued.match = "" if match == "trigger_id" else match
    step.view = True


def _matched(step: Step, tp: Touchpoint) -> tuple[Issued | None, Made | None, str]:
    """(open trigger, contact of one that has ended, how it was matched or "ambiguous" or "")."""
    p = step.p
    if tp.trigger_id is not None:
        for issued in p.triggers:
            if issued.trigger.trigger_id == tp.trigger_id and not issued.ghost:
                return issued, None, "trigger_id"
        made = contacts.of_trigger(p, tp.trigger_id)
        if made is not None and not made.ghost:
            return None, made, "trigger_id"
        step.counts.outcomes_unknown += 1
        return None, None, ""
    if p.dealings is None:
        return None, None, ""
    t = step.t
    if tp.campaign is not None or tp.dispatch is not None:
        ids = {
            contacts.external_id(*pair)
            for pair in ((tp.campaign, None), (tp.campaign, tp.dispatch), (None, tp.dispatch))
        }
        ids.discard("")
        named = [made for made in p.dealings.contacts if _names(step, made, tp, ids)]
        if len(named) > 1:
            still = [made for made in named if any(i.trigger.trigger_id == made.trigger for i in p.triggers)]
            named = still if len(still) == 1 else named
        return _only(step, named, "external")
    if tp.channel is None:
        return None, None, ""
    valid = [
        issued
        for issued in p.triggers
        if not issued.ghost
        and issued.trigger.channel == tp.channel
        and issued.trigger.issued_at <= t
        and (issued.session_end or t <= issued.trigger.expires_at)
    ]
    made_of = [contacts.of_trigger(p, issued.trigger.trigger_id) for issued in valid]
    return _only(step, [made for made in made_of if made is not None], "validity")


def _names(step: Step, made: Made, tp: Touchpoint, named: set[str]) -> bool:
    """The touchpoint names the ids that the contact's trigger gave the downstream system."""
    return (
        made.external in named
        and made.action != ""
        and not made.ghost
        and step.t >= made.decided
        and tp.channel in (None, made.channel)
    )


def _only(step: Step, found: list[Made], match: str) -> tuple[Issued | None, Made | None, str]:
    if not found:
        return None, None, ""
    if len(found) > 1:
        step.counts.outcomes_ambiguous += 1
        return None, None, "ambiguous"
    made = found[0]
    return next((i for i in step.p.triggers if i.trigger.trigger_id == made.trigger), None), made, match


def _refused(step: Step, action: str, outcome: str) -> None:
    """Count a refusal; after so many the action rests."""
    rule = step.plan.policy.suppression
    if rule is None or not action or outcome not in rule.refusals:
        return
    p, t = step.p, step.t
    known = contacts.dealings(p)
    times = known.refusals.setdefault(action, [])
    times.append(t)
    times.sort()
    p.room -= NOTE_BYTES
    newest = times[-1]
    times[:] = [at for at in times if at > newest - rule.within_ms][-max(1, rule.after) :]
    if len(times) >= rule.after:
        known.suppressed[action] = max(known.suppressed.get(action, 0), newest + rule.for_ms)
        del known.refusals[action]
    for held in (known.refusals, known.suppressed):
        if len(held) > REFUSED:
            del held[next(iter(held))]


def _replied(p: Profile, channel: str, outcome: str, told: int, t: int) -> None:
    """What the customer's responses say about a channel: contacts that reached somebody, and those answered."""
    reached = not told & (BITS["sent"] | BITS["delivered"]) and outcome in SENT
    answered = outcome in RESPONSES and not any(told & BITS[name] for name in RESPONSES)
    if not channel or not (reached or answered):
        return
    replies = contacts.dealings(p).replies
    held = replies.get(channel)
    if held is None:
        if len(replies) >= CHANNELS:
            return
        held = replies[channel] = [float(t), 0.0, 0.0]
        p.room -= NOTE_BYTES
    if t > held[0]:
        faded = 2.0 ** ((held[0] - t) / contacts.HALF_LIFE_MS)
        held[0], held[1], held[2] = float(t), held[1] * faded, held[2] * faded
        weight = 1.0
    else:
        weight = 2.0 ** ((t - held[0]) / contacts.HALF_LIFE_MS)
    held[1] += weight * reached
    held[2] += weight * answered
