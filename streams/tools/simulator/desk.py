"""Customers who need help: the help pages, the contacts over chat, call and e-mail, the surveys and what follows them.

Owns one case from the first search to the answer of the last survey. Agents' touchpoints carry the contact and the
case.
"""

from __future__ import annotations

from typing import Final

from streams.contracts.touchpoint import AGENT, COMPANY
from streams.tools.simulator import catalogue
from streams.tools.simulator.customer import Contact, Customer, Steps

CHANNELS: Final = ("chat", "call", "email")
MOST_CONTACTS: Final = 4
SUPPORT: Final = "support"


class Case:
    """What is remembered about one case while it lasts."""

    __slots__ = ("id", "mood", "reopened_at", "solved", "topic", "transfers", "waited_at")

    def __init__(self, case_id: str, topic: str) -> None:
        self.id = case_id
        self.topic = topic
        self.mood = 0.6
        """From 1 (all well) down to -1; every trouble lowers it."""
        self.solved = False
        self.transfers: list[int] = []
        self.waited_at: int | None = None
        self.reopened_at: int | None = None


def ask(c: Customer, topic: str) -> Steps:
    """Looks for help, contacts the desk where that does not help, comes back where that does not help either."""
    habits, pace = c.world.habits, c.world.pace
    c.channel = "web"
    c.visitor = c.known
    if not c.identified:
        c.identify()
        yield c.pause(pace.think_ms, pace.think_most_ms)
    case = Case(f"case-{c.prefix}{c.numbered}", topic)
    if c.chance(habits.searches_first):
        with_case = c.chance(habits.help_has_case)
        yield from _search(c, case, with_case)
        if c.chance(habits.answered_by_article):
            if with_case and c.chance(habits.says_solved):
                c.say("Case Resolved", {"by": "article"}, case_id=case.id, topic=topic)
            return
    channel = c.rng.choice(CHANNELS)
    for n in range(MOST_CONTACTS):
        if n:
            yield c.about(pace.come_back_ms)
            if c.chance(habits.other_contact_channel):
                channel = c.rng.choice([other for other in CHANNELS if other != channel])
        yield from contact(c, case, channel)
        if case.solved and c.chance(habits.reopened):
            case.solved = False
            case.mood -= 0.5
            yield c.about(pace.come_back_ms)
            t = c.told("Case Reopened", None, channel="web", case_id=case.id, topic=topic)
            if case.reopened_at is None or c.world.now - case.reopened_at > pace.case_reopened_ms:
                c.hit("case_reopened", SUPPORT, t, instance=case.id)
            case.reopened_at = c.world.now
            continue
        if case.solved or not c.chance(habits.comes_back):
            break
    if case.solved and c.chance(habits.surveyed):
        c.world.spawn(survey(c, case.id, c.rng.choice(("nps", "nps", "csat", "ces")), case.mood))


def _search(c: Customer, case: Case, with_case: bool) -> Steps:
    pace = c.world.pace
    case_id = case.id if with_case else None
    for n in range(c.rng.choice((1, 1, 2))):
        if n:
            yield c.pause(pace.read_help_ms, pace.think_most_ms)
        c.searched_at = c.world.now
        c.say("Help Searched", {"query": case.topic}, case_id=case_id, intent=catalogue.INTENTS[case.topic])
        yield c.pause(pace.think_ms, pace.think_most_ms)
        c.say("Article Viewed", {"article": f"{case.topic}-{c.rng.randrange(1, 9)}"}, case_id=case_id)
    yield c.pause(pace.read_help_ms, pace.think_most_ms)


def contact(c: Customer, case: Case, channel: str) -> Steps:
    """One contact with the desk; leaves in ``case`` whether it was solved and what it did to the mood."""
    pace = c.world.pace
    c.channel = channel
    contact_id = f"k-{c.prefix}{c.numbered}"
    _note_contact(c, case, channel, contact_id)
    if channel == "email":
        yield from _mails(c, case, contact_id)
    else:
        yield c.about(pace.reaction_ms)
        c.told("Queued", channel=channel, case_id=case.id, contact_id=contact_id, queue=case.topic)
        waits, patience = c.pause(pace.queue_wait_ms, 10 * pace.queue_wait_ms), c.about(pace.patience_ms)
        if waits > patience:
            yield patience
            case.mood -= 0.6
            _end(c, case, contact_id, "hung up", waited=patience)
            return
        yield waits
        _answer(c, case, contact_id, waits)
        yield from _talk(c, case, contact_id)
    if case.solved:
        c.told(
            "Case Resolved",
            AGENT,
            channel=channel,
            case_id=case.id,
            contact_id=contact_id,
            topic=case.topic,
            agent_id=c.rng.choice(catalogue.AGENTS),
        )
        yield c.about(pace.reaction_ms)
    _end(c, case, contact_id, "solved" if case.solved else "not solved")


def _note_contact(c: Customer, case: Case, channel: str, contact_id: str) -> None:
    pace, now = c.world.pace, c.world.now
    t = c.say(
        "Contact Started",
        case_id=case.id,
        contact_id=contact_id,
        topic=case.topic,
        direction="inbound",
        intent=catalogue.INTENTS[case.topic],
    )
    if c.searched_at is not None and now - c.searched_at <= pace.self_service_failed_ms:
        c.hit("self_service_failed", SUPPORT, t, instance=case.id)
        case.mood -= 0.1
    c.searched_at = None
    c.contacts = [k for k in c.contacts if now - k.time <= pace.repeat_contact_ms]
    before = {k.channel for k in c.contacts if k.topic == case.topic}
    c.contacts.append(Contact(now, case.topic, channel))
    if len(before) == 1 and channel not in before:
        c.hit("repeat_contact", SUPPORT, t, instance=case.id)
        case.mood -= 0.3


