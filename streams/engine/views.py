"""The customer view: what others may read of a profile, as of the moment something of it changed."""

from __future__ import annotations

from streams.contracts.outputs import Customer, CustomerRisk, LastTouchpoint, OpenContact, OpenStage, OpenTrigger
from streams.engine.state import Profile


def view(p: Profile, time: int, trail: list[LastTouchpoint], first_risk: str | None) -> Customer:
    risks = [CustomerRisk(name, r.band, r.score, r.model, r.at) for name, r in p.risks.items() if r.band]
    return Customer(
        p.id,
        time,
        p.customer_id,
        p.anonymous_id,
        [OpenStage(i.journey, i.key, i.stage, i.entered.get(i.stage, i.opened)) for i in p.open.values()],
        list(p.segments),
        next((r.band for r in risks if r.risk == first_risk), None),
        [OpenContact(c.contact, c.channel, c.topic, c.since) for c in p.contacts.values()] if p.contacts else [],
        [
            OpenTrigger(i.trigger.trigger_id, i.trigger.action, i.trigger.channel, i.trigger.expires_at, i.outcome)
            for i in p.triggers
            if not i.ghost
        ]
        if p.triggers
        else [],
        trail,
        risks,
        p.expected_value if risks else None,
    )
