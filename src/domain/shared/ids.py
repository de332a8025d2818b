"""Identifiers, each its own type, so that a run's id cannot stand for a user's."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
ProjectId = NewType("ProjectId", UUID)
RunId = NewType("RunId", UUID)
AgentTaskId = NewType("AgentTaskId", UUID)
DocumentId = NewType("DocumentId", UUID)
ModelCallId = NewType("ModelCallId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
SessionId = NewType("SessionId", UUID)
AccountId = NewType("AccountId", UUID)
JournalEntryId = NewType("JournalEntryId", UUID)
ReservationId = NewType("ReservationId", UUID)
InvoiceId = NewType("InvoiceId", UUID)
CreditNoteId = NewType("CreditNoteId", UUID)
PlanId = NewType("PlanId", UUID)
SubscriptionId = NewType("SubscriptionId", UUID)
SeatId = NewType("SeatId", UUID)
OrderId = NewType("OrderId", UUID)
TransactionId = NewType("TransactionId", UUID)
AdjustmentId = NewType("AdjustmentId", UUID)
CouponId = NewType("CouponId", UUID)
WebhookEndpointId = NewType("WebhookEndpointId", UUID)
WebhookEventId = NewType("WebhookEventId", UUID)