def _answer(c: Customer, case: Case, contact_id: str, waited: int) -> None:
    pace, now = c.world.pace, c.world.now
    t = c.told(
        "Answered",
        AGENT,
        channel=c.channel,
        case_id=case.id,
        contact_id=contact_id,
        topic=case.topic,
        agent_id=c.rng.choice(catalogue.AGENTS),
        team=c.rng.choice(catalogue.TEAMS),
        wait_ms=round(waited * pace.scale),
    )
    if waited > pace.long_wait_ms:
        if case.waited_at is None or now - case.waited_at > pace.long_wait_within_ms:
            c.hit("long_wait", SUPPORT, t, instance=case.id)
        case.waited_at = now
        case.mood -= 0.3


def _talk(c: Customer, case: Case, contact_id: str) -> Steps:
    pace, habits = c.world.pace, c.world.habits
    for passed_on in (habits.transferred, habits.transferred_again, 0.0):
        for _ in range(c.rng.randrange(1, 4)):
            yield c.pause(pace.speak_ms, pace.speak_most_ms)
            if c.channel == "chat":
                _write(c, case, contact_id)
                yield c.pause(pace.speak_ms, pace.speak_most_ms)
                _reply(c, case, contact_id)
        if not c.chance(passed_on):
            break
        now = c.world.now
        t = c.told("Transferred", AGENT, channel=c.channel, case_id=case.id, contact_id=contact_id, topic=case.topic)
        before = sum(now - at <= pace.passed_around_ms for at in case.transfers)
        case.transfers.append(now)
        case.mood -= 0.3
        if before == 1:
            c.hit("passed_around", SUPPORT, t, instance=case.id)
        waits = c.pause(pace.queue_wait_ms // 3, pace.queue_wait_ms)
        yield waits
        _answer(c, case, contact_id, waits)
    if c.chance(habits.back_office):
        yield c.about(pace.back_office_ms)
        _reply(c, case, contact_id)
        case.mood -= 0.3
    case.solved = c.chance(habits.solved)
    yield c.pause(pace.speak_ms, pace.speak_most_ms)


def _mails(c: Customer, case: Case, contact_id: str) -> Steps:
    pace = c.world.pace
    for _ in range(c.rng.choice((1, 1, 2))):
        yield c.pause(pace.speak_ms, pace.speak_most_ms)
        _write(c, case, contact_id)
        wait = c.pause(pace.mail_reply_ms, 5 * pace.mail_reply_ms)
        if wait > pace.no_reply_ms:
            yield pace.no_reply_ms
            c.hit("no_reply", SUPPORT, None, instance=case.id)
            case.mood -= 0.3
            wait -= pace.no_reply_ms
        yield wait
        _reply(c, case, contact_id)
    case.solved = c.chance(c.world.habits.solved)
    yield c.pause(pace.speak_ms, pace.speak_most_ms)


def _write(c: Customer, case: Case, contact_id: str) -> None:
    mood = max(-1.0, min(1.0, round(case.mood + 0.4 * c.rng.random() - 0.2, 2)))
    word = c.rng.choice(catalogue.GLAD_WORDS if mood > 0 else catalogue.SAD_WORDS) if c.chance(0.3) else None
    c.told(
        "Message Sent",
        None,
        channel=c.channel,
        case_id=case.id,
        contact_id=contact_id,
        topic=case.topic,
        sentiment=mood,
        emotion=word,
    )


def _reply(c: Customer, case: Case, contact_id: str) -> None:
    c.told(
        "Agent Replied",
        AGENT,
        channel=c.channel,
        case_id=case.id,
        contact_id=contact_id,
        agent_id=c.rng.choice(catalogue.AGENTS),
    )


def _end(c: Customer, case: Case, contact_id: str, how: str, waited: int | None = None) -> None:
    by = None if waited is not None else AGENT
    c.told(
        "Contact Ended",
        by,
        {"how": how},
        channel=c.channel,
        case_id=case.id,
        contact_id=contact_id,
        topic=case.topic,
        wait_ms=None if waited is None else round(waited * c.world.pace.scale),
    )


def survey(c: Customer, case_id: str, kind: str, mood: float, again: bool = False) -> Steps:
    """Asks for an opinion; who does not recommend the company is followed until a later survey."""
    pace, habits = c.world.pace, c.world.habits
    yield c.about(pace.survey_after_ms)
    c.told("Survey Sent", COMPANY, channel="email", case_id=case_id, survey=kind)
    answer = c.pause(pace.survey_answer_ms, pace.survey_unanswered_ms // 2)
    if not c.chance(habits.answers_survey):
        yield pace.survey_unanswered_ms
        if c.known.ledger is not None:
            c.known.ledger.stuck("survey_unanswered", SUPPORT, c.world.now, None, case_id)
        return
    yield answer
    score = _score(c, kind, mood)
    t = c.told("Survey Answered", None, channel="email", case_id=case_id, survey=kind, score=score)
    if kind != "nps":
        return
    if c.known.ledger is not None and (score >= 9 or score <= 6):
        c.known.ledger.felt("promoter" if score >= 9 else "detractor", t)
    if score <= 6 and not again:
        yield c.about(pace.call_back_ms)
        if c.chance(habits.called_back):
            c.told("Callback Made", AGENT, channel="call", agent_id=c.rng.choice(catalogue.AGENTS))
            mood += 0.8
        yield c.about(pace.next_survey_ms)
        c.world.spawn(survey(c, case_id, "nps", mood, again=True))


def _score(c: Customer, kind: str, mood: float) -> float:
    least, most = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}[kind]
    felt = max(0.0, min(1.0, 0.5 + mood / 2 + 0.3 * c.rng.random() - 0.1))
    return float(round(least + felt * (most - least)))
