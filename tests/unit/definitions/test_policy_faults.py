# ruff: noqa: E501 - a table of texts is read by its columns
"""Every fault of contact policy, experiments, steps, channels, arbitration and changes is found, at its place."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.definitions.load import DefinitionFaults, Fault, load_texts
from streams.definitions.policy import Limit
from tests.unit.definitions.test_definition_faults import Case as Added

HEAD = """\
version: 1
channels:
  callback: {open: "Mon-Fri 09:00-17:00", timezone: Europe/London, at_most: 60, per: 1h}
  store: open Sat 10:00-16:00
journeys:
  buy:
    type: purchase
    goal: Order Completed
    stages: {pay: {on: Payment Info Entered}}
    abandonment: {pay: {after: 20m}}
    friction: [{name: failed, count: {event: Payment Failed, at_least: 2, within: 10m}}]
actions:
  help:
    when: {signal: friction, name: failed}
    channel: [in_app, callback]
    value: 4
    expires_after: 1h
  remind:
    purpose: marketing
    when: {signal: abandonment}
    channel: [push, email]
    value: 3
    cost: 0.1
    weight: 2
    lever: 1.5
    rollout: 0.5
    holdout: {share: 0.1}
    experiment: {arms: {control: 0.5, late: {share: 0.5, after: 2h}}}
    steps: [{after: 4h, channel: email}]
    budget: {amount: 100, per: day}
    attribution: 3d
    guardrails: {unsubscribed: 0.01, window: 200}
    expires_after: 1d
contact_policy:
  quiet_hours: {channels: [email, push], from: "21:00", to: "08:00"}
  limits: [{channel: email, at_most: 1, per: day}]
  holdout: {share: 0.05}
  pause_marketing_while: [open_contact, {signal: friction, name: failed, for: 1d}]
  suppression: {after: 3, within: 30d, for: 60d}
