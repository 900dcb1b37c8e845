"""Profiles, actors and sessions: who counts, what prolongs a session and when it ends."""

from __future__ import annotations

from tests.support.engines import T0, D, H, M, Run, S, touchpoint

SESSIONS = """
time: {allowed_lateness: 30s, session_gap: 30m}
segments:
  here: {where: "session.open"}
  third: {where: "session.touchpoints == 3"}
  long: {where: "session.minutes >= 60"}
journeys:
  help:
    type: support
    goal: Case Resolved
    stages:
      asking: {on: [Message Sent, Contact Started]}
      assisted: {on: [Agent Replied]}
    abandonment: {asking: {after: 40m}, assisted: {after: 50m}}
"""


def here(run: Run) -> list[tuple[str, int]]:
    """(entered or left, when) of the segment of those who are in a session."""
    return [(s.kind.removeprefix("segment_"), s.time - T0) for s in run.named("here")]


# -- profiles (rule 9) -----------------------------------------------------------------------------------------------


def test_profile_is_the_customer_else_the_anonymous_visitor() -> None:
    run = Run(SESSIONS)
    run.hear(touchpoint(0, "page", None, anonymous_id="a1", event_id="1"))
    run.hear(touchpoint(0, "page", "c1", anonymous_id="a1", event_id="2"))
    assert sorted({s.customer for s in run.signals}) == ["a1", "c1"]
    view = run.customers["c1"]
    assert view is not None
    assert (view.customer_id, view.anonymous_id) == ("c1", "a1")


def test_customers_share_nothing() -> None:
    run = Run(SESSIONS)
    for n in range(3):
        run.hear(touchpoint(n * S, "page", f"c{n}"))
    assert run.named("third") == []


# -- sessions (rule 11) ----------------------------------------------------------------------------------------------


def test_session_gap_exactly_is_inside() -> None:
    run = Run(SESSIONS)
    run.hear(touchpoint(0, "page"), touchpoint(30 * M, "page"), touchpoint(60 * M, "page"))
    assert here(run) == [("entered", 0)]
    assert [s.time for s in run.named("third")] == [T0 + 60 * M]
    assert [s.time for s in run.named("long")] == [T0 + 60 * M]


def test_session_gap_exceeded_ends_it_at_the_gap() -> None:
    run = Run(SESSIONS)
    run.hear(touchpoint(0, "page"), touchpoint(30 * M + 1, "page"))
    assert here(run) == [("entered", 0), ("left", 30 * M), ("entered", 30 * M + 1)]


def test_session_of_exactly_24h_is_inside() -> None:
    run = Run(SESSIONS)
    run.hear(*(touchpoint(n * 30 * M, "page") for n in range(49)))
    assert here(run) == [("entered", 0)]


def test_session_beyond_24h_ends_at_24h() -> None:
    run = Run(SESSIONS)
    run.hear(*(touchpoint(n * 30 * M, "page") for n in range(49)), touchpoint(D + 1, "page"))
    assert here(run) == [("entered", 0), ("left", D), ("entered", D + 1)]


def test_session_id_neither_splits_nor_joins() -> None:
    run = Run(SESSIONS)
    run.hear(
        touchpoint(0, "page", session_id="s1"),
        touchpoint(10 * M, "page", session_id="s2"),
        touchpoint(41 * M, "page", session_id="s2"),
    )
    assert here(run) == [("entered", 0), ("left", 40 * M), ("entered", 41 * M)]


def test_touchpoint_out_of_order_neither_ends_nor_shortens_the_session() -> None:
    run = Run(SESSIONS)
    run.hear(touchpoint(10 * M, "page"), touchpoint(9 * M, "page"), touchpoint(40 * M, "page"))
    assert here(run) == [("entered", 10 * M)]


