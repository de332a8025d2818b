"""The object store over S3, whoever speaks it: SeaweedFS, MinIO, or AWS.

The ``minio`` SDK is synchronous, so its calls run in a bounded pool of threads of our own; the
default pool stays free for others, and the pool is the limit, also when callers are cancelled.

A stream is pulled, not pushed: each step borrows a thread for one block and gives it back, so a
slow download holds a connection but neither a thread nor more than one block of memory. A
connection that breaks in the middle is taken up again at the byte where it broke, which is sound
because objects never change.

Keys end in the SHA-256 of their content, and the content is held to it: on the way in (a mistake
of the caller's), and on the way out (:class:`ObjectDamaged`; a stream withholds its last chunk
until the whole is verified). In transit the SDK adds a signed SHA-256 or a Content-MD5.

Retries are ours, with full jitter and a budget of seconds; the SDK's and urllib3's are off, so
that they do not multiply. A store that refuses our credentials or has no such bucket is
:class:`ObjectStoreRefused`, a kind of ``ObjectStoreUnavailable`` that no retry would heal.
Credentials need ``s3:ListBucket`` besides reading and writing objects: without it AWS answers 403
instead of 404 for a key that does not exist.
"""

from adapters.minio.object_store import MinioObjectStore, ObjectDamaged, ObjectStoreRefused
from adapters.minio.probe import ObjectStoreProbe

__all__ = ["MinioObjectStore", "ObjectDamaged", "ObjectStoreProbe", "ObjectStoreRefused"]
