"""Replay: the engine over a file, or over the log and journal of a running deployment, and what came of it.

``mapping`` and ``rows`` turn CSV into touchpoints, ``lines`` JSON lines; ``sources`` opens and merges files;
``run`` feeds the engine, ``write`` writes JSON lines, ``summary`` counts; ``log`` reads Kafka, ``kafka`` replays it
and ``compare`` holds a replay against what was live.
"""
