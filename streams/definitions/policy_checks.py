"""Checks of how actions are chosen that need all of them: who is divided by which hash, who always gives way.

Owns nothing else; checks of one section are where it is read.
"""

from __future__ import annotations

from streams.definitions.draft import Division, Draft


def check_policy(draft: Draft) -> None:
    _check_divisions(draft)
    _check_values(draft)


def _check_divisions(draft: Draft) -> None:
    by_salt: dict[str, Division] = {}
    by_name: dict[str, Division] = {}
    for division in draft.divisions:
        place, what, salt = division.place, division.what, division.salt
        named = by_name.setdefault(division.name, division)
        if named is not division:
            if division.name == what:
                continue  # the same holdout in two files, which must agree
            # One experiment over several actions.
            if named.salt != salt:
                message = f"{what} has the salts {named.salt!r} and {salt!r}"
                draft.report.fault(place, message, "one experiment over several actions has one salt")
            elif named.shares != division.shares:
                message = f"{what} has other arms in line {named.place.line}"
                hint = "one experiment over several actions has the same arms and shares, in the same order"
                draft.report.fault(place, message, hint)
            continue
        first = by_salt.setdefault(salt, division)
        if first is not division:
            message = f"{what} has the salt of {first.what}, {salt!r}: both divide customers alike"
            draft.report.fault(place, message, "give it a salt of its own, or leave it out")


def _check_values(draft: Draft) -> None:
    """Warns of an action without a value beside others that have one: it is chosen only where there is no other."""
    for name, action in draft.actions.items():
        table = draft.action_tables.get(name)
        if table is None or "value" in table or "cost" in table:
            continue
        rivals = [
            other.name
            for other in draft.actions.values()
            if other.value != 0.0 and not other.paused and set(other.channels) & set(action.channels)
        ]
        if rivals:
            message = f"{table.what} has no `value`: it gives way to every other on its channels, as {rivals[0]!r}"
            draft.report.warn(table.key_place("channel"), message, "give it a `value`")
