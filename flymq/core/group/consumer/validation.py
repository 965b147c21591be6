"""What makes a ConsumerGroupHeartbeat wrong in itself. Texts are Kafka's.

Source: throwIfConsumerGroupHeartbeatRequestIsInvalid, throwIfConsumerGroupMemberEpochIsInvalid in Kafka's
GroupMetadataManager.
"""

from __future__ import annotations

from flymq.core.group.consumer.events import (
    LEAVE,
    LEAVE_FOR_A_WHILE,
    ConsumerHeartbeat,
    Partition,
    Refused,
)
from flymq.core.group.consumer.group import ConsumerMember
from flymq.core.patterns import why_bad
from flymq_protocol.errors import ErrorCode


def check_request(event: ConsumerHeartbeat, assignors: tuple[str, ...]) -> None:
    """Raises `Refused`: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION."""
    epoch = event.member_epoch
    if event.api_version >= 1 or epoch > 0 or epoch == LEAVE:
        _not_empty(event.member_id, "MemberId")
    _not_empty(event.group_id, "GroupId")
    _not_empty(event.instance_id, "InstanceId")
    _not_empty(event.rack_id, "RackId")
    if epoch == 0:
        if event.rebalance_timeout_ms == -1:
            raise _invalid("RebalanceTimeoutMs must be provided in first request.")
        if event.owned is None or event.owned:
            raise _invalid("TopicPartitions must be empty when (re-)joining.")
        if event.topic_names is None and event.regex is None:
            raise _invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
    elif epoch == LEAVE_FOR_A_WHILE:
        if event.instance_id is None:
            raise _invalid("InstanceId can't be null.")
    elif epoch < LEAVE:
        raise _invalid("MemberEpoch is invalid.")
    if event.assignor is not None and event.assignor not in assignors:
        raise Refused(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {event.assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
        )
    if event.regex:
        reason = why_bad(event.regex)
        if reason is not None:
            raise Refused(
                ErrorCode.INVALID_REGULAR_EXPRESSION,
                f"SubscribedTopicRegex `{event.regex}` is not a valid regular expression: {reason}.",
            )


def check_epoch(member: ConsumerMember, epoch: int, owned: frozenset[Partition] | None) -> None:
    """Raises `Refused` with FENCED_MEMBER_EPOCH.

    The previous epoch will do where the member owns no more than it was given: it has not seen our last answer.
    """
    if epoch == member.epoch:
        return
    if epoch == member.previous_epoch < member.epoch and owned is not None and owned <= member.assigned.keys():
        return
    size = "greater" if epoch > member.epoch else "smaller"
    raise Refused(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has a {size} member epoch ({epoch}) than the one known by the group coordinator "
        f"({member.epoch}). The member must abandon all its partitions and rejoin.",
    )


def _not_empty(value: str | None, name: str) -> None:
    if value is not None and not value.strip():
        raise _invalid(f"{name} can't be empty.")


def _invalid(message: str) -> Refused:
    return Refused(ErrorCode.INVALID_REQUEST, message)
