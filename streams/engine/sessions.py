"""Sessions: 30 minutes of inactivity, 24 hours at most (PostHog, Snowplow); both bounds still belong to it."""

from __future__ import annotations

from streams.contracts.touchpoint import CUSTOMER
from streams.engine.facts import FLOW
from streams.engine.friction import tidy
from streams.engine.state import CHANNEL, CHANNELS, Profile
from streams.engine.step import Step


def end_of(step: Step, p: Profile) -> int:
    """Last moment that still belongs to the open session."""
    time = step.plan.time
    by_gap = p.session_last + time.session_gap_ms
    by_cap = p.session_start + time.session_cap_ms
    return by_gap if by_gap < by_cap else by_cap


def touch(step: Step) -> None:
    """A touchpoint that counts starts or prolongs the session."""
    p = step.p
    t = step.t
    start = p.session_start
    if start:
        if t > p.session_last:
            if t > end_of(step, p):
                end(step)
                start = 0
            else:
                p.session_last = t
        elif t < start and start - t <= step.plan.time.session_gap_ms:
            p.session_start = t
            step.arm(end_of(step, p))
    if not start and t > p.session_last:
        p.session_start = p.session_last = t
        p.session_touchpoints = 0
        if step.plan.session_timer:
            step.arm(end_of(step, p))
        tidy(step)
    p.session_touchpoints += 1
    p.touchpoints += 1
    if step.facts.event_actor == CUSTOMER:
        p.own_touchpoints += 1
    channel = step.tp.channel
    if channel is not None:
        if len(channel) > CHANNEL:
            channel = channel[:CHANNEL]
        channels = p.channels
        n = channels.get(channel)
        if n is not None:
            channels[channel] = n + 1
        elif len(channels) < CHANNELS:
            channels[channel] = 1
            p.room -= 10 + 4 * len(channel)
        if t >= p.session_last:
            p.last_channel = channel
    step.dirty |= FLOW


def end(step: Step) -> None:
    p = step.p
    p.session_start = 0
    p.session_touchpoints = 0
    if p.clicks:
        p.clicks.clear()
    if p.frustration:
        p.frustration.clear()
    step.dirty |= FLOW