arbitration: {sampling: greedy, explore: 0.1, weights: {service: 2, buy: 1.5}, prior: {positives: 1, negatives: 2}}
changes: [{at: 2026-03-01, title: New checkout, journey: buy}]
paused: [help]
"""
CALLBACK = 'callback: {open: "Mon-Fri 09:00-17:00", timezone: Europe/London, at_most: 60, per: 1h}'
STORE = "store: open Sat 10:00-16:00"
QUIET = 'quiet_hours: {channels: [email, push], from: "21:00", to: "08:00"}'
LIMITS = "limits: [{channel: email, at_most: 1, per: day}]"
EVERY = "holdout: {share: 0.05}"
OWN = "holdout: {share: 0.1}"
PAUSES = "pause_marketing_while: [open_contact, {signal: friction, name: failed, for: 1d}]"
SUPPRESSION = "suppression: {after: 3, within: 30d, for: 60d}"
ARMS = "experiment: {arms: {control: 0.5, late: {share: 0.5, after: 2h}}}"
STEPS = "steps: [{after: 4h, channel: email}]"
BUDGET = "budget: {amount: 100, per: day}"
GUARDRAILS = "guardrails: {unsubscribed: 0.01, window: 200}"
WEIGHTS = "weights: {service: 2, buy: 1.5}"
CHANGES = "changes: [{at: 2026-03-01, title: New checkout, journey: buy}]"
HELP = "    value: 4\n    expires_after: 1h"


class Case(Added):
    @property
    def text(self) -> str:
        assert self.old is not None
        assert HEAD.count(self.old) == 1
        return HEAD.replace(self.old, self.new)


CASES = {
    # channels
    "hours without a time": Case('callback: {open: "Mon-Fri"}', '"Mon-Fri"', "days without a time (for example Mon-Fri 09:00-17:00)", CALLBACK),
    "hours of no day": Case('callback: {open: "Mon-Fry 09:00-17:00"}', '"Mon', "'Fry' is no day of the week (did you mean 'Friday'?)", CALLBACK),
    "hours of no time": Case('callback: {open: "Mon 9-17"}', '"Mon', "'Mon 9-17' are no opening hours", CALLBACK),
    "hours past midnight": Case('callback: {open: "Mon 09:00-25:00"}', '"Mon', "are no opening hours", CALLBACK),
    "hours from 24": Case('callback: {open: "Mon 24:00-09:00"}', '"Mon', "are no opening hours", CALLBACK),
    "hours of no length": Case('callback: {open: "09:00-09:00"}', '"09:00', "begins and ends at the same time (all day is 00:00-24:00)", CALLBACK),
    "hours twice": Case('callback: {open: "Sat 09:00-10:00, sat 9:00-10:00"}', '"Sat', "'sat 9:00-10:00' is given twice", CALLBACK),
    "hours are a number": Case("callback: {open: 9}", "9}", "'open' is a text, not the number 9", CALLBACK),
    "zone that does not exist": Case('callback: {open: "09:00-17:00", timezone: Europe/Londn}', "Europe/Londn", "is no time zone (did you mean 'Europe/London'?)", CALLBACK),
    "zone without hours": Case("callback: {timezone: Europe/London}", "timezone", "of the opening hours, and there are none", CALLBACK),
    "capacity without time": Case("callback: {at_most: 60}", "at_most", "'at_most' needs 'per' beside it", CALLBACK),
    "time without capacity": Case("callback: {per: 1h}", "per: 1h", "'per' needs 'at_most' beside it", CALLBACK),
    "capacity of nothing": Case("callback: {at_most: 0, per: 1h}", "0, per", "'at_most' is 0, wanted is 1 to", CALLBACK),
    "capacity for a year": Case("callback: {at_most: 5, per: 365d}", "per: 365d", "wanted is 1s to 31d", CALLBACK),
    "text of a channel": Case("store: closed on Sundays", "closed", "'closed on Sundays' says neither when", STORE),
    "text with a wrong capacity": Case("store: at most many an hour", "at most", "'at most many an hour' is no capacity", STORE),
    "text with two capacities": Case("store: at most 5 an hour, at most 9 a day", "at most 5", "'at most' is given twice", STORE),
    "text with a capacity of nothing": Case("store: at most 0 per 1h", "at most 0", "(to close a channel, take it out of the actions)", STORE),
    "text with wrong hours": Case("store: open late", "open late", "'late' are no opening hours", STORE),
    # an action
    "costs more than its value": Case("    value: 4\n    cost: 5\n    expires_after: 1h", "cost: 5", "is never chosen: it costs 5, and it is worth 4", HELP),
    "costs without a value": Case("    cost: 5\n    expires_after: 1h", "cost: 5", "it costs 5, and it has no `value`", HELP),
    "cost below 0": Case("cost: -1", "-1", "'cost' is -1, wanted is 0", "cost: 0.1"),
    "applicable is a number": Case("    value: 4\n    applicable: cart.items\n    expires_after: 1h", "cart.items", "'applicable'", HELP),
    "suitable reads an event": Case("    value: 4\n    suitable: event.value > 1\n    expires_after: 1h", "event.value", "can be read in the `where` of an event only", HELP),
    "weight of 0": Case("weight: 0", "0\n", "'weight' is 0: the action would always be the last", "weight: 2"),
    "weight is a text": Case("weight: last.search", "last.search", "gives a text, wanted is a number", "weight: 2"),
    "lever of 0": Case("lever: 0", "0\n", "'lever' is 0: the action would always be the last (to stop it: `paused: true`)", "lever: 1.5"),
    "lever is CEL": Case("lever: cart.value", "cart.value", "'lever' is a number", "lever: 1.5"),
    "rollout in per cent": Case("rollout: 50", "50\n", "'rollout' is a share from 0 to 1, not the number 50 (write 0.5)", "rollout: 0.5"),
    "rollout with a sign": Case("rollout: 2.5%", "2.5%", "(write 0.025)", "rollout: 0.5"),
    "rollout below 0": Case("rollout: -0.1", "-0.1", "'rollout' is -0.1, wanted is 0 to 1", "rollout: 0.5"),
    "rollout too fine": Case("rollout: 0.33333", "0.33333", "shares are of 10,000 buckets, four decimals at most (write 0.3333)", "rollout: 0.5"),
    "rollout to nearly nobody": Case("rollout: 1e-9", "1e-9", "shares are of 10,000 buckets, four decimals at most (write 0)", "rollout: 0.5"),
    "levers": Case("levers: {}", "levers", "no key 'levers' (write `lever`, a number;", "lever: 1.5"),
    "arms at the action": Case("arms: {}", "arms", "no key 'arms' (write it under `experiment:`)", "lever: 1.5"),
    "not_before": Case("not_before: 1h", "not_before", "comes later: `after`)", "lever: 1.5"),
    "attribution longer than contacts are kept": Case("attribution: 92d", "attribution", "'attribution' is 92d: contacts are kept for 90d at most", "attribution: 3d"),
    # holdouts
    "holdout is a number": Case("holdout: 0.1", "0.1", "'holdout' is a map, not the number 0.1 (write {share: 0.1})", OWN),
    "holdout without share": Case("holdout: {salt: x}", "{salt", "'holdout' needs 'share'", OWN),
    "holdout of all": Case("holdout: {share: 1}", "1}", "nobody would be left (pause the actions instead)", OWN),
    "holdout of another purpose": Case("holdout: {share: 0.1, purpose: service}", "purpose", "the action's purpose is marketing", OWN),
    "holdout of a service action": Case("    value: 4\n    holdout: {share: 0.1}\n    expires_after: 1h", "{share", "keeps help from customers who need it (add `purpose: service`", HELP),
    "holdouts of one salt": Case("holdout: {share: 0.05, salt: holdout/remind}", "{share", "holdout has the salt of holdout/remind, 'holdout/remind': both divide customers alike", EVERY),
    "holdout and experiment of one salt": Case("experiment: {salt: holdout, arms: {a: 0.5, b: {share: 0.5, after: 1h}}}", "{share: 0.05", "holdout has the salt of experiment 'remind'", ARMS),
    # experiments
    "one arm": Case("experiment: {arms: {a: 0.5}}", "{a: 0.5", "compares 2 to 10 arms, not 1", ARMS),
    "no arms": Case("experiment: {name: x}", "{name", "'experiment' needs 'arms'", ARMS),
    "arms are a list": Case("experiment: {arms: [a, b]}", "[a", "'arms' is a map of keys, not a list", ARMS),
    "arms of the same name": Case("experiment: {arms: {a: 0.4, a: 0.1, b: {share: 0.5, after: 1h}}}", "a: 0.1", "'a' is given twice", ARMS),
    "arms of more than everybody": Case("experiment: {arms: {a: 0.7, b: {share: 0.4, after: 1h}}}", "{a: 0.7", "the shares of the arms add up to 1.1", ARMS),
    "arm without share": Case("experiment: {arms: {a: 0.5, b: {after: 1h}}}", "{after", "arm 'b' needs 'share'", ARMS),
    "arm without customers": Case("experiment: {arms: {a: 0.5, b: {share: 0, after: 1h}}}", "0, after", "arm 'b' has no customers", ARMS),
    "arm after the end": Case("experiment: {arms: {a: 0.5, b: {share: 0.5, after: 24h}}}", "after: 24h", "'after' is 1d, when the action has expired (1d)", ARMS),
    "arm after the session": Case("    value: 4\n    expires_after: session_end\n    experiment: {arms: {a: 0.5, b: {share: 0.5, after: 30m}}}", "after: 30m", "'after' is 30m, when the session has ended", HELP),
    "arm's content is a bare word": Case("experiment: {arms: {a: 0.5, b: {share: 0.5, content: {with: {x: hello}}}}}", "hello", "undeclared reference", ARMS),
    "experiment's name": Case("experiment: {name: a b, arms: {a: 0.5, b: {share: 0.5, after: 1h}}}", "a b", "for example 'a_b'", ARMS),
    # steps
    "steps are a map": Case("steps: {after: 4h, channel: email}", "{after", "'steps' is a list, not a map", STEPS),
    "no steps": Case("steps: []", "[]", "has 1 to 10 steps after the first, not 0", STEPS),
    "step without time": Case("steps: [{channel: email}]", "{channel", "a step needs 'after'", STEPS),
    "step without channel": Case("steps: [{after: 1h}]", "{after: 1h", "a step needs 'channel'", STEPS),
    "step on an unknown channel": Case("steps: [{after: 1h, channel: emial}]", "emial", "no channel is called 'emial' (did you mean 'email'?", STEPS),
    "steps longer than remembered": Case("steps: [{after: 300d, channel: sms}, {after: 101d, channel: email}]", "after: 101d", "401d is longer than profiles are remembered", STEPS),
    "step unless nonsense": Case("steps: [{after: 1h, channel: sms, unless: opend}]", "opend", "'unless' cannot be 'opend' (did you mean 'opened'?)", STEPS),
    "step unless it was sent": Case("steps: [{after: 1h, channel: sms, unless: sent}]", "sent}", "'unless' cannot be 'sent'", STEPS),
    "step unless twice": Case("steps: [{after: 1h, channel: sms, unless: [opened, opened]}]", "opened]", "'opened' is given twice", STEPS),
    # budget and guardrails
    "budget without a cost": Case("    value: 4\n    budget: {amount: 5, per: day}\n    expires_after: 1h", "{amount", "never used up: the action costs nothing (add `cost`", HELP),
    "budget below one contact": Case("budget: {amount: 0.05, per: day}", "0.05", "'amount' is 0.05: not enough for one contact, which costs 0.1", BUDGET),
    "budget per hour": Case("budget: {amount: 5, per: 1h}", "1h}", "'per' cannot be '1h'", BUDGET),
    "guardrail in per cent": Case("guardrails: {dismissed: 5}", "5}", "'dismissed' is 5: a rate is always below 1 (write 0.05)", GUARDRAILS),
    "guardrail that cannot break": Case("guardrails: {complained: 1}", "1}", "a rate is always below 1", GUARDRAILS),
    "messages without a bound": Case("guardrails: {dismissed: 0.1, contacts: 4}", "contacts", "'contacts' belongs to 'crowded'", GUARDRAILS),
    "guardrail below 0": Case("guardrails: {complained: -1}", "-1}", "wanted is 0 to 1", GUARDRAILS),
    "guardrails without a rate": Case("guardrails: {pause: true}", "{pause", "bounds no rate (give one of unsubscribed, dismissed, complained, crowded)", GUARDRAILS),
    "window too short": Case("guardrails: {dismissed: 0.5, window: 3}", "3}", "'window' is 3, wanted is 10 to 100000", GUARDRAILS),
    # quiet hours
    "quiet on an unknown channel": Case('quiet_hours: {channels: [emial], from: "21:00", to: "08:00"}', "emial", "no channel is called 'emial'", QUIET),
    "quiet the whole day": Case('quiet_hours: {from: "08:00", to: "8:00"}', "to:", "'from' and 'to' are the same time: that would be the whole day", QUIET),
    "quiet without end": Case('quiet_hours: {from: "21:00"}', "{from", "needs 'to'", QUIET),
    "quiet from a number": Case("quiet_hours: {from: 21, to: 08:00}", "21,", 'not the number 21 (write "21:00")', QUIET),
    "quiet from nothing": Case("quiet_hours: {from: night, to: 08:00}", "night", "'from' is 'night', which is no time of day", QUIET),
    "quiet from 24": Case("quiet_hours: {from: 24:00, to: 08:00}", "24:00", '(write "00:00")', QUIET),
    "quiet days": Case('quiet_hours: {from: "21:00", to: "08:00", days: [Sat, Sat-Sun]}', "Sat-Sun", "a day is given twice in 'days': Sat", QUIET),
    "quiet on no day": Case('quiet_hours: {from: "21:00", to: "08:00", days: Someday}', "Someday", "'Someday' is no day of the week (did you mean 'Sunday'?)", QUIET),
    "quiet and then": Case('quiet_hours: {from: "21:00", to: "08:00", then: wait}', "wait", "'then' cannot be 'wait' (known: hold, drop)", QUIET),
    "quiet twice": Case('quiet_hours: [{from: "21:00", to: "08:00"}, {to: "8:00", from: "21:00"}]', "{to", "these quiet hours are given twice", QUIET),
    "quiet all week": Case('quiet_hours: [{channels: sms, from: "08:00", to: "20:00"}, {channels: sms, from: "20:00", to: "08:00", purpose: marketing}]',
                           '{channels: sms, from: "20:00"', "leave no time of the week for marketing on 'sms'", QUIET),
    # limits
    "limits are a map": Case("limits: {at_most: 1, per: day}", "{at_most", "'limits' is a list, not a map", LIMITS),
    "limit without a number": Case("limits: [{per: day}]", "{per", "a limit needs 'at_most'", LIMITS),
    "limit without a time": Case("limits: [{at_most: 1}]", "{at_most", "a limit needs 'per' (day, week, or a duration such as 7d)", LIMITS),
    "limit per month": Case("limits: [{at_most: 1, per: month}]", "month", "'per' cannot be 'month' (day, week, or a duration", LIMITS),
    "limit per number": Case("limits: [{at_most: 1, per: 7}]", "7}", "'per' is a text, not the number 7", LIMITS),
    "limit for a year": Case("limits: [{at_most: 1, per: 365d}]", "365d", "contacts are kept for 90d at most", LIMITS),
    "limit below 0": Case("limits: [{at_most: -1, per: day}]", "-1", "wanted is 0 to 60", LIMITS),
    "limit of an unknown channel": Case("limits: [{channel: fax, at_most: 1, per: day}]", "fax", "no channel is called 'fax'", LIMITS),
    "limit of an unknown action": Case("limits: [{action: remnd, at_most: 1, per: day}]", "remnd", "no action is called 'remnd' (did you mean 'remind'?)", LIMITS),
    "limit of another channel": Case("limits: [{action: remind, channel: sms, at_most: 1, per: day}]", "channel", "action 'remind' never uses the channel 'sms' (its channels: email, push)", LIMITS),
    "limit that never applies": Case("limits: [{action: help, purpose: marketing, at_most: 1, per: day}]", "purpose", "never applies: the purpose of action 'help' is service", LIMITS),
    "limit twice": Case("limits: [{at_most: 1, per: day}, {at_most: 2, per: day}]", "{at_most: 2", "a limit of the same contacts in the same time is given twice (first in line 36)", LIMITS),
    # pauses and suppression
    "pause in words": Case("pause_marketing_while: open contact", "open contact", "'pause_marketing_while' cannot be 'open contact' (open_contact, or", PAUSES),
    "pause without a signal": Case("pause_marketing_while: {for: 1d}", "{for", "needs 'signal' in a map", PAUSES),
    "pause without an end": Case("pause_marketing_while: {signal: friction}", "{signal", "needs 'for' (how long after the signal", PAUSES),
    "pause after an unknown rule": Case("pause_marketing_while: {signal: friction, name: faild, for: 1d}", "faild", "no friction rule is called 'faild' (did you mean 'failed'?)", PAUSES),
    "pause after an unknown kind": Case("pause_marketing_while: {signal: fricton, for: 1d}", "fricton", "did you mean 'friction'?", PAUSES),
    "pause twice": Case("pause_marketing_while: [open_contact, open_contact]", "open_contact]", "this is given twice in 'pause_marketing_while'", PAUSES),
    "pause longer than remembered": Case("pause_marketing_while: {signal: friction, for: 500d}", "for: 500d", "500d is longer than profiles are remembered", PAUSES),
    "suppression without an end": Case("suppression: {after: 3, within: 30d}", "{after", "'suppression' needs 'for'", SUPPRESSION),
    "suppression over a year": Case("suppression: {after: 3, within: 365d, for: 1d}", "within", "'within' is 365d: contacts are kept for 90d at most", SUPPRESSION),
    "suppression after none": Case("suppression: {after: 0, within: 30d, for: 1d}", "0, within", "'after' is 0, wanted is 1 to 100", SUPPRESSION),
    "refusal that is no outcome": Case("suppression: {after: 3, within: 30d, for: 1d, refusals: [dismised]}", "dismised", "no outcome is called 'dismised' (did you mean 'dismissed'?)", SUPPRESSION),
    "refusal that is none": Case("suppression: {after: 3, within: 30d, for: 1d, refusals: [clicked]}", "clicked", "'clicked' is no refusal (refusals: dismissed,", SUPPRESSION),
    "time until it is taken for sent": Case("unsent_for: 91d", "91d", "'unsent_for' is at most 90d", SUPPRESSION),
    "time until it is taken for sent without a unit": Case("unsent_for: 5", "5", "'unsent_for' is a duration, not the number 5 (with a unit: 5s", SUPPRESSION),
    "unknown part of the policy": Case("quite_hours: {}", "quite_hours", "did you mean 'quiet_hours'?", QUIET),
    # arbitration, changes, paused
    "sampling": Case("sampling: random", "random", "'sampling' cannot be 'random'", "sampling: greedy"),
    "explore in per cent": Case("explore: 5", "5,", "'explore' is a share from 0 to 1, not the number 5 (write 0.05)", "explore: 0.1"),
    "weight of an unknown journey": Case("weights: {by: 2}", "by: 2", "no purpose or journey is called 'by' (did you mean 'buy'?)", WEIGHTS),
    "weight of a journey is 0": Case("weights: {buy: 0}", "0}", "the weight of 'buy' is 0: the action would always be the last", WEIGHTS),
    "prior of nothing": Case("prior: {positives: 0, negatives: 1}", "0,", "'positives' is 0, wanted is 0.001", "prior: {positives: 1, negatives: 2}"),
    "prior of one side": Case("prior: {positives: 1}", "{positives", "'prior' needs 'negatives'", "prior: {positives: 1, negatives: 2}"),
    "changes are a map": Case("changes: {at: 2026-03-01, title: x}", "{at", "'changes' is a list, not a map", CHANGES),
    "change without date": Case("changes: [{title: x}]", "{title", "a change needs 'at'", CHANGES),
    "change without title": Case("changes: [{at: 2026-03-01}]", "{at", "a change needs 'title'", CHANGES),
    "change on no day": Case("changes: [{at: 2026-02-30, title: x}]", "2026-02-30", "'2026-02-30' is no date", CHANGES),
    "change before time began": Case("changes: [{at: 1950-01-01, title: x}]", "1950", "is before 1970", CHANGES),
    "change of an unknown journey": Case("changes: [{at: 2026-03-01, title: x, journey: by}]", "by}", "no journey is called 'by'", CHANGES),
    "change twice": Case("changes: [{at: 2026-03-01, title: x}, {at: 2026-03-01T00:00, title: x}]", "{at: 2026-03-01T", "this change is given twice (first in d.yaml:41)", CHANGES),
    "paused nobody": Case("paused: [hepl]", "hepl", "no action is called 'hepl' (did you mean 'help'?)", "paused: [help]"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_fault_at_its_place(name: str) -> None:
    case = CASES[name]
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", case.text)])
    assert [case.message in str(fault) for fault in caught.value.faults] == [True], str(caught.value)
    fault = caught.value.faults[0]
    lines = case.text.split("\n")
    there = "\n".join([lines[fault.line - 1][fault.column - 1 :], *lines[fault.line :]])
    assert there.startswith(case.at), f"{fault} stands at {there[:30]!r}"


def test_head_alone_is_right() -> None:
    assert load_texts([("d.yaml", HEAD)]).warnings == ()


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    text = (
        HEAD.replace("09:00-17:00", "9-17")
        .replace("rollout: 0.5", "rollout: 5")
        .replace("late: {share: 0.5", "late: {share: 0.6")
    )
    text = text.replace('"21:00"', "21").replace("per: day}]", "per: month}]").replace("2026-03-01", "March")
    with pytest.raises(DefinitionFaults) as caught:
        load_texts([("d.yaml", text)])
    assert [(f.line, f.message.split()[0]) for f in caught.value.faults] == [
        (3, "'Mon-Fri"), (26, "'rollout'"), (28, "the"), (35, "'from'"), (36, "'per'"), (41, "'March'"),
    ]  # fmt: skip


WARNINGS = {
    "arms that do the same": (ARMS, "experiment: {arms: {a: 0.5, b: 0.5}}", "the arms 'a' and 'b' do the same"),
    "limit that is never reached": (LIMITS, "limits: [{channel: email, at_most: 3, per: day}, {at_most: 2, per: 7d}]",
                                    "this limit is never reached: the one in line 36 is at least as strict"),
    "limit within another": (LIMITS, "limits: [{at_most: 2, per: 24h}, {action: remind, at_most: 2, per: 1h}]", "never reached"),
    "step after a session": (HELP, "    value: 4\n    steps: [{after: 30m, channel: email}]\n    expires_after: session_end", "the session has mostly ended by this step"),
    "no value beside one that has": (HELP, "    steps: [{after: 30m, channel: email}]\n    expires_after: 1h\n  call:\n    when: {signal: abandonment}\n    channel: callback\n    value: 1\n    expires_after: 1d",
                                     "action 'help' has no `value`: it gives way to every other on its channels, as 'call'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNINGS)
def test_what_may_be_meant_is_a_warning(name: str) -> None:
    old, new, message = WARNINGS[name]
    assert HEAD.count(old) == 1
    (warning,) = load_texts([("d.yaml", HEAD.replace(old, new).replace("paused: [help]\n", ""))]).warnings
    assert message in warning


@pytest.mark.parametrize(
    "limits",
    [
        "[{channel: email, at_most: 1, per: day}, {at_most: 3, per: 7d}]",
        "[{channel: email, at_most: 1, per: day}, {channel: push, at_most: 1, per: 7d}]",
        "[{at_most: 2, per: 12h}, {at_most: 2, per: day}]",  # the window may lie across midnight
        "[{at_most: 2, per: day}, {at_most: 2, per: 24h}]",  # a day may have 25 hours
        "[{at_most: 1, per: day, purpose: service}, {at_most: 1, per: week}]",
        "[{action: remind, at_most: 1, per: day}, {action: help, at_most: 1, per: 7d}]",
        "[{channel: sms, at_most: 0, per: day}]",
    ],
)
def test_limits_that_each_close_something(limits: str) -> None:
    assert load_texts([("d.yaml", HEAD.replace(LIMITS, f"limits: {limits}"))]).warnings == ()


OTHER = """\
  other:
    purpose: marketing
    when: {signal: abandonment}
    channel: email
    value: 1
    experiment: {name: remind, arms: {control: 0.5, late: {share: 0.5, content: {key: x}}}}
    expires_after: 1d
