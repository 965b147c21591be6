"""`flymq-cli consume`: what is in a topic now. It never waits, commits or creates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import Cli, Terminal, finish, start

VALUES = ("-F", "%p:%v ")
EVERYTHING = "0:a 0:b 0:c 0:d 1:e 1:f "


def test_prints_all_partitions_each_in_its_order(cli: Cli, orders: str) -> None:
    assert cli.ok("consume", orders).out == "0:0\tk\ta\n0:1\tk\tb\n0:2\tk\tc\n0:3\tk\td\n1:0\tk\te\n1:1\tk\tf\n"


@pytest.mark.parametrize(
    ("pos", "found"),
    [
        ("earliest", EVERYTHING),
        ("latest", ""),
        ("0", EVERYTHING),
        ("2", "0:c 0:d "),
        ("-1", "0:d 1:f "),
        ("-3", "0:b 0:c 0:d 1:e 1:f "),
        ("-100", EVERYTHING),
        ("-0", ""),
        ("+1", "0:b 0:c 0:d 1:f "),
        ("+100", ""),
        ("1:3", "0:b 0:c 1:f "),
        (":1", "0:a 1:e "),
        ("3:", "0:d "),
        ("3:2", ""),
        ("-2:-1", "0:c 1:e "),
        ("@2026-01-01T09:00:02Z", "0:c 0:d 1:e 1:f "),
        ("@2026-01-01T09:00:05", "1:f "),
        ("@2026-01-01T10:00+01:00", EVERYTHING),
        ("@1767258003", "0:d 1:e 1:f "),
        ("@1767258003500", "1:e 1:f "),
        ("@1767258001000:1767258003000", "0:b 0:c "),
        ("@2026-01-01T09:00:01:2s", "0:b 0:c "),
        ("@:2026-01-01T09:00:01", "0:a "),
        ("@2026-01-01T09:00:04:", "1:e 1:f "),
        ("@-99999999d", EVERYTHING),
        ("@now", ""),
    ],
)
def test_offset_says_where(cli: Cli, orders: str, pos: str, found: str) -> None:
    assert cli.ok("consume", orders, *VALUES, "--offset", pos).out == found


def test_an_offset_of_the_last_hour(cli: Cli, broker: EmbeddedBroker, client: FlyMQClient, orders: str) -> None:
    client.produce(orders, "new", partition=0)
    assert cli.ok("consume", orders, *VALUES, "-o", "@-1h").out == "0:new "


def test_a_partition_or_several(cli: Cli, orders: str) -> None:
    assert cli.ok("consume", orders, *VALUES, "-p", "1").out == "1:e 1:f "
    assert cli.ok("consume", orders, *VALUES, "-p", "1", "-p", "0", "-p", "1").out == EVERYTHING
    assert cli.ok("consume", orders, *VALUES, "-p", "1", "-o", "-1").out == "1:f "


def test_count_is_over_all_partitions(cli: Cli, orders: str) -> None:
    assert cli.ok("consume", orders, *VALUES, "--count", "5").out == "0:a 0:b 0:c 0:d 1:e "
    assert cli.ok("consume", orders, *VALUES, "-n", "100").out == EVERYTHING
    assert cli.ok("consume", orders, *VALUES, "-n", "0").out == ""


def test_json_lines(cli: Cli, orders: str) -> None:
    first, *_ = cli.ok("consume", orders, "-O", "json").json_lines
    assert first == {
        "topic": orders, "partition": 0, "offset": 0, "timestamp": 1767258000000, "key": "k", "value": "a",
        "headers": [],
    }  # fmt: skip


def test_yaml_is_a_document_a_message(cli: Cli, orders: str) -> None:
    documents = list(yaml.safe_load_all(cli.ok("consume", orders, "-O", "yaml").stdout))
    assert [document["value"] for document in documents] == list("abcdef")


def test_name_prints_the_values_alone(cli: Cli, orders: str) -> None:
    assert cli.ok("consume", orders, "-O", "name").lines == list("abcdef")


def test_bytes_stay_bytes(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, [(b"\xff", b"\x00\xfe\r\n")])
    assert cli.ok("consume", topic).stdout == b"0:0\t\xff\t\x00\xfe\r\n\n"
    assert cli.ok("consume", topic, "-O", "name").stdout == b"\x00\xfe\r\n\n"
    assert cli.ok("consume", topic, "-F", "%v").stdout == b"\x00\xfe\r\n"


def test_a_format_has_every_field(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, [{"key": "ada", "value": "x", "headers": [("a", "1"), ("b", "2")], "timestamp": 7}])
    broker.seed(topic, [{"key": "gone", "value": None, "timestamp": 8}, {"value": "nokey", "timestamp": 9}])
    found = cli.ok("consume", topic, "-F", r"%t|%p|%o|%k|%v|%s|%h|%T|%K|%V|%S|%%\n").lines
    assert found == [
        f"{topic}|0|0|ada|x|x|a=1,b=2|7|3|1|1|%",
        f"{topic}|0|1|gone||||8|4|-1|-1|%",
        f"{topic}|0|2||nokey|nokey||9|-1|5|5|%",
    ]
    assert cli.ok("consume", topic, "-n", "1", "-F", r"\t\x41\0\\\r").stdout == b"\tA\0\\\r"


@pytest.mark.parametrize(("format_", "what"), [("%q", "%q"), ("%", "%"), (r"\q", r"\q"), (r"\x4", r"\x")])
def test_a_format_that_is_none(cli: Cli, orders: str, format_: str, what: str) -> None:
    said = cli.fails(2, "consume", orders, "-F", format_)
    assert f"there is no {what}\n" in said
    assert "%v" in said


def test_asks_for_nothing_but_what_it_reads(
    offline: Cli, fresh_name: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No group, no commit, no topic; and of an empty topic not even a fetch, which would wait."""
    with EmbeddedBroker(topics={"empty": 2}) as broker:
        monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        offline.ok("consume", "empty")
        assert not broker.requests("Fetch")
        broker.seed("full", ["a", "b"])
        offline.ok("consume", "full")
        offline.fails(3, "consume", "missing")
        offline.fails(3, "consume", "missing", "-n", "0")
        seen = {request.api for request in broker.requests(client_id="flymq-cli")}
        assert seen == {"ApiVersions", "Metadata", "ListOffsets", "Fetch"}
        assert offline.ok("topics", "list", "-O", "name").lines == ["empty", "full"]
        assert offline.ok("groups", "list", "-O", "name").lines == []


