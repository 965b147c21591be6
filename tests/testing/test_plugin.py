"""The pytest plugin, as somebody meets it who has flymq installed: a folder with tests in it, and no conftest.

Each run is a process of its own, with every warning an error.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from tests.testing.suites import Suite

Run = pytest.RunResult
# kafka-python's own, when it is imported.
STRICT = ("error", *(f"ignore:{call} is deprecated:DeprecationWarning" for call in ("open_text", "read_text")))


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def run(suite: Suite, source: str, *args: str) -> Run:
    """Run these tests."""
    suite.write("test_it.py", source)
    return suite.run(*(f"-W{warning}" for warning in STRICT), *args)


def test_every_fixture_works_with_every_client(suite: Suite) -> None:
    run(
        suite,
        """
        import pytest
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
        from confluent_kafka import Consumer, Producer
        from kafka import KafkaConsumer, KafkaProducer

        from flymq import AsyncEmbeddedBroker, AsyncFlyMQClient, EmbeddedBroker

        def test_confluent_kafka(flymq_bootstrap_servers, flymq_topic):
            producer = Producer({"bootstrap.servers": flymq_bootstrap_servers})
            producer.produce(flymq_topic, b"one")
            assert producer.flush(10) == 0
            consumer = Consumer({"bootstrap.servers": flymq_bootstrap_servers, "group.id": "g",
                                 "auto.offset.reset": "earliest"})
            consumer.subscribe([flymq_topic])
            assert consumer.poll(10).value() == b"one"
            consumer.close()

        def test_kafka_python(flymq, flymq_topic):
            with KafkaProducer(bootstrap_servers=flymq.bootstrap_servers) as producer:
                producer.send(flymq_topic, b"one").get(10)
            consumer = KafkaConsumer(flymq_topic, bootstrap_servers=flymq.bootstrap_servers, group_id="g",
                                     auto_offset_reset="earliest")
            assert next(consumer).value == b"one"
            consumer.close()
            assert flymq.committed("g") == {(flymq_topic, 0): 1}

        def test_flymq_client(flymq, flymq_client, flymq_topic):
            flymq.seed(flymq_topic, ["one"])
            (message,) = flymq_client.fetch(flymq_topic)
            assert message.text() == "one"

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_aiokafka(flymq, flymq_topic):
            async with AIOKafkaProducer(bootstrap_servers=flymq.bootstrap_servers) as producer:
                await producer.send_and_wait(flymq_topic, b"one")
            async with AIOKafkaConsumer(flymq_topic, bootstrap_servers=flymq.bootstrap_servers, group_id="g",
                                        auto_offset_reset="earliest") as consumer:
                assert (await consumer.getone()).value == b"one"
                flymq.wait_for_group("g", members=1)  # the broker is not on this loop: it may be waited for

        @pytest.mark.anyio
        async def test_flymq_client_awaited(flymq, flymq_topic):
            async with AsyncFlyMQClient(flymq.bootstrap_servers) as client:
                await client.produce(flymq_topic, "one")
            flymq.expect(flymq_topic, "one")

        def test_brokers_of_ones_own(flymq_broker, flymq_isolated, flymq_factory, tmp_path):
            first, second = flymq_factory(), flymq_factory({"orders": 2}, data_dir=str(tmp_path))
            brokers = [flymq_broker, flymq_isolated, first, second]
            assert len({broker.bootstrap_servers for broker in brokers}) == 4
            assert all(isinstance(broker, EmbeddedBroker) and broker.running for broker in brokers)
            for number, broker in enumerate(brokers):
                broker.seed("orders", [str(number)])
            assert [broker.records("orders")[0].text() for broker in brokers] == ["0", "1", "2", "3"]
        """,
    ).assert_outcomes(passed=6)


def test_each_test_finds_the_broker_empty_and_the_same(suite: Suite) -> None:
    run(
        suite,
        """
        import pytest
        from flymq import FlyMQClient

        where = set()

        @pytest.mark.parametrize("number", range(1, 5))
        def test_it(flymq, flymq_broker, flymq_client, number):
            where.add(flymq.bootstrap_servers)
            assert flymq is flymq_broker
            assert flymq_client.list_topics() == []
            assert flymq_client.groups.list() == []
            assert flymq.requests("JoinGroup") == []
            assert flymq.committed("kitchen") == {}
            flymq.seed("orders", ["one"] * number)
            with flymq_client.consumer("orders", "kitchen", auto_offset_reset="earliest") as consumer:
                assert next(consumer).text() == "one"
            assert flymq.committed("kitchen") == {("orders", 0): 1}
            assert len(flymq.records("orders")) == number
            assert flymq.requests("JoinGroup")
            assert len(where) == 1

        def test_the_shared_one_is_not_wiped(flymq_broker):
            assert len(flymq_broker.records("orders")) == 4
        """,
    ).assert_outcomes(passed=5)


def test_a_client_of_an_earlier_test_is_closed_and_its_brokers_stopped(suite: Suite) -> None:
    result = run(
        suite,
        """
        import socket
        import threading
        import pytest

        kept = {}

        def test_leaves_things(flymq, flymq_client, flymq_isolated, flymq_factory):
            kept.update(client=flymq_client, brokers=[flymq_isolated, flymq_factory(), flymq_factory()])
            flymq_client.produce("orders", "one")
            kept["brokers"][1].stop()  # by itself: harmless
            raise RuntimeError("broken")

        def test_they_are_gone(flymq):
            with pytest.raises(RuntimeError, match="closed"):
                kept["client"].produce("orders", "two")
            for broker in kept["brokers"]:
                assert not broker.running
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((broker.host, broker.port))
            assert sum(thread.name == "flymq-embedded" for thread in threading.enumerate()) == 1
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*RuntimeError: broken"])


