"""What is loaded: the shipped definitions, the reference example, several files, hostile text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.definitions import channels
from streams.definitions.load import DefinitionFaults, load_files, load_texts, shipped
from streams.definitions.model import DAY_MS, Absence, Count, Definition, EventRef, Preset, Sequence, Stalled, When
from streams.definitions.policy import Capacity, ContactPolicy, Holdout, Hours, Limit, PauseMarketing, QuietHours
from streams.definitions.satisfaction import Satisfaction
from streams.definitions.table import duration_ms

SHOP, VISIT, SERVICE = shipped("shop"), shipped("visit"), shipped("service")
SMALL = """\
version: 1
journeys:
  buy:
    type: purchase
    goal: Order Completed
    stages: {look: {on: Product Viewed}}
"""


def refused(*sources: tuple[str, str]) -> list[str]:
    with pytest.raises(DefinitionFaults) as caught:
        load_texts(sources)
    return [str(fault) for fault in caught.value.faults]


def one(items: tuple[object, ...], name: str) -> object:
    return next(item for item in items if getattr(item, "name", None) == name)


@pytest.mark.parametrize(
    "paths",
    [[SHOP], [SERVICE], [SHOP, SERVICE], [SERVICE, SHOP], [SHOP, VISIT], [VISIT, SERVICE, SHOP]],
)
def test_shipped_definitions_have_neither_fault_nor_warning(paths: list[Path]) -> None:
    assert load_files(paths).warnings == ()


def test_shop() -> None:
    shop = load_files([SHOP], number=7)
    assert shop.number == 7
    assert shop.aliases == {"add_to_basket": "Product Added"}
    assert [journey.name for journey in shop.journeys] == ["purchase", "onboarding", "renewal"]
    purchase = shop.journeys[0]
    assert purchase.goal.within_ms == 14 * 86_400_000
    assert [stage.name for stage in purchase.stages] == ["browsing", "cart", "checkout", "payment"]
    # Deadlines come in the order of the stages, whatever their order in the file.
    assert [(d.stage, d.after_ms) for d in purchase.abandonment] == [
        ("browsing", 1_800_000), ("cart", 1_800_000), ("checkout", 3_600_000), ("payment", 1_200_000),
    ]  # fmt: skip
    assert purchase.abandonment[1].once_per == "cart contents"
    rules = {friction.name: friction for friction in purchase.friction}
    assert rules["rage_click/posthog"].rule == Preset("rage_click/posthog")
    assert rules["rage_click/posthog"].cool_down_ms == 60_000
    assert rules["payment_failed_twice"].rule == Count((EventRef("Payment Failed"),), 2, 600_000)
    assert rules["payment_failed_twice"].cool_down_ms == 0
    assert rules["not_shipped"].rule == Absence(
        (EventRef("Order Shipped"),), 172_800_000, (EventRef("Order Completed"),)
    )
    assert rules["undecided"].rule == Stalled("checkout", 600_000, 15)
    renewal = shop.journeys[2]
    assert renewal.abandonment[0].before is not None
    assert renewal.abandonment[0].before.text == "traits.renewal_due_at"
    assert renewal.abandonment[0].by_ms == 7 * 86_400_000
    payment_help = shop.actions[0]
    assert (payment_help.name, payment_help.expires_after_ms) == ("payment_help", 7_200_000)
    assert payment_help.channels == ("in_app", "web")
    assert shop.channels == channels.CHANNELS
    churn, no_renewal = shop.risks
    assert (churn.name, churn.comes_true, churn.on) == ("churn", "without", (EventRef("Order Completed"),))
    assert churn.features[-1] == "app_share"
    assert no_renewal.until is not None
    offer = next(action for action in shop.actions if action.name == "retention_offer")
    assert offer.when == (When("churn_risk", name=("churn",), band=("high",)),)


def test_the_shipped_policy_is_one_of_both_files() -> None:
    both = load_files([SERVICE, SHOP])
    policy = both.contact_policy
    assert policy.quiet_hours == (QuietHours(Hours(21 * 60, 8 * 60), ("email", "push", "sms", "call")),)
    assert [pause.open_contact for pause in policy.pauses] == [True, False]
    assert len(policy.limits) == 3
    assert policy.holdout == Holdout(0.05, "shop-2026")
    callback = both.channels["callback"]
    assert (callback.timezone, callback.capacity) == ("Europe/London", Capacity(60, 3_600_000))
    assert load_files([SERVICE]).channels["callback"].timezone == "UTC"


def test_service() -> None:
    service = load_files([SERVICE])
    support = service.journeys[0]
    assert support.instance_by == "case_id"
    rules = {friction.name: friction.rule for friction in support.friction}
    repeat = rules["repeat_contact"]
    assert isinstance(repeat, Count)
    assert (repeat.same, repeat.different) == (("topic",), ("channel",))
    failed = rules["self_service_failed"]
    assert failed == Sequence((EventRef("Help Searched"), EventRef("Contact Started")), 3_600_000, across_customer=True)
    assert service.satisfaction.words["angry"] == -1
    follow = next(action for action in service.actions if action.name == "follow_detractor")
    assert follow.cancel_on == (EventRef("Survey Answered"),)
    (complaint,) = service.risks
    assert (complaint.comes_true, [ref.event for ref in complaint.on]) == ("with", ["Case Reopened", "Survey Answered"])


def test_online_retail_is_scored_by_the_protocol_of_its_data() -> None:
    """No purchase in the 90 days after the score; weekly, at the same instants; customers active in the last 90."""
    (churn,) = load_files([SHOP.parent / "data" / "online_retail.journey.yaml"]).risks
    assert (churn.comes_true, churn.on, churn.horizon_ms) == ("without", (EventRef("Order Completed"),), 90 * DAY_MS)
    assert (churn.every_ms, churn.spread, churn.active_within_ms) == (7 * DAY_MS, False, 90 * DAY_MS)


def test_reference_example(reference: str) -> None:
    """All of it is read; as it declares no risk, one is taken for it, with a warning."""
    assumed = load_texts([("purchase.journey.yaml", reference)])
    assert assumed.warnings == (
        "purchase.journey.yaml:85:20: no risk is declared: 'churn' is taken to be {without: [Order Completed], "
        "horizon: 90d} (declare it under `risks:`)",
    )
    risks = "risks: {churn: {without: Order Completed, horizon: 90d}}\n"
    loaded = load_texts([("purchase.journey.yaml", reference + risks)])
    assert loaded.warnings == ()
    assert (loaded.risks, loaded.actions) == (assumed.risks, assumed.actions)
    assert [action.name for action in loaded.actions] == [
        "payment_help", "cart_reminder", "thank_promoter", "retention_offer",
    ]  # fmt: skip
    assert loaded.actions[3].when == (When("churn_risk", band=("high",)),)
    assert (loaded.actions[1].cost, loaded.actions[3].rollout) == (0.02, 0.25)
    assert loaded.contact_policy == ContactPolicy(
        quiet_hours=(QuietHours(Hours(21 * 60, 8 * 60), ("email", "push", "sms", "call")),),
        limits=(
            Limit(1, days=1, channel="email"),
            Limit(2, within_ms=7 * DAY_MS, channel="email"),
            Limit(3, within_ms=7 * DAY_MS),
        ),
        holdout=Holdout(0.05, "winter-2026"),
        pauses=(
            PauseMarketing(open_contact=True),
            PauseMarketing(when=When("satisfaction", name=("detractor",)), for_ms=14 * DAY_MS),
        ),
    )


@pytest.fixture
def reference() -> str:
    return (Path(__file__).parent / "purchase.journey.yaml").read_text()


def test_aliases_are_translated_wherever_an_event_is_named() -> None:
    text = SMALL.replace("Product Viewed", "seen").replace("goal: Order Completed", "goal: {event: bought}")
    text += "events: {seen: Product Viewed, bought: Order Completed}\n"
    journey = load_texts([("d", text)]).journeys[0]
    assert journey.stages[0].on == (EventRef("Product Viewed"),)
    assert journey.goal.on == (EventRef("Order Completed"),)


def test_where_may_stand_at_the_event_or_beside_it() -> None:
    beside = SMALL.replace("Order Completed", "{event: Order Completed, where: event.value > 5}")
    at = SMALL.replace("Order Completed", "{event: {event: Order Completed, where: event.value > 5}}")
    first, second = (load_texts([("d", text)]).journeys[0].goal for text in (beside, at))
    assert first == second
    assert first.on[0].where is not None
    assert first.on[0].where.test({"event.value": 6.0}.__getitem__)


def test_equal_text_gives_an_equal_definition() -> None:
    def loaded() -> Definition:
        return load_files([SHOP, SERVICE])

    assert loaded() == loaded()
    assert loaded().digest == load_texts([("x", SHOP.read_text()), ("y", SERVICE.read_text())]).digest
    assert loaded().digest != load_files([SERVICE, SHOP]).digest


def test_names_must_be_unique_over_all_files() -> None:
    (fault,) = refused(("a", SMALL), ("b", SMALL))
    assert fault == "b:3:3: journey 'buy' is defined twice (first in a:3)"


def test_settings_of_several_files_must_agree() -> None:
    gap = "version: 1\ntime: {session_gap: %s}\n"
    assert load_texts([("a", gap % "10m"), ("b", gap % "600s"), ("c", SMALL)]).time.session_gap_ms == 600_000
    (fault,) = refused(("a", gap % "10m"), ("b", gap % "20m"))
    assert fault.startswith("b:2:21: another file sets this to something else")
    (fault,) = refused(("a", "version: 1\nevents: {x: page}\n"), ("b", "version: 1\nevents: {x: screen}\n"))
    assert "another standard name in another file" in fault


def test_segments_come_in_the_order_of_their_dependence() -> None:
    text = """version: 1