def test_session_over_is_not_open_for_a_rule_that_fires_later() -> None:
    run = Run(
        SESSIONS.split("segments", maxsplit=1)[0]
        + """
journeys:
  shop:
    type: purchase
    goal: Order Completed
    stages: {cart: {on: Product Added}}
    friction: [{name: not_shipped, absence: {of: Order Shipped, within: 48h, after: Order Completed}}]
actions:
  chat:
    when: {signal: friction}
    channel: [chat, agent]
    value: "session.open || session.touchpoints > 0 ? 1 : 2"
    expires_after: 1h
"""
    )
    run.hear(touchpoint(0, "Order Completed"))
    run.until(49 * H)
    assert [(t.channel, t.value) for t in run.triggers] == [("agent", 2.0)]


# -- actors (rule 10) ------------------------------------------------------------------------------------------------


def asked_at_0(*more: object) -> Run:
    run = Run(SESSIONS)
    run.hear(touchpoint(0, "Contact Started", contact_id="k", case_id="case"))
    return run


def silence(run: Run) -> list[tuple[str, int]]:
    run.drain()
    return [(s.name, s.time - T0) for s in run.signals if s.kind == "abandonment"]


def test_customer_is_the_default_actor() -> None:
    run = asked_at_0()
    run.hear(touchpoint(10 * M, "Message Sent"))
    assert silence(run) == [("asking", 50 * M)]


def test_definition_says_the_actor_where_the_touchpoint_does_not() -> None:
    run = Run("events: {Message Sent: {actor: company}}" + SESSIONS)
    run.hear(touchpoint(0, "Contact Started"), touchpoint(10 * M, "Message Sent"))
    assert silence(run) == [("asking", 40 * M)]


def test_touchpoint_says_the_actor_against_the_definition() -> None:
    run = Run("events: {Message Sent: {actor: company}}" + SESSIONS)
    run.hear(touchpoint(0, "Contact Started"), touchpoint(10 * M, "Message Sent", actor="customer"))
    assert silence(run) == [("asking", 50 * M)]


def test_agent_in_the_contact_counts_by_contact_id() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Note Written", actor="agent", contact_id="k"))
    run.hear(touchpoint(50 * M, "page"))
    assert here(run) == [("entered", 0)]


def test_agent_in_the_contact_counts_by_case_id() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Message Sent", actor="agent", case_id="case"))
    assert silence(run) == [("asking", 60 * M)]


def test_agent_of_another_contact_does_not_count() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Message Sent", actor="agent", contact_id="other"))
    assert silence(run) == [("asking", 40 * M)]


def test_agent_alone_does_not_count() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Message Sent", actor="agent"))
    assert silence(run) == [("asking", 40 * M)]


def test_agent_after_contact_ended_does_not_count() -> None:
    run = asked_at_0()
    run.hear(touchpoint(10 * M, "Contact Ended", contact_id="k", actor="agent"))
    run.hear(touchpoint(20 * M, "Message Sent", actor="agent", contact_id="k"))
    assert silence(run) == [("asking", 40 * M)]


def test_company_and_system_neither_start_nor_prolong_sessions() -> None:
    for actor in ("company", "system"):
        run = Run(SESSIONS)
        run.hear(touchpoint(0, "page", actor=actor))
        assert here(run) == []
        run.hear(touchpoint(1 * M, "page"), touchpoint(20 * M, "page", actor=actor))
        run.until(2 * H)
        assert here(run) == [("entered", 1 * M), ("left", 31 * M)]


def test_any_actor_that_on_names_enters_a_stage_and_arms_its_deadline() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Agent Replied", actor="agent"))
    assert ("stage_entered", "assisted") in run.kinds()
    assert silence(run) == [("assisted", 70 * M)]


def test_company_entering_a_lower_stage_rearms_nothing() -> None:
    run = asked_at_0()
    run.hear(touchpoint(20 * M, "Message Sent", actor="company"))
    assert silence(run) == [("asking", 40 * M)]


def test_company_moves_the_absence_rule_that_names_it() -> None:
    text = (
        SESSIONS + "    friction: [{name: no_reply, absence: {of: Agent Replied, within: 1h, after: Message Sent}}]\n"
    )
    run = Run(text)
    run.hear(touchpoint(0, "Message Sent"), touchpoint(1 * H, "Agent Replied", actor="system"))
    run.until(3 * H)
    assert run.named("no_reply") == []


