"""Generated codecs against Construct: on random values, on damaged bytes, on no message at all."""

import random
import subprocess
import sys
import tracemalloc
from typing import Any

import construct
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flymq_protocol import generate
from flymq_protocol._runtime import ELEMENTS_MAX
from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.api.k01_fetch import FetchRequest, FetchResponse, LeaderIdAndEpoch, PartitionData
from flymq_protocol.api.k09_offset_fetch import OffsetFetchRequest
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.api.k18_api_versions import ApiVersionsResponse
from flymq_protocol.api.k42_delete_groups import DeleteGroupsRequest
from flymq_protocol.errors import EncodeError, ProtocolError
from flymq_protocol.layout import ArrayLayout, StructLayout, VariableLayout, WireType, message_layout
from flymq_protocol.message import Message, Struct
from flymq_protocol.registry import API, load
from flymq_protocol.types import Fixed, String

MESSAGES = [cls for group in generate.declared() for cls in group]
CASES = [
    pytest.param(cls, version, id=f"{cls.__name__}-v{version}")
    for cls in MESSAGES
    for version in range(cls.MIN_VERSION, cls.MAX_VERSION + 1)
]
LAYOUTS = [
    pytest.param(cls, versions[-1], id=f"{cls.__name__}-v{versions[-1]}")
    for cls in MESSAGES
    for _, versions in generate.layouts(cls)
]
REFUSALS = (construct.ConstructError, ProtocolError, UnicodeDecodeError)

few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None)
more = settings(few, max_examples=8)

# Lengths around the one-byte varint's end, where the generated code changes path.
TEXT = st.one_of(st.text(max_size=6), st.integers(125, 130).map("x".__mul__), st.just("é" * 200))
BLOB = st.one_of(st.binary(max_size=6), st.integers(125, 130).map(bytes))
UNKNOWN_TAGS = st.lists(st.tuples(st.integers(100, 2**32 - 1), BLOB), max_size=2, unique_by=lambda tag: tag[0])


def wire_values(type_: WireType, nullable: bool = False) -> st.SearchStrategy[Any]:
    """Values that a field of this layout can hold."""
    if nullable:
        return st.one_of(st.none(), wire_values(type_))
    if isinstance(type_, Fixed):
        if type_.name == "bool":
            return st.booleans()
        if type_.name == "uuid":
            return st.binary(min_size=16, max_size=16)
        bits = 8 * type_.size
        if type_.name.startswith("u"):
            return st.integers(0, 2**bits - 1)
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if isinstance(type_, VariableLayout):
        return TEXT if type_.type is String else BLOB
    if isinstance(type_, ArrayLayout):
        return st.lists(wire_values(type_.element), max_size=3)
    return instances(type_)


def instances(layout: StructLayout) -> st.SearchStrategy[Struct]:
    fields = {item.name: wire_values(item.type, item.nullable) for item in (*layout.fields, *layout.tagged)}

    def make(values: dict[str, Any], unknown: list[tuple[int, bytes]]) -> Struct:
        instance = layout.cls(**values)
        instance.unknown_tags = tuple(sorted(unknown))
        return instance

    return st.builds(make, st.fixed_dictionaries(fields), UNKNOWN_TAGS if layout.flexible else st.just([]))


@pytest.mark.parametrize(("cls", "version"), CASES)
def test_codec_equals_construct(cls: type[Message], version: int) -> None:
    specification = cls.construct(version)

    @few
    @given(instances(message_layout(cls, version)))
    def check(message: Message) -> None:
        data = specification.build(message)
        assert message.encode(version) == data
        assert b"".join(message.encode_parts(version)) == data
        assert specification.parse(data) == message
        assert cls.decode(version, data) == message
        assert cls.decode(version, memoryview(bytearray(data + b"trailing"))) == message

    check()


@pytest.mark.parametrize(("cls", "version"), LAYOUTS)
def test_damaged_bytes_are_read_as_construct_reads_them(cls: type[Message], version: int) -> None:
    specification = cls.construct(version)

    @more
    @given(instances(message_layout(cls, version)), st.integers(0, 2**32))
    def check(message: Message, seed: int) -> None:
        valid = message.encode(version)
        for n in range(8):
            same_outcome(cls, version, specification, damage(valid, random.Random(seed + n)))

    check()


