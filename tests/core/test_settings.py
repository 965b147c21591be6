"""Settings: the tables against Kafka's own, values and their errors, what is in force where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.core.settings import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    OWN_DEFAULTS,
    OWN_READ_ONLY,
    TOPIC_SETTINGS,
    UNUSED_SETTINGS,
    BrokerConfig,
    ConfigSource,
    ConfigType,
    SettingError,
    TopicConfig,
    check_overrides,
    describe_broker,
    describe_topic,
)
from flymq.core.settings.setting import BOOLEAN, DOUBLE, INT, LIST, LONG, SHORT, STRING, Setting, at_least, to_text

KAFKA = [
    line.split("\t")
    for line in (Path(__file__).parent / "kafka_settings.tsv").read_text().splitlines()
    if not line.startswith("#")
]
ALL_SETTINGS = [
    setting
    for table in (TOPIC_SETTINGS, BROKER_SETTINGS, GROUP_SETTINGS, CLIENT_METRICS_SETTINGS)
    for setting in table.values()
]
# `log.flush.interval.ms` is behind flush.ms, `log.retention.ms` behind retention.ms, and so on; a broker
# where they are unset does not show them, so the recording has none.
UNSET_IN_KAFKA = {"flush.ms", "retention.ms", "segment.jitter.ms", "segment.ms"}


def config(**values: str) -> BrokerConfig:
    """`log_retention_ms="5"` stands for log.retention.ms."""
    return BrokerConfig([{name.replace("_", "."): (text, "test") for name, text in values.items()}])


# -- the tables -----------------------------------------------------------------------------------


def test_topic_settings_are_exactly_kafkas() -> None:
    ours = {
        (name, setting.type.name, setting.default, "rw" if setting.dynamic else "ro", (setting.synonyms or ("",))[0])
        for name, setting in TOPIC_SETTINGS.items()
    }
    kafkas = {
        (name, type_, default, access, TOPIC_SETTINGS[name].synonyms[0] if name in UNSET_IN_KAFKA else synonym)
        for kind, name, type_, default, access, synonym in KAFKA
        if kind == "topic"
    }
    assert ours == kafkas


def test_broker_settings_have_kafkas_types_defaults_and_access() -> None:
    kafkas = {name: (type_, default, access) for kind, name, type_, default, access, _ in KAFKA if kind == "broker"}
    for name, setting in BROKER_SETTINGS.items():
        if name.startswith("flymq."):
            continue
        default = r"\N" if setting.kafka_default is None else setting.kafka_default
        dynamic = setting.dynamic or name in OWN_READ_ONLY
        assert (setting.type.name, default, "rw" if dynamic else "ro") == kafkas[name], name


def test_what_only_kafka_changes_at_run_time_is_read_only_here() -> None:
    assert not any(BROKER_SETTINGS[name].dynamic for name in OWN_READ_ONLY)


@pytest.mark.parametrize(("kind", "table"), [("group", GROUP_SETTINGS), ("client-metrics", CLIENT_METRICS_SETTINGS)])
def test_settings_of_groups_and_metrics_are_exactly_kafkas(kind: str, table: dict[str, Setting]) -> None:
    ours = {(name, one.type.name, one.default, "rw" if one.dynamic else "ro") for name, one in table.items()}
    kafkas = [row for row in KAFKA if row[0] == kind]
    assert ours == {(name, type_, default, access) for _, name, type_, default, access, _ in kafkas}
    synonyms = {name: synonym for _, name, _, _, _, synonym in kafkas}
    for name, setting in table.items():
        assert all(one == synonyms[name] for one in setting.synonyms)


def test_own_defaults_are_the_only_differences() -> None:
    differ = {
        name: setting.default for name, setting in BROKER_SETTINGS.items() if setting.default != setting.kafka_default
    }
    assert differ == OWN_DEFAULTS


def test_every_broker_setting_of_kafka_is_known_once() -> None:
    kafkas = {name for kind, name, *_ in KAFKA if kind == "broker"}
    assert not BROKER_SETTINGS.keys() & UNUSED_SETTINGS
    assert kafkas <= BROKER_SETTINGS.keys() | UNUSED_SETTINGS


@pytest.mark.parametrize("setting", ALL_SETTINGS, ids=lambda one: one.name)
def test_a_default_is_valid_and_canonical(setting: Setting) -> None:
    if setting.default is not None:
        assert setting.canonical(setting.default) == setting.default


@pytest.mark.parametrize("setting", ALL_SETTINGS, ids=lambda one: one.name)
def test_a_setting_is_explained_in_a_sentence(setting: Setting) -> None:
    assert setting.doc.endswith(".")
    assert len(setting.doc) > 20
    assert "  " not in setting.doc


def test_every_synonym_is_a_broker_setting() -> None:
    for setting in ALL_SETTINGS:
        if not setting.name.startswith(("share.", "streams.")):  # groups that FlyMQ does not have
            assert set(setting.synonyms) <= BROKER_SETTINGS.keys()


def test_types_are_numbered_as_on_the_wire() -> None:
    assert [(one.name, one.value) for one in ConfigType] == [
        ("BOOLEAN", 1), ("STRING", 2), ("INT", 3), ("SHORT", 4), ("LONG", 5), ("DOUBLE", 6), ("LIST", 7),
        ("CLASS", 8), ("PASSWORD", 9),
    ]  # fmt: skip


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (BOOLEAN, " TRUE ", True),
        (BOOLEAN, "False", False),
        (INT, "+12", 12),
        (INT, "-2147483648", -(2**31)),
        (SHORT, "32767", 32767),
        (LONG, "9223372036854775807", 2**63 - 1),
        (DOUBLE, "5e-1", 0.5),
        (DOUBLE, "1", 1.0),
        (LIST, "a, b", ["a", "b"]),
        (LIST, "", []),
        (STRING, " text ", "text"),
    ],
)
def test_parse(type_: ConfigType, text: str, value: object) -> None:
    assert Setting("x", type_, None, "").parse(text) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (BOOLEAN, "yes"),
        (INT, "2147483648"),
        (INT, "1_000"),
        (INT, "１２"),  # noqa: RUF001  digits of another script, which int() would take
        (INT, ""),
        (INT, "1.0"),
        (SHORT, "40000"),
        (LONG, "9223372036854775808"),
        (DOUBLE, "nan"),
        (DOUBLE, "infinity"),
        (DOUBLE, ""),
        (LIST, "a,,b"),
        (LIST, "a,a"),
    ],
)
def test_parse_refuses(type_: ConfigType, text: str) -> None:
    with pytest.raises(SettingError):
        Setting("x", type_, None, "").parse(text)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_long_comes_back(number: int) -> None:
    setting = Setting("x", LONG, None, "")
    assert setting.parse(to_text(number)) == number


@given(st.lists(st.from_regex(r"[a-z:*0-9]+", fullmatch=True), unique=True))
def test_every_list_comes_back(words: list[str]) -> None:
    setting = Setting("x", LIST, None, "")
    assert setting.parse(to_text(words)) == words


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for setting in TOPIC_SETTINGS.values():
        try:
            once = setting.canonical(text)
        except SettingError:
            continue
        assert setting.canonical(once) == once


def test_an_error_names_setting_and_value_and_says_what_is_right() -> None:
    with pytest.raises(SettingError) as caught:
        Setting("a.b", INT, None, "", at_least(1)).parse("0")
    assert caught.value.whole == 'a.b can\'t be "0": it must be a whole number, at least 1'


# -- the broker's ---------------------------------------------------------------------------------


def test_later_layers_win_and_say_where_they_come_from() -> None:
    loaded = BrokerConfig([
        {"num.partitions": ("2", "file:1"), "log.retention.ms": ("5", "file:2")},
        {"num.partitions": ("3", "environment X")},
    ])  # fmt: skip
    assert loaded.int("num.partitions") == 3
    assert loaded.origin("num.partitions") == "environment X"
    assert loaded.origin("log.retention.ms") == "file:2"
    assert loaded.origin("fetch.max.bytes") == "default"


def test_typed_access() -> None:
    loaded = config(log_cleanup_policy="compact,delete")
    assert loaded.int("message.max.bytes") == 1048588
    assert loaded.bool("delete.topic.enable") is True
    assert loaded.str("flymq.durability") == "fsync"
    assert loaded.list("log.cleanup.policy") == ["compact", "delete"]
    assert loaded.get("broker.rack") is None
    with pytest.raises(AssertionError):
        loaded.int("broker.rack")
    with pytest.raises(KeyError):
        loaded.get("no.such.setting")


def test_an_unknown_setting_is_refused_with_a_suggestion() -> None:
    with pytest.raises(SettingError, match=r"test: there is no setting num\.partition$") as caught:
        config(num_partition="3")
    assert "num.partitions" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "text"), [(0.5, "0.5"), (1e7, "1.0E7"), (12345678.5, "1.23456785E7"), (-2e300, "-2.0E300")]
)
def test_large_numbers_are_written_as_java_does(number: float, text: str) -> None:
    assert to_text(number) == text
    assert float(text) == number


def test_a_bad_value_is_refused_with_its_origin() -> None:
    with pytest.raises(SettingError, match=r'^test: num\.partitions can\'t be "0"$') as caught:
        config(num_partitions="0")
    assert caught.value.hint == "it must be a whole number, at least 1"


def test_kafka_settings_without_effect_are_kept_aside() -> None:
    loaded = BrokerConfig([{"num.io.threads": ("8", "f:1"), "listener.name.x.ssl.key": ("k", "f:2")}])
    assert loaded.unused == [("num.io.threads", "f:1"), ("listener.name.x.ssl.key", "f:2")]


def test_access_control_is_not_silently_left_out() -> None:
    with pytest.raises(SettingError, match="authorizer"):
        config(authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer")
    config(authorizer_class_name="")


def test_broker_id_is_node_id() -> None:
    assert config().node_id == 1
    assert config(broker_id="-1").node_id == 1
    assert config(broker_id="7").node_id == 7
    assert config(broker_id="7").origin("node.id") == "test"
    assert config(broker_id="7", node_id="7").node_id == 7
    with pytest.raises(SettingError, match=r"broker\.id is 7, but node\.id is 8"):
        config(broker_id="7", node_id="8")


# -- listeners ------------------------------------------------------------------------------------


def test_listeners() -> None:
    loaded = config(
        listeners="PLAINTEXT://:9092,inside://[::1]:0,CONTROLLER://:9093",
        controller_listener_names="CONTROLLER",
        listener_security_protocol_map="PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        advertised_listeners="INSIDE://broker:1234,CONTROLLER://broker:9093",
    )
    assert loaded.listeners == [("PLAINTEXT", "", 9092), ("INSIDE", "::1", 0)]
    assert [str(one) for one in loaded.listeners] == ["PLAINTEXT://:9092", "INSIDE://[::1]:0"]
    assert loaded.advertised == {"INSIDE": ("broker", 1234)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"listeners": "localhost:9092"}, 'listeners has "localhost:9092"'),
        ({"listeners": "PLAINTEXT://localhost"}, 'listeners has "localhost"'),
        ({"listeners": "PLAINTEXT://localhost:70000"}, 'listeners has "localhost:70000"'),
        ({"listeners": "PLAINTEXT://::1:9092"}, 'listeners has "::1:9092"'),
        ({"listeners": "PLAINTEXT://a:1,PLAINTEXT://b:2"}, "two listeners called PLAINTEXT"),
        ({"listeners": "SASL_SSL://a:1"}, "test: listeners asks for SASL_SSL on SASL_SSL://a:1"),
        ({"listeners": "INSIDE://a:1"}, "INSIDE, whose protocol is not known"),
        ({"listeners": ""}, "names no address"),
        ({"advertised_listeners": "OTHER://a:1"}, "OTHER, which is not among listeners"),
        ({"advertised_listeners": "PLAINTEXT://0.0.0.0:9092"}, "where no client can connect"),
        ({"listener_security_protocol_map": "PLAINTEXT"}, 'has "PLAINTEXT"'),
    ],
)
def test_bad_listeners(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        config(**values)
    assert message in str(caught.value)
    assert caught.value.hint


# -- a topic's ------------------------------------------------------------------------------------


def test_a_topics_defaults() -> None:
    topic = TopicConfig.of(config(), {})
    assert topic.segment_bytes == 2**30
    assert topic.retention_ms == topic.segment_ms == 7 * 86_400_000
    assert topic.retention_bytes == -1
    assert topic.max_message_bytes == 1048588
    assert topic.compression_type == "producer"
    assert topic.timestamp_after_max_ms == 3_600_000
    assert (topic.compact, topic.delete, topic.log_append_time) == (False, True, False)
    assert topic.text("min.cleanable.dirty.ratio") == "0.5"


def test_a_topics_own_settings_go_first_then_the_brokers() -> None:
    broker = config(log_retention_ms="1000", message_max_bytes="2000")
    own = {"retention.ms": "5", "cleanup.policy": "", "message.timestamp.type": "LogAppendTime"}
    topic = TopicConfig.of(broker, own)
    assert topic.retention_ms == 5
    assert topic.max_message_bytes == 2000
    assert (topic.compact, topic.delete, topic.log_append_time) == (False, False, True)


@pytest.mark.parametrize(
    ("values", "retention_ms"),
    [
        ({"log_retention_hours": "1"}, 3_600_000),
        ({"log_retention_hours": "1", "log_retention_minutes": "1"}, 60_000),
        ({"log_retention_hours": "1", "log_retention_minutes": "1", "log_retention_ms": "1"}, 1),
        ({"log_retention_hours": "-1"}, -1),
        ({"log_retention_minutes": "-1", "log_retention_hours": "5"}, -1),
    ],
)
def test_the_finest_unit_goes_first(values: dict[str, str], retention_ms: int) -> None:
    assert TopicConfig.of(config(**values), {}).retention_ms == retention_ms


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"retention": "5"}, "Unknown topic config name: retention: did you mean retention.ms"),
        ({"segment.bytes": "100"}, 'segment.bytes can\'t be "100": it must be a whole number, at least 1048576'),
        ({"retention.ms": None}, "retention.ms is null: it must be a whole number, at least -1"),
        ({"remote.storage.enable": "true"}, "FlyMQ has no tiered storage"),
        ({"cleanup.policy": "delete,shrink"}, "any of compact, delete"),
        ({"min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1"}, "min.compaction.lag.ms 2 is above"),
        ({"leader.replication.throttled.replicas": "1-2"}, "pairs partition:broker"),
    ],
)
def test_bad_topic_settings(overrides: dict[str, str | None], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        TopicConfig.of(config(), overrides)
    assert message in caught.value.whole


def test_overrides_are_stored_in_kafkas_form() -> None:
    assert check_overrides({"preallocate": "TRUE", "cleanup.policy": " compact , delete "}) == {
        "preallocate": "true",
        "cleanup.policy": "compact,delete",
    }


# -- described ------------------------------------------------------------------------------------


def synonyms_of(name: str, broker: BrokerConfig, **overrides: str) -> list[tuple[str, str | None, int]]:
    own = {key.replace("_", "."): text for key, text in overrides.items()}
    described = {one.setting.name: one for one in describe_topic(broker, own)}[name]
    return [(one.name, one.value, one.source) for one in described.synonyms]


def test_synonyms_and_source_of_a_topic_setting() -> None:
    assert synonyms_of("segment.bytes", config(log_segment_bytes="2000000"), segment_bytes="3000000") == [
        ("segment.bytes", "3000000", ConfigSource.TOPIC),
        ("log.segment.bytes", "2000000", ConfigSource.STATIC_BROKER),
        ("log.segment.bytes", "1073741824", ConfigSource.DEFAULT),
    ]


def test_hours_do_not_show_under_retention_ms() -> None:
    assert synonyms_of("retention.ms", config(log_retention_hours="1")) == []
    assert synonyms_of("retention.ms", config(log_retention_ms="1")) == [
        ("log.retention.ms", "1", ConfigSource.STATIC_BROKER),
        ("log.retention.hours", "168", ConfigSource.DEFAULT),
    ]


def test_sources_are_what_clients_know() -> None:
    described = {one.setting.name: one for one in describe_broker(config(num_partitions="4"))}
    assert described.keys() == BROKER_SETTINGS.keys()
    assert (described["num.partitions"].value, described["num.partitions"].source) == ("4", 4)
    assert (described["broker.rack"].value, described["broker.rack"].source) == (None, 5)
    assert described["fetch.max.bytes"].source == 5