def test_one_that_stops_the_shared_broker_harms_no_other(suite: Suite) -> None:
    run(
        suite,
        """
        def test_stops(flymq):
            flymq.seed("orders", ["one"])
            flymq.stop()

        def test_finds_it_running_and_empty(flymq, flymq_client):
            assert flymq_client.list_topics() == []
        """,
    ).assert_outcomes(passed=2)


def test_a_topic_is_named_after_its_test(suite: Suite) -> None:
    run(
        suite,
        """
        import pytest

        def test_short(flymq, flymq_topic, flymq_client):
            assert flymq_topic == "test_short"
            assert flymq_client.list_topics() == [flymq_topic]
            assert flymq.records(flymq_topic) == []

        @pytest.mark.parametrize("value", ["a/b c", "x" * 300, "..", "ü✓", ""])
        def test_names(flymq_topic, flymq_client, value):
            assert flymq_topic.startswith("test_names")
            assert flymq_client.produce(flymq_topic, "one").offset == 0
        """,
    ).assert_outcomes(passed=6)


def test_the_marker_gives_topics_partitions_and_settings(suite: Suite) -> None:
    run(
        suite,
        """
        import pytest

        def topics(client):
            return {name: len(client.topics.describe(name).partitions) for name in client.list_topics()}

        @pytest.mark.flymq(topics={"orders": 3, "bills": 1})
        def test_topics(flymq_client):
            assert topics(flymq_client) == {"orders": 3, "bills": 1}

        @pytest.mark.flymq(partitions=4)
        def test_partitions(flymq_topic, flymq_client):
            assert topics(flymq_client) == {flymq_topic: 4}

        @pytest.mark.flymq(topics={"orders": 3}, config={"num.partitions": 5})
        def test_isolated(flymq_isolated):
            from flymq import FlyMQClient
            with FlyMQClient(flymq_isolated.bootstrap_servers) as client:
                client.produce("made-by-writing", "one")
                assert topics(client) == {"orders": 3, "made-by-writing": 5}

        @pytest.mark.flymq(topics={"of-the-class": 1})
        class TestAll:
            def test_class(self, flymq_client):
                assert topics(flymq_client) == {"of-the-class": 1}

            @pytest.mark.flymq(topics={"of-the-test": 2})
            def test_the_closest_counts(self, flymq_client):
                assert topics(flymq_client) == {"of-the-test": 2}

            def test_without_a_broker(self):
                pass
        """,
        "--strict-markers",
    ).assert_outcomes(passed=6)


