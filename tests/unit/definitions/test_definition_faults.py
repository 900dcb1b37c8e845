# ruff: noqa: E501 - a table of texts is read by its columns
"""Every fault of a definition is found, at its line and column, with what was probably meant."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from streams.definitions.load import DefinitionFaults, load_texts

HEAD = """\
version: 1
segments:
  loyal: {where: "orders > 3"}
journeys:
  buy:
    type: purchase
    goal: {event: Order Completed, within: 2d}
    stages:
      look: {on: [Product Viewed]}
      pay: {on: [Payment Info Entered], critical: true}
    abandonment:
      pay: {after: 20m, severity: high}
    friction:
      - {name: failed, count: {event: Payment Failed, at_least: 2, within: 10m}}
      - {name: stuck, stalled: {stage: pay, longer_than: 10m}}
"""


@dataclass(frozen=True)
class Case:
    """``new`` takes the place of ``old`` in HEAD, or is added after it; ``at`` is the text where the fault must stand."""

    new: str
    at: str
    message: str
    old: str | None = None

    @property
    def text(self) -> str:
        if self.old is None:
            return HEAD + self.new
        assert HEAD.count(self.old) == 1
        return HEAD.replace(self.old, self.new)


def action(body: str) -> str:
    return f"actions:\n  help:\n    channel: email\n    expires_after: 1h\n    {body}\n"


WHEN = "when: {signal: friction, journey: buy, name: failed}"
GOOD = action(WHEN)

CASES = {
    # the file as a whole
    "version missing": Case("", "segments", "needs 'version'", old="version: 1\n"),
    "version 2": Case("version: 2", "2", "version 2 is not known", old="version: 1"),
    "unknown section": Case("jorneys: {}\n", "jorneys", "no key 'jorneys' (did you mean 'journeys'?)"),
    "webhooks": Case("webhooks: {}\n", "webhooks", "'webhooks' is not enforced yet"),
    "identity": Case("identity: {}\n", "identity", "'identity' is not enforced yet"),
    "holdout at the top": Case("holdout: 0.1\n", "holdout", "no key 'holdout' (write it under `contact_policy:`"),
    "key twice": Case("segments: {}\n", "segments: {}", "'segments' is given twice (first in line 2)"),
    "no value": Case("actions:\n", "actions", "'actions' has no value"),
    "section is a list": Case("actions: [a]\n", "[a]", "'actions' is a map of keys, not a list"),
    # time
    "duration without unit": Case("time: {session_gap: 30}\n", "30}", "is a duration, not the number 30 (with a unit"),
    "duration in words": Case("time: {session_gap: 30 minutes}\n", "30 min", "'30 minutes' is no duration"),
    "time zone": Case("time: {timezone: Europe/Londn}\n", "Europe", "no time zone (did you mean 'Europe/London'?)"),
    "time zone as path": Case("time: {timezone: ../../etc/passwd}\n", "../..", "is no time zone"),
    "unknown time key": Case("time: {sesion_gap: 1h}\n", "sesion_gap", "did you mean 'session_gap'?"),
    "gap too long": Case("time: {session_gap: 3d}\n", "3d", "wanted is 1s to 1d"),
    "gap over cap": Case("time: {session_gap: 2h, session_cap: 1h}\n", "{session_gap", "longer than 'session_cap'"),
    "forgotten too early": Case("time: {forget_after: 1d}\n", "within: 2d", "2d is longer than profiles are remembered"),
    # events
    "alias of itself": Case("events: {a: a}\n", "a}", "'a' stands for itself"),
    "alias of an alias": Case("events: {a: b, b: page}\n", "b, b", "'b' is itself renamed (write 'page')"),
    "unknown actor": Case("events: {page: {actor: robot}}\n", "robot", "'actor' cannot be 'robot'"),
    "reserved event": Case("events: {journey.x: page}\n", "journey.x", "is a command of the workers"),
    # segments and CEL
    "condition is no bool": Case('{where: "orders + 1"}', '"orders', "gives a number, wanted is true or false",
                                 old='{where: "orders > 3"}'),
    "condition compares types": Case("""{where: "orders > 'x'"}""", '"orders', "no matching overload",
                                     old='{where: "orders > 3"}'),
    "condition of unknown variable": Case('{where: "order > 3"}', '"order', "'order' (did you mean 'orders'?)",
                                          old='{where: "orders > 3"}'),
    "condition of another scope": Case('{where: "event.value > 3"}', '"event', "event.value can be read in the `where` of an event only",
                                       old='{where: "orders > 3"}'),
    "condition with one equals sign": Case('{where: "orders = 3"}', '"orders', "compare with ==",
                                           old='{where: "orders > 3"}'),
    "condition asks for what is always there": Case('{where: "has(cart.items)"}', '"has', "cart.items is no key",
                                                    old='{where: "orders > 3"}'),
    "faulty where of an event": Case("look: {on: {event: page, where: event.vale > 1}}", "event.vale", "did you mean 'event.value'?",
                                     old="look: {on: [Product Viewed]}"),
    "condition that loops": Case('{where: "segments.exists(s, s == \'a\')"}', '"segments', "exists() loops",
                                 old='{where: "orders > 3"}'),
    "condition too long": Case('{where: "' + "orders > 3 && " * 80 + 'orders > 3"}', '"orders', "longer than 1024",
                               old='{where: "orders > 3"}'),
    "condition too deep": Case('{where: "' + "(" * 60 + "orders > 3" + ")" * 60 + '"}', '"((', "nested deeper",
                               old='{where: "orders > 3"}'),
    "condition is constant": Case('{where: "1 < 2"}', '"1', "is always true: it reads no variable",
                                  old='{where: "orders > 3"}'),
    "segment without condition": Case("{title: x}", "{title", "needs 'where'", old='{where: "orders > 3"}'),
    "segment of itself": Case("""{where: "'loyal' in segments"}""", "loyal", "segments depend on each other",
                              old='{where: "orders > 3"}'),
    "unknown segment": Case(action(WHEN + "\n    eligible: \"'loyl' in segments\""), "\"'loyl'",
                            "no segment is called 'loyl' (did you mean 'loyal'?)"),
    "unknown stage in CEL": Case(action(WHEN + "\n    eligible: \"stages.buy == 'pai'\""), "\"stages", "no stage 'pai'"),
    "unknown journey in CEL": Case(action(WHEN + "\n    eligible: \"stages.bye == 'pay'\""), "\"stages", "'bye'"),
    "impossible value in CEL": Case(action(WHEN + "\n    eligible: \"signal.severity == 'hi'\""), '"signal', "is never 'hi'"),
    "value is a text": Case(action(WHEN + "\n    value: last.search"), "last.search", "gives a text, wanted is a number"),
    "value below zero": Case(action(WHEN + "\n    value: -1"), "-1", "wanted is 0 to 1e+09"),
    "content is a bare word": Case(action(WHEN + "\n    content: {with: {a: hello}}"), "hello", "undeclared reference"),
    # journeys
    "journey without goal": Case("", "type: purchase", "needs 'goal'",
                                 old="    goal: {event: Order Completed, within: 2d}\n"),
    "journey type": Case("type: purchas", "purchas", "did you mean 'purchase'?", old="type: purchase"),
    "target in per cent": Case("{event: Order Completed, target: 3}", "3}", "'target' is 3, wanted is 0 to 1",
                               old="{event: Order Completed, within: 2d}"),
    "stage without events": Case("look: {}", "{}", "needs 'on'", old="look: {on: [Product Viewed]}"),
    "stage entered by nothing": Case("look: {on: []}", "[]", "'on' is an empty list", old="look: {on: [Product Viewed]}"),
    "unreachable stage": Case("look: {on: [Payment Info Entered]}", "look", "stage 'look' is unreachable",
                              old="look: {on: [Product Viewed]}"),
    "stage entered by the goal": Case("look: {on: [Order Completed]}", "look", "by the goal",
                                      old="look: {on: [Product Viewed]}"),
    "event enters two stages": Case("look: {on: [page, Payment Info Entered]}", "look", "never entered by",
                                    old="look: {on: [Product Viewed]}"),
    "critical is a word": Case("critical: yes", "yes", "'critical' is true or false", old="critical: true"),
    "was is a stage": Case("critical: true, was: look", "was", "ambiguous: 'look' is also the name of a stage",
                           old="critical: true"),
    "deadline without a stage": Case("paymnt: {after: 20m}", "paymnt", "no stage 'paymnt' (did you mean 'pay'?)",
                                     old="pay: {after: 20m, severity: high}"),
    "deadline without time": Case("pay: {min_events: 2}", "{min_events", "needs either 'after' or 'before'",
                                  old="pay: {after: 20m, severity: high}"),
    "deadline twice": Case("pay: {after: 1h, before: {date: now}}", "{after", "either 'after' or 'before'",
                           old="pay: {after: 20m, severity: high}"),
    "date is a bool": Case("pay: {before: {date: session.open}}", "session.open", "wanted is a date",
                           old="pay: {after: 20m, severity: high}"),
    "deadline after the end": Case("pay: {after: 3d}", "after: 3d", "can never fire: the journey expires 2d",
                                   old="pay: {after: 20m, severity: high}"),
    "once per what": Case("pay: {after: 1h, once_per: cart}", "cart}", "'once_per' cannot be 'cart'",
                          old="pay: {after: 20m, severity: high}"),
    "min_events zero": Case("pay: {after: 1h, min_events: 0}", "0}", "wanted is 1 to 1000",
                            old="pay: {after: 20m, severity: high}"),
    "min_events half": Case("pay: {after: 1h, min_events: 1.5}", "1.5", "is a whole number",
                            old="pay: {after: 20m, severity: high}"),
    "instance by time": Case("type: purchase\n    instance_by: occurred_at", "occurred_at", "cannot be 'occurred_at'",
                             old="type: purchase"),
    "rollout of a journey": Case("type: purchase\n    rollout: 0.5", "rollout", "not enforced yet", old="type: purchase"),
    # friction
    "unknown preset": Case("      - preset: rage_click/hotjar\n", "rage_click/hotjar", "no preset is called"),
    "preset as text": Case("      - rage_click/posthog\n", "rage_click", "write `- preset: rage_click/posthog`"),
    "rule without name": Case("      - {stalled: {stage: pay, longer_than: 1m}}\n", "{stalled: {stage: pay, longer_than: 1m",
                              "needs 'name'"),
    "rule without kind": Case("      - {name: x}\n", "{name: x}", "is one of these: preset, count"),
    "rule of two kinds": Case("      - {name: x, preset: slow_page, stalled: {stage: pay, longer_than: 1m}}\n", "{name: x",
                              "preset and stalled at once"),
    "rule name twice": Case("      - {name: failed, preset: slow_page}\n", "{name: failed, preset", "two friction rules"),
    "rule name with spaces": Case("      - {name: a b, preset: slow_page}\n", "a b", "for example 'a_b'"),
    "count of nothing": Case("      - {name: x, count: {event: page, at_least: 0, within: 1m}}\n", "0, within: 1m",
                             "wanted is 1 to 1000"),
    "count without window": Case("      - {name: x, count: {event: page, at_least: 2}}\n", "{event: page", "needs 'within'"),
    "count of one different": Case(
        "      - {name: x, count: {event: page, at_least: 1, within: 1m, different: channel}}\n", "at_least: 1,",
        "at least 2 are counted"),
    "same and different": Case(
        "      - {name: x, count: {event: page, at_least: 2, within: 1m, same: topic, different: topic}}\n",
        "different", "'topic' cannot be the same and different"),
    "sequence of one": Case("      - {name: x, sequence: {of: [page], within: 1m}}\n", "[page]", "list of 2 to 10"),
    "absence of itself": Case("      - {name: x, absence: {of: page, within: 1m, after: page}}\n", "of: page",
                              "cannot answer itself"),
    "stalled nowhere": Case("      - {name: x, stalled: {stage: pya, longer_than: 1m}}\n", "pya",
                            "no stage 'pya' (did you mean 'pay'?)"),
    "stalled without bound": Case("      - {name: x, stalled: {stage: pay}}\n", "{stage: pay}", "needs 'longer_than'"),
    "where twice": Case(
        "      - {name: x, count: {event: {event: page, where: event.value > 1}, where: event.value > 2, at_least: 2,"
        " within: 1m}}\n", "where: event.value > 2", "'where' is given twice"),
    # milestones
    "milestone of unknown journey": Case("milestones: [{name: x, goal: buyy}]\n", "buyy", "no journey is called 'buyy'"),
    "milestone of nothing": Case("milestones: [{name: x}]\n", "{name: x}", "needs either 'goal' or 'anniversary_of'"),
    "nth without goal": Case("milestones: [{name: x, anniversary_of: first_seen, nth: 2}]\n", "nth", "so it needs 'goal'"),
    # satisfaction
    "word out of range": Case("satisfaction: {words: {angry: -2}}\n", "-2", "wanted is -1 to 1"),
    # actions
    "missing expires_after": Case(f"actions:\n  help:\n    channel: email\n    {WHEN}\n", "channel: email",
                                  "action 'help' needs 'expires_after'"),
    "missing channel": Case(f"actions:\n  help:\n    {WHEN}\n    expires_after: 1h\n", "when:", "needs 'channel'"),
    "unknown channel": Case(GOOD.replace("email", "emial"), "emial", "did you mean 'email'?; or define it"),
    "empty channels": Case(GOOD.replace("email", "[]"), "[]", "'channel' is an empty list"),
    "webhook of an action": Case(action(WHEN + "\n    webhook: x"), "webhook", "'webhook' is not enforced yet"),
    "limits of an action": Case(action(WHEN + "\n    limits: []"), "limits", "(write it under `contact_policy:`"),
    "churn risk without a purchase": Case("type: use\n    goal: {event: Used, where: event.value > 0}\n    stages: {s: {on: page}}\nactions: {a: {when: {signal: churn_risk, band: high}, channel: email, expires_after: 1h}}\n", "{signal: churn_risk", "no risk is declared (declare it under `risks:`",
                                          old=HEAD[HEAD.index("type: purchase") :]),
    "band of the assumed churn risk": Case(action("when: {signal: churn_risk, band: hi}"), "hi}", "risk 'churn' has no band 'hi' (did you mean 'high'?)"),
    "assumed churn risk of another name": Case(action("when: {signal: churn_risk, name: chrn}"), "chrn}", "no risk is called 'chrn' (did you mean 'churn'?)"),
    "unknown signal": Case(action("when: {signal: abandoment}"), "abandoment", "did you mean 'abandonment'?"),
    "signal as text": Case(action("when: friction"), "friction\n", "write {signal: friction}"),
    "unknown journey": Case(action("when: {signal: friction, journey: bui}"), "bui}", "did you mean 'buy'?"),
    "unknown rule": Case(action("when: {signal: friction, name: faild}"), "faild", "did you mean 'failed'?"),
    "rule of another kind": Case(action("when: {signal: friction, name: stuck}"), "stuck}", "write `signal: stalled`"),
    "stage without deadline": Case(action("when: {signal: abandonment, stage: look}"), "{signal: abandonment",
                                   "no abandonment signal can match this (stages with a deadline: pay)"),
    "severity of no rule": Case(action("when: {signal: friction, name: failed, severity: low}"), "{signal: friction",
                                "no rule there has that severity"),
    "key that the signal has not": Case(action("when: {signal: segment_entered, stage: pay}"), "stage: pay}\n",
                                        "a segment_entered signal has no 'stage'"),
    "unknown satisfaction": Case(action("when: {signal: satisfaction, name: promotor}"), "promotor", "'promoter'"),
    "same when twice": Case(action("when: [{signal: friction}, {signal: friction}]"), "{signal: friction}]",
                            "given twice in 'when'"),
    "purpose": Case(action(WHEN + "\n    purpose: marketting"), "marketting", "did you mean 'marketing'?"),
    # YAML itself
    "tab": Case("\tactions: {}\n", "\tactions", "not YAML"),
    "tag": Case("actions: !!python/object:os.system {}\n", "!!python", "is not allowed"),
    "unknown alias": Case("actions: *nothing\n", "*nothing", "not defined above"),
    "merge key": Case("actions: {<<: {}}\n", "<<", "merge keys are not supported"),
    "second document": Case("---\nversion: 1\n", "---", "a second document"),
    "control character": Case("# \x01\n", "\x01", "not YAML"),
    "list as key": Case("? [a]\n: b\n", "[a]", "a key is a text, not a list"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_fault_at_its_place(name: str) -> None:
    case = CASES[name]
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", case.text)])
    faults = [fault for fault in caught.value.faults if case.message in str(fault)]
    assert len(faults) == 1, str(caught.value)
    assert len(caught.value.faults) == 1, str(caught.value)
    lines = case.text.split("\n")
    there = "\n".join([lines[faults[0].line - 1][faults[0].column - 1 :], *lines[faults[0].line :]])
    assert there.startswith(case.at), f"{faults[0]} stands at {there[:30]!r}"


def test_head_alone_is_right() -> None:
    assert load_texts([("d.yaml", HEAD + GOOD)]).warnings == ()


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = HEAD.replace("type: purchase", "type: purchas").replace("20m", "20") + "time: {timezone: X}\nactionz: {}\n"
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", text)])
    assert [(f.line, f.message.split()[0]) for f in caught.value.faults] == [
        (6, "'type'"), (12, "'after'"), (16, "'X'"), (17, "the"),
    ]  # fmt: skip
    assert str(caught.value).splitlines()[0].startswith("d.yaml:6:11: 'type' cannot be 'purchas'")


def test_unknown_event_names_are_warnings_with_a_suggestion() -> None:
    text = HEAD.replace("Product Viewed", "Product Veiwed") + action(WHEN + "\n    cancel_on: [Tea Drunk]")
    warnings = load_texts([("d.yaml", text)]).warnings
    assert warnings == (
        "d.yaml:9:19: 'Product Veiwed' is not a standard event name (did you mean 'Product Viewed'?)",
        "d.yaml:21:17: 'Tea Drunk' is not a standard event name (declare it under `events:` if it is meant)",
    )


def test_declared_event_names_are_known() -> None:
    text = HEAD.replace("Product Viewed", "Tea Drunk") + "events: {Tea Drunk: {actor: customer}}\n"
    assert load_texts([("d.yaml", text)]).warnings == ()


def test_stage_of_two_journeys_is_ambiguous_unless_the_journey_is_named() -> None:
    second = HEAD.partition("journeys:\n")[2].replace("  buy:", "  rent:", 1)
    both = HEAD + second
    with pytest.raises(DefinitionFaults, match="ambiguous: stage 'pay' is in the journeys buy and rent"):
        load_texts([("d.yaml", both + action("when: {signal: abandonment, stage: pay}"))])
    assert load_texts([("d.yaml", both + action("when: {signal: abandonment, journey: rent, stage: pay}"))]).actions


def test_session_channel_for_a_deadline_after_the_session_is_a_warning() -> None:
    late = HEAD.replace("20m", "2h") + action("when: {signal: abandonment}").replace("email", "in_app")
    (warning,) = load_texts([("d.yaml", late)]).warnings
    assert "needs an open session" in warning
    assert load_texts([("d.yaml", late.replace("2h", "20m"))]).warnings == ()
