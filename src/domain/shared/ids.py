"""Identifiers, each its own type, so that a run's id cannot stand for a user's."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
ProjectId = NewType("ProjectId", UUID)
RunId = NewType("RunId", UUID)
AgentTaskId = NewType("AgentTaskId", UUID)
DocumentId = NewType("DocumentId", UUID)
ModelCallId = NewType("ModelCallId", UUID)
AccountId = NewType("AccountId", UUID)
JournalEntryId = NewType("JournalEntryId", UUID)
ReservationId = NewType("ReservationId", UUID)
WebhookEndpointId = NewType("WebhookEndpointId", UUID)
WebhookEventId = NewType("WebhookEventId", UUID)
