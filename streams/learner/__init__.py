"""Learning from labels that have matured: pipelines, their evaluation, snapshots of models. Pure, like the engine."""
