"""Why something was done, or not: decisions told in plain words."""
