"""The database port in memory: what use cases run on in tests.

``InMemoryDatabase`` keeps the rows, ``InMemoryUnitOfWork`` and ``InMemoryRunClaims``
speak to it as the real adapter speaks to PostgreSQL. One contract suite holds both to
the same behaviour.
"""

from tests.fakes.persistence.audit import InMemoryAuditOversight
from tests.fakes.persistence.billing import InMemoryLapsedCredits
from tests.fakes.persistence.claims import InMemoryRunClaims
from tests.fakes.persistence.database import InMemoryDatabase, TransactionRefused
from tests.fakes.persistence.erasures import InMemoryErasureQueue
from tests.fakes.persistence.history import InMemoryStepHistory
from tests.fakes.persistence.hot_reads import InMemoryHotReads
from tests.fakes.persistence.idempotency import InMemoryExpiredIdempotencyKeys
from tests.fakes.persistence.invoices import InMemoryInvoiceRegister
from tests.fakes.persistence.oversight import InMemoryRunOversight
from tests.fakes.persistence.people import InMemoryPeopleOversight
from tests.fakes.persistence.subscriptions import InMemorySubscriptionSchedule
from tests.fakes.persistence.unit_of_work import InMemoryUnitOfWork
from tests.fakes.persistence.usage_log import InMemoryUsageLogWriter
from tests.fakes.persistence.webhooks import InMemoryWebhookClaims

__all__ = [
    "InMemoryAuditOversight",
    "InMemoryDatabase",
    "InMemoryErasureQueue",
    "InMemoryExpiredIdempotencyKeys",
    "InMemoryHotReads",
    "InMemoryInvoiceRegister",
    "InMemoryLapsedCredits",
    "InMemoryPeopleOversight",
    "InMemoryRunClaims",
    "InMemoryRunOversight",
    "InMemoryStepHistory",
    "InMemorySubscriptionSchedule",
    "InMemoryUnitOfWork",
    "InMemoryUsageLogWriter",
    "InMemoryWebhookClaims",
    "TransactionRefused",
]