WRONG_MARKERS = """
    import pytest

    @pytest.mark.flymq({"orders": 3})
    def test_no_name(flymq): ...

    @pytest.mark.flymq(topic={"orders": 3})
    def test_unknown(flymq): ...

    @pytest.mark.flymq(topics=["orders"])
    def test_a_list(flymq): ...

    @pytest.mark.flymq(topics={"orders": "3"})
    def test_a_text(flymq_isolated): ...

    @pytest.mark.flymq(partitions=None)
    def test_no_number(flymq_topic): ...

    @pytest.mark.flymq(config=["num.partitions=3"])
    def test_no_mapping(flymq_isolated): ...

    @pytest.mark.flymq(config={"num.partitions": 3})
    def test_too_late(flymq): ...

    @pytest.mark.flymq(config={"num.partition": 3})
    def test_misspelt(flymq_isolated): ...

    @pytest.mark.flymq(topics={"or/ders": 3})
    def test_impossible(flymq): ...

    def test_right(flymq): ...
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_wrong_marker_fails_its_test_alone_and_says_what_is_right(suite: Suite, processes: str) -> None:
    result = run(suite, WRONG_MARKERS, "-n", processes, "--tb=short")
    result.assert_outcomes(passed=1, errors=9)
    for lines in (
        ["*flymq({'orders': 3}) has arguments without a name: the marker is flymq(topics={name: partitions}, *)"],
        ["*there is no topic: the marker is flymq(topics={name: partitions}, partitions=1, config={setting: value})"],
        ["*topics is {name: partitions}, such as {\"orders\": 1}, not *orders*: the marker is *"],
        ["*topics is {name: partitions}, such as {\"orders\": 1}, not *3*: the marker is *"],
        ["*partitions is a number, not None: the marker is *"],
        ["*config is {setting: value}, not *: the marker is *"],
        ["*the marker's config is for flymq_isolated*or set flymq_config in pytest's configuration for all*"],
        ["*there is no setting num.partition", "*did you mean num.partitions*"],
        ["*topic or/ders can't be created: *"],
    ):
        result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in lines])


def test_settings_of_the_shared_broker_come_from_pytests_configuration(suite: Suite) -> None:
    suite.write(
        "pyproject.toml",
        """
        [tool.pytest.ini_options]
        flymq_config = ["num.partitions = 4", "message.max.bytes=2000"]
        """,
    )
    run(
        suite,
        """
        import pytest

        def test_it(flymq_client):
            flymq_client.produce("made-by-writing", "one")
            assert len(flymq_client.topics.describe("made-by-writing").partitions) == 4
            with pytest.raises(ValueError, match="LARGE"):
                flymq_client.produce("made-by-writing", "x" * 3000)

        def test_others_have_their_own(flymq_factory):
            flymq_factory().seed("orders", ["x" * 3000])
        """,
    ).assert_outcomes(passed=2)


MANY = """
    import pytest

    @pytest.mark.parametrize("number", range(50))
    def test_many(flymq, number): ...
"""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("num.partition=4", "flymq_config: *there is no setting num.partition: did you mean num.partitions*"),
        ("num.partitions=many", "flymq_config: *num.partitions can't be \"many\": it must be a whole number*"),
        ("num.partitions", "flymq_config: *num.partitions can't be \"\"*"),
    ],
)
def test_a_wrong_setting_is_one_error_and_the_end(suite: Suite, line: str, complaint: str) -> None:
    suite.write("pytest.ini", f"[pytest]\nflymq_config =\n    {line}\n")
    result = run(suite, MANY)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([complaint, "*there is no broker to test with*"])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(("processes", "errors_max"), [("0", 1), ("2", 2)])
def test_a_dead_address_is_one_error_and_the_end(suite: Suite, processes: str, errors_max: int) -> None:
    """Of each process, that is. All is over soon."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    result = run(suite, MANY, f"--flymq-bootstrap={address}", "-n", processes)
    outcomes = result.parseoutcomes()
    assert 1 <= outcomes.pop("errors", outcomes.pop("error", 0)) <= errors_max
    assert outcomes == {}
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        [f"--flymq-bootstrap={address}: nothing listens at *", "  start a broker with *", "*there is no broker*"]
    )


