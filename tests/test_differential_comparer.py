"""The differential test's comparer sees planted differences, and nothing where there are none."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from compat_tests.differential.comparer import Comparison, Ids
from compat_tests.differential.generate import draw
from compat_tests.differential.requests import Step, build
from compat_tests.differential.world import World
from flymq_protocol.api.k00_produce import PartitionProduceResponse, ProduceResponse, TopicProduceResponse
from flymq_protocol.api.k01_fetch import FetchableTopicResponse, FetchResponse, PartitionData
from flymq_protocol.api.k10_find_coordinator import Coordinator, FindCoordinatorResponse
from flymq_protocol.api.k22_init_producer_id import InitProducerIdResponse
from flymq_protocol.registry import API
from tests.wire.batches import a_batch


def produced() -> ProduceResponse:
    partitions = [PartitionProduceResponse(index, 0, 10 + index) for index in (0, 1)]
    return ProduceResponse([TopicProduceResponse("d1-t0", partition_responses=partitions)])


def fetched(producer_id: int, epoch: int = 0) -> FetchResponse:
    batch = a_batch(timestamps=[5], producer=(producer_id, epoch, 0))
    partition = PartitionData(0, 0, 1, records=batch)
    return FetchResponse(responses=[FetchableTopicResponse("d1-t0", partitions=[partition])])


def differences(key: int, left: Any, right: Any, ids: Ids | None = None) -> list[str]:
    return Comparison(key, ids or Ids(), "d1-").run(left, right)


def test_equal_answers() -> None:
    assert differences(0, produced(), produced()) == []


@pytest.mark.parametrize("plant", [
    pytest.param(lambda answer: setattr(answer[0], "error_code", 3), id="a wrong error code"),
    pytest.param(lambda answer: setattr(answer[1], "base_offset", 12), id="a wrong offset"),
    pytest.param(lambda answer: answer.pop(), id="a missing element"),
    pytest.param(lambda answer: answer.append(PartitionProduceResponse(2, 0, 0)), id="one too many"),
])  # fmt: skip
def test_planted_differences(plant: Callable[[list[PartitionProduceResponse]], object]) -> None:
    planted = produced()
    plant(planted.responses[0].partition_responses)
    assert differences(0, produced(), planted) != []


def test_another_order_where_it_counts() -> None:
    left = FindCoordinatorResponse(coordinators=[Coordinator(name, 1, "h", 1, 0, None) for name in ("a", "b")])
    right = FindCoordinatorResponse(coordinators=list(reversed(left.coordinators)))
    assert differences(10, left, right) != []


def test_ids_are_bound_and_a_swapped_one_is_seen() -> None:
    ids = Ids()
    for left, right in ((100, 7), (101, 9)):
        assert differences(22, InitProducerIdResponse(0, 0, left, 0), InitProducerIdResponse(0, 0, right, 0), ids) == []
    assert ids.name("producer_id", 101) == "producer_id@0.1"
    assert [ids.value("producer_id@0.1", side) for side in (0, 1)] == [101, 9]
    assert differences(22, InitProducerIdResponse(0, 0, 100, 0), InitProducerIdResponse(0, 0, 9, 0), ids) != []
    assert differences(22, InitProducerIdResponse(0, 0, 102, 0), InitProducerIdResponse(0, 0, 9, 0), ids) != []
    assert differences(22, InitProducerIdResponse(0, 0, -1, 0), InitProducerIdResponse(0, 0, 5, 0), ids) != []


def test_records_are_compared_by_batch_and_their_ids_by_symbol() -> None:
    ids = Ids()
    assert differences(1, fetched(100), fetched(7), ids) == []
    assert differences(1, fetched(100), fetched(8), ids) != []
    assert differences(1, fetched(100, epoch=1), fetched(7), ids) != []


@pytest.mark.parametrize("key", sorted(API))
def test_every_version_of_every_api_can_be_drawn(key: int) -> None:
    ids = Ids()
    low, high = API[key].version_min, API[key].version_max
    for version in range(low, high + 1):
        for seed in range(20):
            drawn = draw(World("d1-", ids), Random(seed), {key: (version, version)})
            assert build(Step(1, 0, *drawn), "d1-", lambda name: ids.value(name, 0)).encode(version) is not None
