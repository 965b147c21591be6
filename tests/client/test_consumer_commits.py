"""What a `Consumer` commits and when, as the broker reports it. Killed ones are in test_consumer_crashes."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.consumer import Consumer
from flymq.client.errors import ClosedError, CommitFailedError, DeserializationError, InvalidArgumentError
from flymq.client.messages import Message
from tests.client.consuming import EARLIEST, TIMEOUT_S, await_commit, drain, looping, offsets, take

MESSAGES = 10


class BodyError(Exception):
    pass


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    """One partition with `MESSAGES` messages."""
    name = fresh_name("topic")
    broker.seed(name, [str(number) for number in range(MESSAGES)])
    return name


def fail_at(
    consumer: Consumer, offset: int, before: Callable[[Message[Any, Any]], object] = lambda message: None
) -> None:
    for message in consumer:
        before(message)
        if message.offset == offset:
            raise BodyError


# -- how a loop may end ---------------------------------------------------------------------------


def with_block(client: FlyMQClient, consumer: Consumer, offset: int) -> None:
    with consumer:
        fail_at(consumer, offset)


def finally_close(client: FlyMQClient, consumer: Consumer, offset: int) -> None:
    try:
        fail_at(consumer, offset)
    finally:
        consumer.close()


def except_close(client: FlyMQClient, consumer: Consumer, offset: int) -> None:
    try:
        fail_at(consumer, offset)
    except BodyError:
        consumer.close()
        raise


def client_block(client: FlyMQClient, consumer: Consumer, offset: int) -> None:
    with client:
        fail_at(consumer, offset)


ways_to_fail = pytest.mark.parametrize("way", [with_block, finally_close, except_close, client_block])


@ways_to_fail
@pytest.mark.parametrize("offset", [0, 1, 5, MESSAGES - 1])
def test_an_exception_commits_up_to_the_message_that_failed(
    broker: EmbeddedBroker, topic: str, group: str, way: Callable[..., None], offset: int
) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    with pytest.raises(BodyError):
        way(client, client.consumer(topic, group, **EARLIEST), offset)
    client.close()
    assert broker.committed(group) == {(topic, 0): offset}
    with FlyMQClient(broker.bootstrap_servers) as again, again.consumer(topic, group, **EARLIEST) as consumer:
        assert offsets(take(consumer, 1)) == [offset]


@ways_to_fail
def test_without_auto_commit_an_exception_commits_nothing(
    broker: EmbeddedBroker, topic: str, group: str, way: Callable[..., None]
) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    with pytest.raises(BodyError):
        way(client, client.consumer(topic, group, auto_commit=False, auto_commit_interval=0, **EARLIEST), 5)
    client.close()
    assert broker.committed(group) == {}


def test_an_exception_in_one_partition_commits_both_up_to_it(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, [{"value": "x", "partition": number % 2} for number in range(20)], partitions=2)
    got: list[Message[Any, Any]] = []

    def fail_at_the_14th() -> None:
        with client.consumer(topic, group, **EARLIEST) as consumer:
            for message in consumer:
                got.append(message)
                if len(got) == 14:
                    raise BodyError

    with pytest.raises(BodyError):
        fail_at_the_14th()
    first = got[0].partition
    assert got[-1].offset == 3  # of the other one
    assert broker.committed(group) == {(topic, first): 10, (topic, 1 - first): 3}


def test_an_exception_that_the_body_takes_care_of_finishes_its_message(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        for message in consumer:
            try:
                assert message.offset != 5
            except AssertionError:
                continue
            if message.offset == MESSAGES - 1:
                break
    assert broker.committed(group) == {(topic, 0): MESSAGES}


@pytest.mark.parametrize("error", [BodyError, KeyboardInterrupt])
def test_an_exception_that_was_dealt_with_before_the_close_skips_nothing(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, error: type[BaseException]
) -> None:
    """To `close` this looks like a `break`: so neither finishes the message in hand."""
    consumer = client.consumer(topic, group, **EARLIEST)
    with contextlib.suppress(error):
        for message in consumer:
            if message.offset == 5:
                raise error
    consumer.close()
    assert broker.committed(group) == {(topic, 0): 5}


def test_a_close_with_commit_finishes_the_message_in_hand(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    assert offsets(take(consumer, 3)) == [0, 1, 2]
    consumer.close(commit=True)
    assert broker.committed(group) == {(topic, 0): 3}


def test_break_within_a_with_block_finishes_the_message_in_hand(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        for message in consumer:
            if message.offset == 4:
                break
        assert broker.committed(group) == {}  # not before it is over
    assert broker.committed(group) == {(topic, 0): 5}
    consumer = client.consumer(topic, group, **EARLIEST)
    assert offsets(take(consumer, 2)) == [5, 6]
    consumer.close()
    assert broker.committed(group) == {(topic, 0): 6}


def test_return_finishes_it_too_the_end_of_the_client_does_not(broker: EmbeddedBroker, topic: str, group: str) -> None:
    def first(consumer: Consumer) -> int:
        with consumer:
            for message in consumer:
                return message.offset
        return -1

    with FlyMQClient(broker.bootstrap_servers) as client:
        assert first(client.consumer(topic, group, **EARLIEST)) == 0
        assert broker.committed(group) == {(topic, 0): 1}
        unclosed = client.consumer(topic, group, **EARLIEST)
        assert offsets(take(unclosed, 3)) == [1, 2, 3]
    assert broker.committed(group) == {(topic, 0): 3}


def test_a_break_may_be_followed_by_another_loop(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        assert offsets(take(consumer, 4)) == [0, 1, 2, 3]
        assert offsets(drain(consumer, 6)) == [4, 5, 6, 7, 8, 9]
    assert broker.committed(group) == {(topic, 0): MESSAGES}


def test_stop_ends_the_loop_after_the_message_in_hand(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    got = []
    with client.consumer(topic, group, **EARLIEST) as consumer:
        for message in consumer:
            got.append(message)
            if message.offset == 3:
                consumer.stop()
    assert offsets(got) == [0, 1, 2, 3]
    assert broker.committed(group) == {(topic, 0): 4}


def test_without_auto_commit_nothing_is_committed_implicitly(
    broker: EmbeddedBroker, topic: str, group: str
) -> None:
    """Not between messages, not while waiting for one, not at the end of the block, of the client, on `close`."""
    settings = {"auto_commit": False, "auto_commit_interval": 0, **EARLIEST}
    with FlyMQClient(broker.bootstrap_servers) as client:
        with client.consumer(topic, group, **settings) as consumer:
            assert len(drain(consumer, MESSAGES)) == MESSAGES
        for _ in range(2):
            consumer = client.consumer(topic, group, **settings)
            assert offsets(take(consumer, 3)) == [0, 1, 2]
            consumer.close()
        unclosed = client.consumer(topic, group, **settings)
        assert offsets(take(unclosed, 3)) == [0, 1, 2]
    assert broker.committed(group) == {}


def test_close_can_be_told(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    take(consumer, 3)
    consumer.close(commit=False)
    assert broker.committed(group) == {}
    consumer = client.consumer(topic, group, auto_commit=False, **EARLIEST)
    take(consumer, 3)
    consumer.close(commit=True)
    assert broker.committed(group) == {(topic, 0): 3}


def test_one_that_nobody_closes_leaves_what_is_not_committed(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    take(consumer, 5)
    consumer.commit()
    take(consumer, 3)
    assert broker.committed(group) == {(topic, 0): 5}


# -- on time --------------------------------------------------------------------------------------


def test_what_is_finished_is_committed_between_two_messages(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    """All of them were fetched at once: kafka-python itself would commit before the next fetch only."""
    with client.consumer(topic, group, auto_commit_interval=0, **EARLIEST) as consumer:
        for message in consumer:
            if message.offset > 0:
                await_commit(broker, group, {(topic, 0): message.offset})
            if message.offset == 4:
                break


def test_what_is_finished_is_committed_while_no_message_comes(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with looping(client.consumer(topic, group, auto_commit_interval=0.2, **EARLIEST)) as loop:
        loop.wait_for(MESSAGES)
        await_commit(broker, group, {(topic, 0): MESSAGES})
        commits = len(broker.requests("OffsetCommit"))
        client.produce(topic, "one more")
        await_commit(broker, group, {(topic, 0): MESSAGES + 1})
        assert len(broker.requests("OffsetCommit")) == commits + 1  # not again and again


def test_a_message_in_hand_is_never_committed(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    at_five, go_on = threading.Event(), threading.Event()

    def work(message: Message[Any, Any]) -> None:
        if message.offset == 5:
            at_five.set()
            assert go_on.wait(TIMEOUT_S)

    with looping(client.consumer(topic, group, auto_commit_interval=0, **EARLIEST), work):
        assert at_five.wait(TIMEOUT_S)
        await_commit(broker, group, {(topic, 0): 5})
        go_on.set()
        await_commit(broker, group, {(topic, 0): MESSAGES})


# -- commit() -------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_commit", [False, True])
def test_commit_covers_the_message_in_hand_and_nothing_later(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, auto_commit: bool
) -> None:
    with client.consumer(topic, group, auto_commit=auto_commit, **EARLIEST) as consumer:
        for message in consumer:
            if message.offset in (2, 6):
                consumer.commit()
                assert broker.committed(group) == {(topic, 0): message.offset + 1}
                assert consumer.committed((topic, 0)) == message.offset + 1
            if message.offset == 6:
                break
    assert broker.committed(group) == {(topic, 0): 7}


def test_commit_then_an_exception_keeps_what_was_committed(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with pytest.raises(BodyError), client.consumer(topic, group, **EARLIEST) as consumer:
        fail_at(consumer, 5, before=lambda message: message.offset == 5 and consumer.commit())
    assert broker.committed(group) == {(topic, 0): 6}


def test_commit_before_the_first_message_commits_nothing(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    consumer.commit()
    with consumer:
        consumer.commit()
    assert broker.committed(group) == {}


def test_commit_up_to_a_message_leaves_the_rest(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, [{"value": "x", "partition": number % 2} for number in range(20)], partitions=2)
    with client.consumer(topic, group, auto_commit=False, **EARLIEST) as consumer:
        messages: list[Message[Any, Any]] = []
        while len(messages) < 20:
            messages += consumer.poll(timeout=5)
        (third,) = [message for message in messages if (message.partition, message.offset) == (1, 3)]
        consumer.commit(third)
        assert broker.committed(group) == {(topic, 1): 4}
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 10, (topic, 1): 10}


def test_commit_takes_messages_of_its_own_only(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    (foreign,) = client.fetch(topic, count=1)
    consumer = client.consumer(topic, group, **EARLIEST)
    with pytest.raises(CommitFailedError, match=f"{topic}-0.* not assigned"):
        consumer.commit(foreign)
    with consumer:
        for wrong in (5, {(topic, 0): 5}, "5"):
            with pytest.raises(InvalidArgumentError, match="commit") as caught:
                consumer.commit(wrong)  # type: ignore[arg-type]
            assert "give a message" in caught.value.hint
        with pytest.raises(CommitFailedError):
            consumer.commit(Message("other", 0, 0, None, None))
    with pytest.raises(ClosedError):
        consumer.commit()
    assert broker.committed(group) == {}


# -- poll -----------------------------------------------------------------------------------------


def test_a_batch_is_finished_by_the_next_poll(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, auto_commit_interval=0, **EARLIEST) as consumer:
        assert offsets(consumer.poll(5, max_records=3)) == [0, 1, 2]
        assert broker.committed(group) == {}
        assert offsets(consumer.poll(5, max_records=3)) == [3, 4, 5]
        await_commit(broker, group, {(topic, 0): 3})
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 6}
        consumer.poll(5, max_records=2)
    assert broker.committed(group) == {(topic, 0): 8}


def test_an_exception_leaves_a_whole_batch_uncommitted(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    def fail_in_second_batch() -> None:
        with client.consumer(topic, group, **EARLIEST) as consumer:
            for messages in consumer.batches(4):
                if messages[0].offset == 4:
                    raise BodyError

    with pytest.raises(BodyError):
        fail_in_second_batch()
    assert broker.committed(group) == {(topic, 0): 4}


def test_poll_and_iteration_may_be_mixed(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group, auto_commit=False, **EARLIEST) as consumer:
        assert offsets(consumer.poll(5, max_records=3)) == [0, 1, 2]
        assert offsets(take(consumer, 2)) == [3, 4]
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 5}
        assert offsets(consumer.poll(5, max_records=2)) == [5, 6]
        assert offsets(drain(consumer, 3)) == [7, 8, 9]
        consumer.commit()
    assert broker.committed(group) == {(topic, 0): MESSAGES}


def test_a_batch_of_several_partitions_is_finished_by_the_next_message(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, [{"value": "x", "partition": number % 2} for number in range(20)], partitions=2)
    with client.consumer(topic, group, auto_commit=False, **EARLIEST) as consumer:
        batch = consumer.poll(5, max_records=15)
        (message,) = take(consumer, 1)
        consumer.commit()
        wanted = {(one.topic, one.partition): one.offset + 1 for one in [*batch, message]}
        assert broker.committed(group) == wanted


# -- what can't be read ---------------------------------------------------------------------------


def test_a_message_that_cannot_be_read_comes_again_and_can_be_passed(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, ["0", "1", "not JSON", "3"])
    settings: dict[str, Any] = {"value_deserializer": json.loads, **EARLIEST}
    got: list[Any] = []
    with pytest.raises(DeserializationError), client.consumer(topic, group, **settings) as consumer:
        got += (message.value for message in consumer)
    assert broker.committed(group) == {(topic, 0): 2}
    with client.consumer(topic, group, **settings) as consumer:
        for _ in range(2):
            with pytest.raises(DeserializationError, match=f"{topic}-0 at offset 2") as caught:
                next(consumer)
        assert f"seek(('{topic}', 0), 3)" in caught.value.hint
        consumer.seek((topic, 0), 3)
        got += (message.value for message in drain(consumer, 1))
    assert got == [0, 1, 3]
    assert broker.committed(group) == {(topic, 0): 4}


def test_poll_gives_what_comes_before_a_message_that_cannot_be_read(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, ["0", "1", "not JSON", "3"])
    with client.consumer(topic, group, value_deserializer=json.loads, **EARLIEST) as consumer:
        assert offsets(consumer.poll(5)) == [0, 1]
        with pytest.raises(DeserializationError):
            consumer.poll(5)
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 2}


# -- a group that begins at the end ---------------------------------------------------------------


def test_a_group_that_begins_at_the_end_commits_where_that_is(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with client.consumer(topic, group):
        assert broker.committed(group) == {(topic, 0): MESSAGES}


def test_without_auto_commit_it_does_so_with_the_first_commit(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    """Else what another partition got meanwhile would be skipped by the next one, that begins at the end again."""
    topic = fresh_name("topic")
    client.create_topic(topic, partitions=2)
    with client.consumer(topic, group, auto_commit=False) as consumer:
        assert broker.committed(group) == {}
        client.produce(topic, "a", partition=0)
        take(consumer, 1)
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 1, (topic, 1): 0}
        client.produce(topic, "b", partition=1)
    with client.consumer(topic, group) as consumer:
        assert [message.text() for message in take(consumer, 1)] == ["b"]


def test_a_group_of_its_own_commits_nothing_at_once(broker: EmbeddedBroker, client: FlyMQClient, topic: str) -> None:
    with client.consumer(topic) as consumer:
        assert broker.committed(consumer.group_id) == {}


@pytest.mark.parametrize("how", ["iterate", "batches"])
def test_the_end_of_the_loop_commits_what_it_got(client: FlyMQClient, topic: str, group: str, how: str) -> None:
    """Whoever never closes the consumer, as in `list(client.consumer(...))`, has it committed all the same."""
    consumer = client.consumer(topic, group, auto_offset_reset="earliest", idle_timeout=0.2)
    list(consumer if how == "iterate" else consumer.batches())
    assert client.groups.offsets(group) == {(topic, 0): MESSAGES}
    consumer.close()
