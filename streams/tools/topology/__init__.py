"""Topics and rights of a deployment as code: what is wanted, what is there, the difference, and making it.

``wanted`` reads the file and options, ``changes`` compares topics (pure), ``acls`` compares and makes rights, ``apply``
makes what can be made in place. Nothing here deletes a record, or lets a broker delete one that it would keep now.
"""
