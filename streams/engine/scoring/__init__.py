"""Scoring: features of a customer, scores of risks, labels that mature, expected value."""
