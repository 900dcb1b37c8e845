"""The channels known without being defined: how they are reached and what consent marketing needs on them."""

from __future__ import annotations

from typing import Final

from streams.definitions.model import Channel

CHANNELS: Final[dict[str, Channel]] = {
    c.name: c
    for c in (
        Channel("email", identifier="email"),
        Channel("sms", identifier="phone"),
        Channel("whatsapp", identifier="phone"),
        Channel("call", identifier="phone"),
        Channel("push", identifier="push_token"),
        Channel("post", identifier="address", opt_in=False),
        Channel("in_app", in_session=True, opt_in=False),
        Channel("web", in_session=True, opt_in=False),
        Channel("mobile_app", in_session=True, opt_in=False),
        Channel("chat", in_session=True, opt_in=False),
        Channel("callback", identifier="phone", opt_in=False),
        Channel("store", opt_in=False),
        Channel("agent", opt_in=False),
    )
}
