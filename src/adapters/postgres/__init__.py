"""PostgreSQL, the truth: tables, transactions, claims and migrations.

SQLAlchemy Core is the language of queries; domain classes stay plain dataclasses and
are mapped by hand. Every transaction is opened as one person: ``app.user_id`` is set
for its duration, and row-level security, forced on every tenant table, holds the ``app``
role to that person's rows even where a query forgot to. Claims go through the
``dispatch`` role, which sees runs of everybody but may touch only their scheduling.

The text of a document lies in object storage, so the seed's ``documents.content`` has no
column here; ``documents.file_url`` holds the object's key, which only the platform can
turn into an address.
"""