def test_company_event_that_no_rule_names_changes_only_trail_and_watermark() -> None:
    with_it, without = Run(SESSIONS), Run(SESSIONS)
    for run in (with_it, without):
        run.hear(touchpoint(0, "Message Sent"))
        if run is with_it:
            run.hear(touchpoint(10 * M, "Parcel Scanned", actor="company", channel="post"))
        run.hear(touchpoint(20 * M, "Agent Replied"))
        run.drain()
    assert with_it.signals == without.signals
    view = with_it.customers["c"]
    assert view is not None
    assert [(x.type, x.actor, x.channel) for x in view.last_touchpoints] == [
        ("Message Sent", "customer", None),
        ("Parcel Scanned", "company", "post"),
        ("Agent Replied", "customer", None),
    ]


def test_company_facts_are_taken_where_a_rule_reads_them() -> None:
    run = Run('segments: {loyal: {where: "orders >= 1"}}')
    run.hear(touchpoint(0, "Order Completed", actor="company"))
    assert run.kinds() == [("segment_entered", "loyal")]


def test_traits_and_consent_are_taken_whoever_tells_them() -> None:
    run = Run(
        """
journeys:
  shop: {type: purchase, goal: Order Completed, stages: {cart: {on: Product Added}}}
actions:
  mail: {purpose: marketing, when: {signal: stage_entered}, channel: email, expires_after: 1h}
"""
    )
    run.hear(
        touchpoint(0, "Contact Imported", actor="system", traits={"email": "a@x.example"}, consent={"email": True}),
        touchpoint(1 * S, "Product Added"),
    )
    assert run.statuses() == [("mail", "issued", None)]


def test_unused_event_names_are_listed_with_their_number() -> None:
    run = Run(SESSIONS)
    run.hear(*(touchpoint(n, "Mystery") for n in range(3)), touchpoint(9, "Message Sent"))
    assert run.engine.event_names_unused == {"Mystery": 3}


def test_unused_event_names_are_bounded() -> None:
    run = Run(SESSIONS)
    run.hear(*(touchpoint(n, f"Mystery {n}", f"c{n}") for n in range(5000)))
    assert len(run.engine.event_names_unused) == 200
    assert len(run.engine.plan.routes) <= 4096 + 10


# -- trail -----------------------------------------------------------------------------------------------------------


def test_trail_goes_over_channels_in_order_of_time_and_is_short() -> None:
    run = Run(SESSIONS)
    run.hear(*(touchpoint(n * S, "page", channel=f"ch{n % 3}") for n in range(30)))
    run.hear(touchpoint(27 * S + 500, "Message Sent", channel="store"))
    view = run.customers["c"]
    assert view is not None
    trail = view.last_touchpoints
    assert len(trail) == 20
    assert [x.occurred_at for x in trail] == sorted(x.occurred_at for x in trail)
    assert {x.channel for x in trail} == {"ch0", "ch1", "ch2", "store"}
    assert trail[-3].type == "Message Sent"


def test_alias_is_translated_wherever_it_arrives() -> None:
    run = Run("events: {ask: Message Sent}" + SESSIONS)
    run.hear(touchpoint(0, "ask"))
    assert ("stage_entered", "asking") in run.kinds()
    view = run.customers["c"]
    assert view is not None
    assert view.last_touchpoints[0].type == "Message Sent"


def test_late_touchpoint_of_an_earlier_session_does_not_count_in_this_one() -> None:
    run = Run(SESSIONS)
    run.hear(touchpoint(0, "page"), touchpoint(2 * H, "page"), touchpoint(2 * H + M, "page"))
    run.hear(touchpoint(10 * M, "screen"))
    assert run.named("third") == []
    run.hear(touchpoint(2 * H + 2 * M, "page"))
    assert [s.time - T0 for s in run.named("third")] == [2 * H + 2 * M]