"""


def test_one_experiment_over_several_actions_has_the_same_arms_and_salt() -> None:
    text = HEAD.replace("actions:\n", "actions:\n" + OTHER)
    first, _, second = load_texts([("d.yaml", text)]).actions
    assert first.experiment is not None
    assert second.experiment is not None
    assert (first.experiment.name, first.experiment.salt) == (second.experiment.name, second.experiment.salt)
    for old, new, message in (
        ("late: {share: 0.5, content", "late: {share: 0.4, content", "experiment 'remind' has other arms in line 18"),
        (
            "{name: remind, arms",
            "{name: remind, salt: x, arms",
            "experiment 'remind' has the salts 'x' and 'experiment/remind'",
        ),
    ):
        with pytest.raises(DefinitionFaults) as caught:
            load_texts([("d.yaml", text.replace(old, new))])
        (fault,) = caught.value.faults
        assert (fault.line, message in str(fault)) == (35, True), str(fault)


def test_parts_of_the_policy_in_several_files_must_agree() -> None:
    policy = "version: 1\ncontact_policy: {%s}\n"
    two = [("a", HEAD), ("b", policy % "suppression: {after: 3, within: 30d, for: 60d}")]
    assert load_texts(two).contact_policy == load_texts(two[:1]).contact_policy
    with pytest.raises(DefinitionFaults) as caught:
        load_texts(
            [("a", HEAD), ("b", policy % "suppression: {after: 2, within: 30d, for: 60d}, holdout: {share: 0.06}")]
        )
    assert [str(fault).partition(" (")[0] for fault in caught.value.faults] == [
        "b:2:18: another file sets 'suppression' to something else",
        "b:2:66: another file sets 'holdout' to something else",
    ]
    with pytest.raises(DefinitionFaults, match="b:2:15: another file sets 'explore' to something else"):
        load_texts([("a", HEAD), ("b", "version: 1\narbitration: {explore: 0.2}\n")])


ODD = (
    "[]", "{}", "[[]]", "{a: {}}", "''", "true", "-1", "0", "1e999", ".nan", "1e-300", "99999999999999999999", "x",
    "'24:00'", "500ms", "3660d", "[x, x]", "{share: 0.5}", "open", "at most 5 an hour", "2026-01-01", "null",
)  # fmt: skip
VALUE = re.compile(r"(?<=: )[^\s,{}\[\]]+|(?<=: )\{[^{}]*\}|(?<=: )\[[^\[\]]*\]")
PLACES = [found.span() for found in VALUE.finditer(HEAD) if found.start() > len("version: 1")]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(PLACES) - 1), st.sampled_from(ODD)), min_size=1, max_size=3))
def test_odd_values_anywhere_are_a_definition_or_faults(changes: list[tuple[int, str]]) -> None:
    text, end = HEAD, len(HEAD)
    for n, odd in sorted(changes, reverse=True):
        start, stop = PLACES[n]
        if stop <= end:
            text, end = text[:start] + odd + text[stop:], start
    faults: list[Fault] = []
    limits: tuple[Limit, ...] = ()
    try:
        limits = load_texts([("d.yaml", text)]).contact_policy.limits
    except DefinitionFaults as error:
        faults = error.faults
    lines = text.count("\n") + 1
    assert all(1 <= fault.line <= lines and fault.column >= 1 for fault in faults)
    assert all(limit.at_most >= 0 and (limit.days > 0) != (limit.within_ms > 0) for limit in limits)