@pytest.mark.parametrize(("cls", "version"), LAYOUTS)
def test_any_bytes_are_read_as_construct_reads_them(cls: type[Message], version: int) -> None:
    specification = cls.construct(version)

    @more
    @given(st.binary(max_size=64))
    def check(data: bytes) -> None:
        same_outcome(cls, version, specification, data)

    check()


def damage(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(out))
        kind = rng.randrange(4)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 3))
        elif kind == 2:
            del out[at : at + rng.randint(1, 3)]
        elif at < len(out):
            out[at] = rng.choice((0, 1, 2, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(out)


def same_outcome(cls: type[Message], version: int, specification: Any, data: bytes) -> None:
    """Both give the same message, or both refuse; for the codec nothing but ProtocolError is a refusal."""
    try:
        message: Message | None = cls.decode(version, data)
    except ProtocolError:
        message = None
    try:
        expected = specification.parse(data)
    except REFUSALS:
        expected = None
    assert message == expected


def test_generated_modules_are_up_to_date() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in generate.FOLDER.glob("*.py")}
    assert written == generate.sources(), "run python -m flymq_protocol.generate"


def test_decoding_imports_neither_construct_nor_dataclasses() -> None:
    code = """
import sys
from flymq_protocol import consumer_protocol, framing, headers, registry
for key, row in registry.API.items():
    for cls in registry.load(key):
        cls.decode(row.version_max, cls().encode(row.version_max))
print([name for name in ("construct", "dataclasses", "flymq_protocol.layout") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_registry_row_has_its_module_and_codec() -> None:
    for key, row in API.items():
        assert row.key == key
        assert row.module.startswith(f"k{key:02}_")
        for cls in load(key):
            assert (key, row.version_min, row.version_max) == (cls.KEY, cls.MIN_VERSION, cls.MAX_VERSION)
            assert row.flexible_from == cls.FLEXIBLE_FROM
            assert cls.decode(row.version_min, cls().encode(row.version_min)) == cls()


# Limits


def test_elements_are_limited() -> None:
    body = b"\x01" * ELEMENTS_MAX
    assert len(DeleteGroupsRequest.decode(2, varint(ELEMENTS_MAX + 1) + body + b"\0").groups_names) == ELEMENTS_MAX
    with pytest.raises(ProtocolError, match="elements"):
        DeleteGroupsRequest.decode(2, varint(ELEMENTS_MAX + 2) + body + b"\x01\0")


def test_elements_are_counted_over_nested_arrays() -> None:
    topic = b"\0\x01t" + (600_000).to_bytes(4, "big") + bytes(4 * 600_000)
    one = OffsetFetchRequest.decode(1, b"\0\0" + (1).to_bytes(4, "big") + topic)
    assert one.topics is not None
    assert len(one.topics[0].partition_indexes) == 600_000
    with pytest.raises(ProtocolError, match="elements"):
        OffsetFetchRequest.decode(1, b"\0\0" + (2).to_bytes(4, "big") + topic * 2)


def test_an_impossible_count_allocates_nothing() -> None:
    tracemalloc.start()
    for data in (varint(2**31) + b"xxx", varint(1_000_000) + b"xxx"):
        with pytest.raises(ProtocolError):
            DeleteGroupsRequest.decode(2, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_tagged_fields_are_limited() -> None:
    with pytest.raises(ProtocolError, match="elements"):
        DeleteGroupsRequest.decode(2, b"\x01" + varint(ELEMENTS_MAX + 1) + b"\x01\x00" * (ELEMENTS_MAX + 1))


def varint(value: int) -> bytes:
    return bytes(construct.VarInt.build(value))


# Strictness and leniency


def test_null_where_it_is_not_allowed() -> None:
    with pytest.raises(ProtocolError, match="group_id is null"):
        HeartbeatRequest.decode(4, bytes([0, 0, 0, 0, 1, 1, 0, 0]))
    with pytest.raises(ProtocolError, match="group_id is null"):
        HeartbeatRequest.decode(0, b"\xff\xff" + bytes(6))


def test_a_length_below_minus_one_is_null() -> None:
    data = b"\0\x01g" + bytes(4) + b"\0\0" + b"\xff\x00"
    assert HeartbeatRequest.decode(3, data).group_instance_id is None


def test_bad_utf8() -> None:
    with pytest.raises(ProtocolError):
        HeartbeatRequest.decode(0, b"\0\x01\xff" + bytes(6))


def test_strings_end_at_32767_bytes() -> None:
    HeartbeatRequest("g" * 32767).encode(4)
    for version in (3, 4):
        with pytest.raises(EncodeError):
            HeartbeatRequest("g" * 32768).encode(version)
    with pytest.raises(ProtocolError, match="32768"):
        HeartbeatRequest.decode(4, varint(32769) + b"g" * 40_000)


def test_a_varint_too_long() -> None:
    with pytest.raises(ProtocolError, match="varint"):
        HeartbeatRequest.decode(4, b"\xff\xff\xff\xff\xff\x01" + bytes(40))


def test_tags_in_any_order_and_unknown_ones_twice() -> None:
    # finalized_features_epoch is tag 1, zk_migration_ready tag 3.
    data = bytes([0, 0, 1]) + bytes(4) + bytes([4, 3, 1, 1, 9, 0, 1, 8]) + (7).to_bytes(8, "big") + bytes([9, 1, 5])
    message = ApiVersionsResponse.decode(3, data)
    assert message.zk_migration_ready
    assert message.finalized_features_epoch == 7
    assert message.unknown_tags == ((9, b""), (9, b"\x05"))


def test_a_known_tag_twice_or_not_filling_its_size() -> None:
    start = bytes([0, 0, 1]) + bytes(4)
    with pytest.raises(ProtocolError, match="twice"):
        ApiVersionsResponse.decode(3, start + bytes([2, 3, 1, 1, 3, 1, 1]))
    with pytest.raises(ProtocolError, match="size"):
        ApiVersionsResponse.decode(3, start + bytes([1, 3, 2, 1, 1]))


def test_unknown_versions() -> None:
    for version in (-1, 5):
        with pytest.raises(ProtocolError, match="no version"):
            HeartbeatRequest.decode(version, b"")
        with pytest.raises(EncodeError, match="no version"):
            HeartbeatRequest().encode(version)


def test_a_value_that_the_version_cannot_carry() -> None:
    with pytest.raises(EncodeError, match="group_instance_id"):
        HeartbeatRequest(group_instance_id="i").encode(2)
    # An ignorable field is dropped.
    assert FetchRequest(session_id=5).encode(4) == FetchRequest().encode(4)


def test_values_out_of_range_and_null_values() -> None:
    with pytest.raises(EncodeError):
        HeartbeatRequest(generation_id=2**31).encode(0)
    null: Any = None
    with pytest.raises(EncodeError, match="None"):
        HeartbeatRequest(member_id=null).encode(0)
    with pytest.raises(EncodeError, match="topic_id"):
        ProduceRequest(topic_data=[TopicProduceData(topic_id=b"short")]).encode(13)
    message = HeartbeatRequest()
    message.unknown_tags = ((1, b""),)
    with pytest.raises(EncodeError, match="unknown_tags"):
        message.encode(0)


# Records and instances


def test_records_are_views_in_and_out() -> None:
    records = bytearray(b"batch")
    request = ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[PartitionProduceData(0, records)])])
    parts = request.encode_parts(9)
    assert any(isinstance(part, memoryview) and part.obj is records for part in parts)
    frame = bytearray(request.encode(9))
    decoded = ProduceRequest.decode(9, frame)
    view = decoded.topic_data[0].partition_data[0].records
    assert isinstance(view, memoryview)
    assert view.obj is frame
    assert decoded == request


def test_instances() -> None:
    first, second = FetchResponse(), FetchResponse()
    first.responses.append(first)  # type: ignore[arg-type]
    assert second.responses == []
    assert second == FetchResponse()
    assert second != HeartbeatRequest()
    assert repr(HeartbeatRequest("g", 1)) == (
        "HeartbeatRequest(group_id='g', generation_id=1, member_id='', group_instance_id=None)"
    )
    assert not hasattr(second, "__dict__")


def test_a_shared_default_is_read_only() -> None:
    partition = PartitionData()
    with pytest.raises(AttributeError, match="assign a new"):
        partition.current_leader.leader_id = 5
    assert partition.current_leader == LeaderIdAndEpoch() == PartitionData().current_leader
    partition.current_leader = LeaderIdAndEpoch()
    assert partition == PartitionData()
    # Equal to the default, though another object: still not written.
    assert len(FetchResponse.construct(12).build(FetchResponse())) == len(FetchResponse().encode(12))