def test_stops_where_the_topic_ended_when_it_began(broker: EmbeddedBroker, topic: str) -> None:
    """Its pipe is full long before the end; what is written meanwhile is not printed."""
    broker.seed(topic, [f"{n:05d}".encode() + bytes(300) for n in range(3000)])
    with start("consume", topic, "-F", "%o\\n%v\\n", servers=broker.bootstrap_servers) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        broker.seed(topic, ["too late"] * 10)
        done = finish(process)
    assert done.code == 0, done.err
    assert done.stdout.count(b"\n") == 2 * 3000 - 1
    assert b"too late" not in done.stdout


def test_an_offset_beyond_the_end_is_told(cli: Cli, orders: str) -> None:
    done = cli.ok("consume", orders, "--offset", "100")
    assert done.stdout == b""
    assert f"{orders} has nothing from offset 100 on: it ends at 4" in done.err
    assert cli.ok("consume", orders, "--offset", "100", "-q").err == ""


def test_a_wrong_topic_gets_a_suggestion(cli: Cli, orders: str) -> None:
    assert f"there is no topic {orders}x\n  did you mean {orders}?" in cli.fails(3, "consume", f"{orders}x")
    assert "`flymq-cli topics create qqqq` creates it" in cli.fails(3, "consume", "qqqq")


def test_a_partition_that_is_not_there(cli: Cli, orders: str) -> None:
    assert f"{orders} has no partition 7: it has 2" in cli.fails(3, "consume", orders, "-p", "7")


@pytest.mark.parametrize("pos", ["abc", "", "1:x", "@1h", "-1h"])
def test_a_position_that_is_none(cli: Cli, orders: str, pos: str) -> None:
    assert "is no place in a topic" in cli.fails(2, "consume", orders, "--offset", pos)


def test_a_terminal_is_not_obeyed_by_what_is_printed(broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, ["\x1b[31mred\x07\x9b1m", b"\xff\n"])
    with Terminal(f"flymq-cli consume {topic}", broker.bootstrap_servers, NO_COLOR="1") as terminal:
        done = terminal.finish()
    assert done.code == 0
    assert done.lines[0] == "0:0\t-\t\\x1b[31mred\\x07\\xc2\\x9b1m"


def test_a_real_process_prints_the_same(broker: EmbeddedBroker, cli: Cli, orders: str) -> None:
    with start("consume", orders, servers=broker.bootstrap_servers) as process:
        done = finish(process)
    assert (done.code, done.stdout, done.err) == (0, cli.ok("consume", orders).stdout, "")
