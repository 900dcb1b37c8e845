"""What `journey topics plan` finds, without a broker: the difference, what is refused, and rights by role."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from streams.contracts.access import ROLES, on_topics
from streams.contracts.topics import DAY_MS, Topics
from streams.tools.topics import Found
from streams.tools.topology import acls
from streams.tools.topology.acls import Grant
from streams.tools.topology.changes import TopicPlan, compare
from streams.tools.topology.wanted import Wanted, WantedError, read

TOPICS = Topics(app="shop")
PAGE = Path(__file__).parents[3] / "docs" / "operations.md"
DEFAULTS = {"retention.bytes": "-1", "min.insync.replicas": "1", "max.message.bytes": "1048588"}


def there(partitions: int = 4, replication: int = 1, days: int = 30) -> dict[str, Found]:
    """Topics as ``apply`` makes them."""
    plan = compare(TOPICS, Wanted(partitions=partitions, replication=replication, retention=f"{days}d"), {})
    return {
        spec.name: Found(plan.number(spec), replication, {**DEFAULTS, **plan.configs(spec)})
        for spec in plan.specs.values()
    }


def with_(found: dict[str, Found], topic: str, partitions: int | None = None, **settings: str) -> dict[str, Found]:
    was = found[topic]
    configs = {**was.configs, **{name.replace("_", "."): value for name, value in settings.items()}}
    number = was.partitions if partitions is None else partitions
    return {**found, topic: dataclasses.replace(was, partitions=number, configs=configs)}


def changes(plan: TopicPlan) -> list[tuple[str, str, str, str]]:
    return [(change.topic, change.setting, change.have, change.want) for change in plan.changes]


def refusals(plan: TopicPlan) -> list[tuple[str, str, str, str]]:
    return [(refusal.topic, refusal.setting, refusal.have, refusal.want) for refusal in plan.refusals]


def test_nothing_is_there_so_all_is_made() -> None:
    plan = compare(TOPICS, Wanted(partitions=12, replication=3), {})
    assert [change.topic for change in plan.changes] == [spec.name for spec in TOPICS.specs()]
    assert {change.what for change in plan.changes} == {"create"}
    assert plan.refusals == []
    text = str(plan.changes[0])
    assert text.startswith("+ journey.touchpoints.v1: 12 partition(s), 3 replica(s), cleanup.policy=delete")
    assert "min.insync.replicas=2" in text
    assert TOPICS.dead_letters_settled in {change.topic for change in plan.changes}


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(partitions=4, replication=1, retention="30d")])
def test_what_was_made_is_as_wanted(wanted: Wanted) -> None:
    plan = compare(TOPICS, wanted, there())
    assert (plan.changes, plan.refusals) == ([], [])


def test_a_missing_topic_follows_the_touchpoints_that_are_there() -> None:
    found = there(partitions=6, replication=3, days=90)
    del found[TOPICS.signals]
    (change,) = compare(TOPICS, Wanted(), found).changes
    assert (change.topic, change.what) == (TOPICS.signals, "create")
    assert change.want.startswith("6 partition(s), 3 replica(s)")
    assert f"retention.ms={90 * DAY_MS}" in change.want


def test_another_number_of_partitions_of_the_input_is_refused_alone() -> None:
    plan = compare(TOPICS, Wanted(partitions=8), there())
    assert changes(plan) == []
    (refusal,) = plan.refusals
    assert refusal.remedy == "journey reshard plan --partitions 8"


def test_outputs_get_partitions_but_lose_none_and_the_state_gets_none() -> None:
    assert changes(compare(TOPICS, Wanted(), with_(there(), TOPICS.signals, partitions=2))) == [
        (TOPICS.signals, "partitions", "2", "4")
    ]
    for topic, number in ((TOPICS.signals, 5), (TOPICS.state, 3), (TOPICS.examples, 2)):
        plan = compare(TOPICS, Wanted(), with_(there(), topic, partitions=number))
        assert changes(plan) == []
        assert [(refusal.topic, refusal.setting) for refusal in plan.refusals] == [(topic, "partitions")]


def test_a_longer_retention_is_made_and_a_shorter_one_refused() -> None:
    longer = compare(TOPICS, Wanted(retention="60d"), there())
    assert {(change.setting, change.want) for change in longer.changes} == {
        ("retention.ms", str(60 * DAY_MS)),
        ("retention.ms", str(67 * DAY_MS)),
    }
    assert longer.refusals == []
    shorter = compare(TOPICS, Wanted(retention="7d"), there())
    assert shorter.changes == []
    assert {refusal.topic for refusal in shorter.refusals} == {
        TOPICS.touchpoints, TOPICS.signals, TOPICS.triggers, TOPICS.decisions, TOPICS.examples, TOPICS.dead_letters,
    }  # fmt: skip
    assert "delete records" in shorter.refusals[0].why
    assert compare(TOPICS, Wanted(retention="forever"), there()).refusals == []


def test_a_journal_shorter_than_the_touchpoints_is_made_longer_without_being_asked() -> None:
    plan = compare(TOPICS, Wanted(), with_(there(), TOPICS.journal, retention_ms="1000"))
    assert changes(plan) == [(TOPICS.journal, "retention.ms", "1000", str(37 * DAY_MS))]


def test_cleanup_is_mended_except_where_records_would_begin_to_be_deleted() -> None:
    lossy = compare(TOPICS, Wanted(), with_(there(), TOPICS.state, cleanup_policy="compact,delete"))
    assert changes(lossy) == [(TOPICS.state, "cleanup.policy", "compact,delete", "compact")]
    kept = compare(TOPICS, Wanted(), with_(there(), TOPICS.signals, cleanup_policy="compact"))
    assert refusals(kept) == [(TOPICS.signals, "cleanup.policy", "compact", "delete")]


def test_replicas_are_refused_and_the_least_in_sync_is_set() -> None:
    plan = compare(TOPICS, Wanted(replication=3), there())
    assert {refusal.setting for refusal in plan.refusals} == {"replicas"}
    assert {(change.setting, change.have, change.want) for change in plan.changes} == {
        ("min.insync.replicas", "1", "2")
    }
    assert compare(TOPICS, Wanted(), there(replication=3)).changes == []


def test_larger_touchpoints_make_larger_dead_letters() -> None:
    plan = compare(TOPICS, Wanted(touchpoint_bytes="4MiB"), there())
    assert changes(plan) == [
        (TOPICS.touchpoints, "max.message.bytes", "1048588", str(4 << 20)),
        (TOPICS.dead_letters, "max.message.bytes", "1114124", str((4 << 20) + 65_536)),
    ]


def test_touchpoints_that_were_closed_stay_closed() -> None:
    plan = compare(TOPICS, Wanted(touchpoint_bytes="1MiB"), with_(there(), TOPICS.touchpoints, max_message_bytes="96"))
    assert plan.changes == []
    (refusal,) = plan.refusals
    assert (refusal.topic, refusal.why) == (TOPICS.touchpoints, "it was closed by journey reshard")
    assert compare(TOPICS, Wanted(), with_(there(), TOPICS.touchpoints, max_message_bytes="96")).refusals == []


def test_rights_that_are_missing_beyond_the_role_and_denied() -> None:
    wanted = Wanted(principals={"consumer": ["crm"], "producer": ["User:shop"]}, consumer_groups=["marketing"])
    needed = acls.wanted_grants(TOPICS, wanted)
    assert Grant("User:crm", "group", "marketing", "READ") in needed
    assert acls.compare(TOPICS, wanted, needed) == acls.RightsPlan()
    lost = Grant("User:shop", "topic", TOPICS.touchpoints, "WRITE")
    more = Grant("User:crm", "topic", TOPICS.triggers, "WRITE")
    denial = Grant("User:crm", "topic", TOPICS.triggers, "READ", denied=True)
    others = {Grant("User:someone", "topic", TOPICS.triggers, "WRITE"), Grant("User:crm", "topic", "billing", "READ")}
    plan = acls.compare(TOPICS, wanted, (needed - {lost}) | {more, denial} | others)
    assert plan == acls.RightsPlan([lost], [more], [denial])


def test_the_page_has_the_rights_of_every_role() -> None:
    names = Topics(app="<app>", prefix="<prefix>")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text(encoding="utf-8").splitlines()
    ]
    for role, rights in ROLES.items():
        page = [(row[1], row[2].strip("`"), tuple(re.findall("[A-Z_]+", row[3]))) for row in rows if row[0] == role]
        assert page == [(right.kind, right.name, right.operations) for right in rights(names)], role


def test_no_role_of_the_engine_may_touch_what_only_tools_use() -> None:
    for role in ("worker", "learner"):
        assert TOPICS.dead_letters_settled not in on_topics(ROLES[role](TOPICS), TOPICS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("partitions: 0", "partitions must be at least 1"),
        ("partitions: many", "Expected `int | null`, got `str` - at `$.partitions`"),
        ("partition: 4", "unknown field `partition`"),
        ("retention: 3 moons", "retention '3 moons' is not understood; write it as 12h, 30d or forever"),
        ("touchpoint_bytes: big", "touchpoint_bytes 'big' is not understood; write it as 1MiB"),
        ("replication: 1\nmin_insync_replicas: 2", "nothing would ever be acknowledged"),
        ("principals: {boss: [me]}", "at `key` in `$.principals`"),
        ("principals: {worker: ['User:']}", "principals, worker: a name is empty"),
        ("- 4", "must hold keys and values"),
        ("a: [", "is no YAML"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(text)
    with pytest.raises(WantedError) as failure:
        read(file, {})
    assert says in str(failure.value)
    assert str(file) in str(failure.value)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text("partitions: 12\nretention: 90d\nprincipals:\n  worker: [engine]\n")
    wanted = read(file, {"partitions": 6, "retention": None, "principals": {}})
    assert (wanted.partitions, wanted.retention_ms, wanted.principals) == (6, 90 * DAY_MS, {"worker": ["engine"]})
