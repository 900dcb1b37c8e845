"""The learner as a process: examples in, models out, exactly once, on the worker's machinery."""
