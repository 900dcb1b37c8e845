"""A deployment's topics as files, and back into empty topics: so that it goes on, and its log can be replayed.

``archive`` is the form of the files, ``save`` writes them, ``restore`` reads them into a cluster, ``places`` puts
records where they were in a partition, holes included.
"""
