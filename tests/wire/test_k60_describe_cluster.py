"""DescribeCluster on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k03_metadata import MetadataRequest
from flymq_protocol.api.k60_describe_cluster import DescribeClusterRequest
from flymq_protocol.errors import ErrorCode

from .client import Client


def happy(client: Client, version: int) -> None:
    found = client.call(DescribeClusterRequest(), version)
    metadata = client.call(MetadataRequest([]), 9)
    assert found.error_code == ErrorCode.NONE
    assert (found.cluster_id, found.controller_id) == (metadata.cluster_id, metadata.controller_id)
    (node,) = found.brokers
    assert (node.host, node.port) == client.socket.getpeername()
    assert found.cluster_authorized_operations == -(2**31)
    assert client.call(DescribeClusterRequest(True), version).cluster_authorized_operations > 0


@pytest.mark.parametrize(
    ("kind", "code"), [(2, ErrorCode.MISMATCHED_ENDPOINT_TYPE), (3, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)]
)
def test_there_is_no_other_endpoint(client: Client, kind: int, code: ErrorCode) -> None:
    assert client.call(DescribeClusterRequest(endpoint_type=kind), 1).error_code == code
