"""ListPartitionReassignments: v0-0.

Partitions that are being moved to other brokers: never any.

Versions:
    v0 (KIP-455).
Behaviour:
    * Named topics need not exist.
Errors:
    None.
Source:
    KIP-455; ReplicationControlManager.listPartitionReassignments in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq_protocol.api.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: ListPartitionReassignmentsRequest, services: Services
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_message=None)


def refuse(request: ListPartitionReassignmentsRequest, code: ErrorCode) -> ListPartitionReassignmentsResponse:
    """The error, and nothing."""
    return ListPartitionReassignmentsResponse(error_code=code, error_message=None)
