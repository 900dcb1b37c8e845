"""What a customer's hands do on a page: ordinary clicks with reactions and, rarely, the bursts that presets look for.

Bounds come from the presets: rage (three clicks under 1 s and 30 px apart), dead click (no reaction within 3 s), error
click (an error within 2 s), page loop (the same URL three times in 15 s), thrashed cursor (20 turns in 2 s), slow page
(largest contentful paint over 4 s). Each burst shows one fault only: what must not look like another gets a reaction.
"""

from __future__ import annotations

from typing import Any

from streams.contracts.touchpoint import Touchpoint
from streams.tools.simulator import catalogue
from streams.tools.simulator.customer import Customer, Steps

SITE = "https://shop.example"
DEAD_AFTER_MS = 3_000


def view(c: Customer, path: str) -> None:
    c.say("page", {"path": path, "url": f"{SITE}{path}"})


def click(c: Customer, path: str, x: int, y: int, target: str) -> Touchpoint:
    return c.say(
        "Element Clicked",
        {"x": x, "y": y, "target": target, "target_kind": "button", "page_url": f"{SITE}{path}"},
    )


def step(c: Customer, path: str) -> Steps:
    """An ordinary step on a page whose clicks are recorded, or one of the bursts, each at most once a visit."""
    h, rng = c.world.habits, c.rng
    draw = rng.random()
    for share, burst in (
        (h.rage_click, rage),
        (h.dead_click, dead),
        (h.error_click, error),
        (h.page_loop, loop),
        (h.thrashed_cursor, thrash),
    ):
        if draw < share:
            if burst.__name__ not in c.bursts:
                c.bursts.add(burst.__name__)
                yield from burst(c, path)
            return
        draw -= share
    if draw < 0.35:
        click(c, path, rng.randrange(20, 1400), rng.randrange(60, 800), rng.choice(catalogue.BUTTONS))
        yield c.world.pace.reaction_ms
        c.say("Page Reacted", {"page_url": f"{SITE}{path}"})
    elif draw < 0.45:
        c.say("Page Scrolled", {"depth": rng.randrange(10, 100), "page_url": f"{SITE}{path}"})
    elif draw < 0.5:
        c.say("Cursor Moved", {"direction_changes": rng.randrange(1, 9), "duration_ms": c.world.pace.thrash_ms})


def load(c: Customer, path: str, *, may_be_slow: bool) -> bool:
    """Measures how long the page took; True if it was slow."""
    slow = may_be_slow and c.chance(c.world.habits.slow_page)
    value = c.rng.randrange(4_200, 9_000) if slow else c.rng.randrange(700, 2_400)
    t = c.say("Web Vital Measured", {"name": "LCP", "value_ms": value, "path": path})
    if slow:
        c.hit("slow_page", "purchase", t)
    return slow


def rage(c: Customer, path: str) -> Steps:
    pace, rng = c.world.pace, c.rng
    x, y, target = rng.randrange(100, 1200), rng.randrange(100, 700), rng.choice(catalogue.BUTTONS)
    for n in range(rng.choice((3, 4, 5))):
        if n:
            yield pace.click_gap_ms + rng.randrange(pace.click_gap_ms)
        t = click(c, path, x + rng.randrange(6), y + rng.randrange(6), target)
        if n == 2:
            c.hit("rage_click/posthog", "purchase", t)
    yield pace.reaction_ms
    c.say("Page Reacted", {"page_url": f"{SITE}{path}"})


def dead(c: Customer, path: str) -> Steps:
    rng = c.rng
    t = click(c, path, rng.randrange(100, 1200), rng.randrange(100, 700), rng.choice(catalogue.BUTTONS))
    c.hit("dead_click/amplitude", "purchase", t, c.world.now + DEAD_AFTER_MS)
    yield c.world.pace.dead_wait_ms + rng.randrange(c.world.pace.dead_wait_ms)


def error(c: Customer, path: str) -> Steps:
    pace, rng = c.world.pace, c.rng
    click(c, path, rng.randrange(100, 1200), rng.randrange(100, 700), rng.choice(catalogue.BUTTONS))
    yield pace.reaction_ms
    c.say("Page Reacted", {"page_url": f"{SITE}{path}"})
    yield pace.reaction_ms
    t = c.say("Error Shown", {"message": "Something went wrong", "page_url": f"{SITE}{path}"})
    c.hit("error_click/amplitude", "purchase", t)


def loop(c: Customer, path: str) -> Steps:
    pace, there = c.world.pace, f"/compare/{c.numbered}"
    back: dict[str, Any] = {"path": path, "url": f"{SITE}{path}#back-{c.numbered}"}
    for n in range(5):
        if n:
            yield pace.loop_gap_ms + c.rng.randrange(pace.loop_gap_ms // 4)
        if n % 2:
            view(c, there)
        else:
            t = c.say("page", dict(back))
            if n == 4:
                c.hit("page_loop/conviva", "purchase", t)


def thrash(c: Customer, path: str) -> Steps:
    t = c.say(
        "Cursor Moved",
        {
            "direction_changes": c.rng.randrange(20, 45),
            "duration_ms": c.world.pace.thrash_ms,
            "page_url": f"{SITE}{path}",
        },
    )
    c.hit("thrashed_cursor/amplitude", "purchase", t)
    yield c.world.pace.reaction_ms
