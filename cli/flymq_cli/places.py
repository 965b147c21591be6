"""Places in a topic, looked up: what the client's `read` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq_cli.positions import FromEnd, FromStart, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from flymq.client.client import FlyMQClient


def located(
    client: FlyMQClient, topic: str, place: Place, partitions: Sequence[int] | None
) -> int | str | datetime | Mapping[int, int]:
    """The place itself where the client knows such, else the offset that it is in each partition."""
    if isinstance(place, FromEnd):
        ends = client.topics.offsets(topic, "latest", partitions=partitions)
        return {partition: max(0, end - place.distance) for partition, end in ends.items()}
    if isinstance(place, FromStart):
        starts = client.topics.offsets(topic, "earliest", partitions=partitions)
        return {partition: start + place.distance for partition, start in starts.items()}
    return place


def offsets_of(client: FlyMQClient, topic: str, place: Place, partitions: Sequence[int] | None) -> dict[int, int]:
    """The offset that a place is in each partition, kept within what the log has."""
    starts = client.topics.offsets(topic, "earliest", partitions=partitions)
    ends = client.topics.offsets(topic, "latest", partitions=partitions)
    if isinstance(place, FromEnd):
        found = {partition: end - place.distance for partition, end in ends.items()}
    elif isinstance(place, FromStart):
        found = {partition: start + place.distance for partition, start in starts.items()}
    elif isinstance(place, int):
        found = dict.fromkeys(starts, place)
    else:
        found = client.topics.offsets(topic, place, partitions=partitions)
    return {partition: min(max(offset, starts[partition]), ends[partition]) for partition, offset in found.items()}
