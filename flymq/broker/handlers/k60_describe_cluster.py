"""DescribeCluster: v0-2.

Names the cluster, its brokers and its controller: this broker, three times over.

Versions:
    v1: endpoint_type (KIP-919). v2: is_fenced (KIP-1073); never true.
Behaviour:
    * The address is the one that Metadata gives.
Errors:
    MISMATCHED_ENDPOINT_TYPE: asked for controllers (2); this is a broker's listener.
    UNSUPPORTED_ENDPOINT_TYPE: another type than 1 and 2.
Source:
    KIP-700, KIP-919; AuthHelper.computeDescribeClusterResponse in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.broker.operations import CLUSTER_OPERATIONS, NOT_ASKED
from flymq_protocol.api.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from flymq_protocol.errors import ErrorCode

_BROKERS, _CONTROLLERS = 1, 2


def handle(ctx: RequestContext, request: DescribeClusterRequest, services: Services) -> DescribeClusterResponse:
    if request.endpoint_type == _CONTROLLERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type "
            "CONTROLLER",
        )
    if request.endpoint_type != _BROKERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message=f"Unsupported endpoint type {request.endpoint_type}",
        )
    host, port = services.placement.advertised(ctx.local_address)
    node_id = services.placement.node_id
    return DescribeClusterResponse(
        cluster_id=services.cluster_id,
        controller_id=node_id,
        brokers=[DescribeClusterBroker(node_id, host, port, services.config.get("broker.rack"))],
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def refuse(request: DescribeClusterRequest, code: ErrorCode) -> DescribeClusterResponse:
    """The error, and nobody."""
    return DescribeClusterResponse(error_code=code)
