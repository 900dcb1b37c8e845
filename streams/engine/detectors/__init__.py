"""Detectors: what is found in the order and the times of one customer's touchpoints. Pure functions on plain lists."""