def test_on_a_running_cluster(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tests, by option or by environment: what they made is gone in the end, what was there is there."""
    source = """
        import pytest
        from flymq import FlyMQClient

        def test_its_own_topic(flymq, flymq_topic):
            assert flymq_topic.startswith("test_its_own_topic-")  # it is not alone there
            flymq.seed(flymq_topic, ["one"])
            flymq.expect(flymq_topic, "one")

        @pytest.mark.flymq(topics={"orders": 2})
        def test_a_group(flymq, flymq_client):
            assert [info.partitions for info in flymq_client.topics.list() if info.name == "orders"] == [2]
            flymq.seed("orders", ["one", "two"])
            with flymq_client.consumer("orders", "kitchen", auto_offset_reset="earliest") as consumer:
                assert {next(consumer).text(), next(consumer).text()} == {"one", "two"}
            assert flymq.lag("kitchen") == 0

        def test_is_wiped(flymq, flymq_client):
            assert flymq_client.list_topics() == ["theirs"]

        def test_needs_an_embedded_one(flymq): flymq.requests()
        def test_needs_one_of_its_own(flymq_isolated): ...
        def test_needs_several(flymq_factory): ...
    """
    with EmbeddedBroker(topics={"theirs": 1}) as cluster, FlyMQClient(cluster.bootstrap_servers) as client:
        client.produce("theirs", "kept")
        result = run(suite, source, f"--flymq-bootstrap={cluster.bootstrap_servers}", "-rs")
        result.assert_outcomes(passed=3, skipped=3)
        result.stdout.fnmatch_lines_random(
            [
                "*flymq_factory makes brokers of its own, which --flymq-bootstrap has none of",
                "*requests() needs an embedded broker*",
            ]
        )
        assert client.list_topics() == ["theirs"]
        assert client.groups.list() == []
        cluster.expect("theirs", "kept")
        cluster.wipe()
        monkeypatch.setenv("FLYMQ_TEST_BOOTSTRAP", cluster.bootstrap_servers)
        run(suite, source, "-k", "its_own_topic or a_group").assert_outcomes(passed=2, deselected=4)
        assert cluster.requests("CreateTopics", client_id="flymq-testing")


def test_whoever_uses_no_fixture_pays_nothing(suite: Suite) -> None:
    run(
        suite,
        """
        import sys
        import pytest

        @pytest.mark.flymq(topics={"orders": 1})
        def test_it():
            heavy = {"kafka", "construct", "uvloop", "rich", "click", "lz4", "flymq_protocol"}
            assert not heavy & {name.partition(".")[0] for name in sys.modules}
            ours = {name for name in sys.modules if name.startswith("flymq")}
            assert ours == {"flymq", "flymq.version", "flymq.testing", "flymq.testing.plugin", "flymq.testing.topics"}
        """,
    ).assert_outcomes(passed=1)


def test_pytest_tells_what_there_is(suite: Suite) -> None:
    """And a mistyped fixture gets the list of those that there are."""
    result = run(suite, "def test_it(flymq_brokr): ...")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'flymq_brokr' not found", "*available fixtures: *flymq_broker, *"])
    told = suite.run("--markers").stdout.str()
    told += suite.run("--fixtures").stdout.str()
    for name in (
        "flymq_broker [session scope]", "flymq", "flymq_bootstrap_servers", "flymq_client", "flymq_topic",
        "flymq_isolated", "flymq_factory", "@pytest.mark.flymq(topics={name: partitions}",
    ):
        assert f"\n{name}" in told
    assert "no docstring available" not in told.partition("flymq.testing.plugin")[2].partition("-----\n")[0]
