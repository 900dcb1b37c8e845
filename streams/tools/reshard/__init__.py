"""Another number of partitions: a deployment moves to topics of the next partitioning, with all that its state knows.

``survey`` reads how far it has come, ``merge`` says what becomes of what belongs to a partition and not to a customer
(pure), ``steps`` has the steps up to the fence, ``copy`` the state's way, ``verify`` holds the copy against its source.
Each step may be repeated; each refuses to run before its turn.
"""
