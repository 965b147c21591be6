"""What scenarios begin with. Topics are made through `FlyMQClient`: not every client has an admin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flymq import FlyMQClient


@pytest.fixture
def make_topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> Callable[..., str]:
    """A new topic; settings by Kafka's names, "_" for ".".

    Its partitions take records: Kafka tells that a topic is there a little before each is. kafkajs sends all of a
    request again where one partition refused, and those that did not then have the records twice.
    """

    def make(partitions: int = 1, **settings: object) -> str:
        name = fresh_name("topic")
        config = {setting.replace("_", "."): str(value) for setting, value in settings.items()}
        client.create_topic(name, partitions=partitions, config=config)
        client.topics.offsets(name)  # Kafka says yes before the leaders of the partitions know that they are
        return name

    return make


@pytest.fixture
def topic(make_topic: Callable[..., str]) -> str:
    """Of one partition."""
    return make_topic()


@pytest.fixture
def topic3(make_topic: Callable[..., str]) -> str:
    """Of three partitions."""
    return make_topic(3)
