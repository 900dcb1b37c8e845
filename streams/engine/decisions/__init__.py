"""The choice of an action: gates, contact policy, arbitration, held decisions, outcomes (docs/decisions.md)."""
