"""What became of a message, told by the name of the event: Segment's e-mail and push names as outcomes.

Owns the table; the codec fills ``outcome`` from it where a producer left it null.
"""

from __future__ import annotations

from typing import Final

OUTCOME_OF: Final[dict[str, str]] = {
    # Segment's e-mail specification
    "Email Sent": "sent",
    "Email Delivered": "delivered",
    "Email Opened": "opened",
    "Email Link Clicked": "clicked",
    "Email Bounced": "bounced",
    "Email Marked as Spam": "unsubscribed",
    "Unsubscribed": "unsubscribed",
    # Segment's mobile specification
    "Push Notification Received": "delivered",
    "Push Notification Tapped": "clicked",
    "Push Notification Bounced": "bounced",
}