segments:
  c: {where: "'b' in segments"}
  b: {where: "'a' in segments && orders > 1"}
  a: {where: "orders > 0"}
"""
    assert [segment.name for segment in load_texts([("d", text)]).segments] == ["a", "b", "c"]
    (fault,) = refused(("d", text.replace("orders > 0", "'c' in segments")))
    assert "segments depend on each other: c, b, a" in fault


def test_channels_may_be_added_and_changed() -> None:
    text = "version: 1\nchannels: {email: {opt_in: false}, kiosk: {in_session: true, opt_in: false}}\n"
    found = load_texts([("d", text)]).channels
    assert (found["email"].identifier, found["email"].opt_in) == ("email", False)
    assert found["kiosk"].in_session
    assert channels.CHANNELS["email"].opt_in


def test_anchors_may_repeat_a_value() -> None:
    text = SMALL.replace("look: {on: Product Viewed}", "look: {on: &seen [Product Viewed]}") + (
        "    friction: [{name: again, count: {event: *seen, at_least: 3, within: 1m}}]\n"
    )
    rule = load_texts([("d", text)]).journeys[0].friction[0].rule
    assert isinstance(rule, Count)
    assert rule.on == (EventRef("Product Viewed"),)


def test_billion_laughs() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    (fault,) = refused(("d", laughs))
    assert "more than 20000 values once its aliases are followed" in fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]\n", "d:1:8: *a refers to what it stands in"),
        ("[" * 5_000, "d:1:17: nested deeper than 16 levels"),
        ("a: " * 2, "d:1:5: not YAML"),
        ("", "d:1:1: the file is empty"),
        ("# nothing\n", "d:1:1: the file is empty"),
        ("- 1\n", "d:1:1: the definition is a map of keys, not a list"),
        ("x" * 300_000, "d:1:1: the file is larger than 256 KiB"),
    ],
)
def test_hostile_text(text: str, message: str) -> None:
    assert refused(("d", text))[0].startswith(message)


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(DefinitionFaults) as caught:
        load_files([tmp_path / "gone.yaml", latin, tmp_path])
    messages = [str(fault).removeprefix(f"{tmp_path}") for fault in caught.value.faults]
    assert "/gone.yaml:1:1: cannot be read: No such file or directory" in messages
    assert "/latin.yaml:2:1: the file is not UTF-8 (save it as UTF-8)" in messages
    with pytest.raises(DefinitionFaults, match="no definition is given"):
        load_files([])


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.text(alphabet="ab:- {}[]&*!|>'\"#\n,?1", max_size=80)))
def test_any_text_is_a_definition_or_faults(text: str) -> None:
    try:
        journeys, faults = len(load_texts([("d", text)]).journeys), 0
    except DefinitionFaults as error:
        journeys, faults = 0, len(error.faults)
    # No text so short is a definition with a journey.
    assert journeys == 0
    assert faults or "version" in text


def _lines() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 200), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(drop=_lines(), swap=_lines(), cut=st.integers(0, 30))
def test_a_damaged_definition_is_a_definition_or_faults(drop: list[int], swap: list[int], cut: int) -> None:
    lines = SHOP.read_text().splitlines()
    for at in swap:
        other = (at * 7) % len(lines)
        lines[at % len(lines)], lines[other] = lines[other], lines[at % len(lines)]
    for at in drop:
        lines[at % len(lines)] = lines[at % len(lines)][cut:]
    faults = []
    try:
        load_texts([("d", "\n".join(lines))])
    except DefinitionFaults as error:
        faults = error.faults
    assert all(1 <= fault.line <= len(lines) + 1 and fault.column >= 1 for fault in faults)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1ms", 1), ("30s", 30_000), ("20m", 1_200_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000), ("2d", 172_800_000),
     ("1w", 604_800_000), ("0.5ms", None), ("1", None), ("m", None), ("1 h", None), ("-1h", None), ("1y", None)],
)  # fmt: skip
def test_durations(text: str, ms: int | None) -> None:
    assert duration_ms(text) == ms


def test_csat_has_one_formula_over_all_files() -> None:
    files = [
        ("a.yaml", "version: 1\nsatisfaction: {csat: mean}\n"),
        ("b.yaml", "version: 1\nsatisfaction: {fall: 0.4}\n"),
    ]
    for one in (files, files[::-1]):
        assert load_texts(one).satisfaction == Satisfaction(0.4, {}, "mean")
    assert load_texts(files[1:]).satisfaction.csat == "top_2_box"
    with pytest.raises(DefinitionFaults, match="another file sets 'csat' to something else"):
        load_texts([files[0], ("c.yaml", "version: 1\nsatisfaction: {csat: top_2_box}\n")])
    with pytest.raises(DefinitionFaults, match="'csat' cannot be 'top2'"):
        load_texts([("c.yaml", "version: 1\nsatisfaction: {csat: top2}\n")])
