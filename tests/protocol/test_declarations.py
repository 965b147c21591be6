"""Declarations against Kafka's own message definitions.

kafka-python carries those of the APIs a client uses, of the Kafka release it was made for; the marked test reads
the pinned release's out of the kafka-clients jar.
"""

import importlib.resources
import json
import re
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flymq_protocol import generate
from flymq_protocol.errors import ErrorCode
from flymq_protocol.layout import ArrayLayout, StructLayout, VariableLayout, WireType, message_layout
from flymq_protocol.message import NEVER_FLEXIBLE, FieldSpec, Message, Struct
from flymq_protocol.types import VERSION_MAX, ZERO_UUID, Array, Fixed, Variable

with warnings.catch_warnings():
    # kafka-python reads its message definitions with a deprecated function as it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import errors as kafka_errors

MESSAGES = [pytest.param(cls, id=cls.__name__) for group in generate.declared() for cls in group]
KAFKA_CLIENTS = "kafka-clients-4.3.1.jar"
CACHE = Path(__file__).parents[2] / "compat_tests" / ".cache"

# It has no consumer of the newer protocol yet: the pinned release alone tells.
NOT_IN_KAFKA_PYTHON = {
    f"ConsumerGroup{api}{kind}" for api in ("Heartbeat", "Describe") for kind in ("Request", "Response")
}

Definition = dict[str, Any]

# Kafka gives a struct of the request and another one of the response the same name.
KAFKAS_NAMES = {"PartitionDataResult": "PartitionData", "TopicDataResult": "TopicData"}


@pytest.mark.parametrize("cls", [cls for cls in MESSAGES if cls.id not in NOT_IN_KAFKA_PYTHON])
def test_fields_equal_those_that_kafka_python_has(cls: type[Message]) -> None:
    resources = importlib.resources.files("kafka.protocol.schemas.resources")
    definition = parse((resources / f"{cls.__name__}.json").read_text(encoding="utf-8"))
    low, high = versions(definition["validVersions"])
    common = range(max(low, cls.MIN_VERSION), min(high, cls.MAX_VERSION) + 1)
    assert len(common) > 0
    compare(cls, definition, common)


@pytest.fixture(scope="session")
def kafka_clients_jar() -> zipfile.ZipFile:
    path = CACHE / KAFKA_CLIENTS
    if not path.exists():
        artifact = "-Dartifact=org.apache.kafka:kafka-clients:4.3.1"
        command = ["mvn", "-q", "dependency:copy", artifact, f"-DoutputDirectory={CACHE}"]
        subprocess.run(command, check=True, cwd=CACHE.parents[1])
    return zipfile.ZipFile(path)


@pytest.mark.compat
@pytest.mark.parametrize("cls", MESSAGES)
def test_fields_equal_those_of_the_pinned_release(cls: type[Message], kafka_clients_jar: zipfile.ZipFile) -> None:
    def read(name: str) -> Definition:
        return parse(kafka_clients_jar.read(f"common/message/{name}.json").decode())

    definition = read(cls.__name__)
    low, high = versions(definition["validVersions"])
    # Only a request says that its last version is unstable; it goes for the response too.
    request = read(cls.__name__.replace("Response", "Request"))
    if request.get("latestVersionUnstable"):
        high -= 1
    assert (low, high) == (cls.MIN_VERSION, cls.MAX_VERSION)
    compare(cls, definition, range(low, high + 1))


def compare(cls: type[Message], definition: Definition, common: range) -> None:
    """Everything equal in these versions: order, names, types, nullability, tags, defaults, ignorable."""
    assert definition.get("apiKey", -1) == cls.KEY
    flexible = definition["flexibleVersions"]
    assert (NEVER_FLEXIBLE if flexible == "none" else versions(flexible)[0]) == cls.FLEXIBLE_FROM
    for version in common:
        assert declared_struct(message_layout(cls, version)) == defined_fields(definition["fields"], version)
    assert declared_constants(cls, common) == defined_constants(definition["fields"], common)


# Ours, as plain data


def declared_struct(layout: StructLayout) -> list[Any]:
    """(name, type, nullable, tag) of a version's fields, sorted by name; body fields also by their order."""
    body = [item.name for item in layout.fields]
    items = [
        (item.name, declared_type(item.type), item.nullable, item.spec.tag) for item in (*layout.fields, *layout.tagged)
    ]
    return [body, sorted(items, key=lambda item: item[0])]


def declared_type(type_: WireType) -> Any:
    if isinstance(type_, Fixed):
        return type_.name
    if isinstance(type_, VariableLayout):
        return type_.type.name
    if isinstance(type_, ArrayLayout):
        return ["array", declared_type(type_.element)]
    name = type_.cls.__name__
    return [KAFKAS_NAMES.get(name, name), declared_struct(type_)]


def declared_constants(cls: type[Struct], common: range, path: str = "") -> dict[str, Any]:
    """Path -> (default, ignorable) of every field that is in one of the versions."""
    out: dict[str, Any] = {}
    for spec in cls.FIELDS:
        name = f"{path}.{spec.name}"
        if any(spec.in_version(version) for version in common):
            out[name] = plain_default(spec), spec.ignorable
            inner = spec.type.element if isinstance(spec.type, Array) else spec.type
            if not isinstance(inner, Fixed | Variable):
                out |= declared_constants(inner, common, name)
    return out


def plain_default(spec: FieldSpec) -> Any:
    value = spec.default_value()
    return "struct" if isinstance(value, Struct) else value


# Kafka's, as the same plain data


def parse(text: str) -> Definition:
    """A definition, with its common structs put where they are used."""
    definition: Definition = json.loads(re.sub(r"(?m)//.*$", "", text))
    common = {struct["name"]: struct["fields"] for struct in definition.pop("commonStructs", [])}

    def inline(fields: list[Definition]) -> None:
        for field in fields:
            name = field["type"].removeprefix("[]")
            if name in common:
                field["fields"] = common[name]
            inline(field.get("fields", []))

    inline(definition["fields"])
    return definition


def versions(text: str) -> tuple[int, int]:
    low, dash, high = text.removesuffix("+").partition("-")
    return int(low), VERSION_MAX if text.endswith("+") else int(high if dash else low)


def within(field: Definition, key: str, version: int) -> bool:
    if key not in field or field[key] == "none":
        return False
    low, high = versions(field[key])
    return low <= version <= high


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def defined_fields(fields: list[Definition], version: int) -> list[Any]:
    present = [field for field in fields if within(field, "versions", version)]
    body = [snake(field["name"]) for field in present if not within(field, "taggedVersions", version)]
    items = [
        (
            snake(field["name"]),
            defined_type(field, field["type"], version),
            within(field, "nullableVersions", version),
            field["tag"] if within(field, "taggedVersions", version) else None,
        )
        for field in present
    ]
    return [body, sorted(items, key=lambda item: item[0])]


def defined_type(field: Definition, name: str, version: int) -> Any:
    if name.startswith("[]"):
        return ["array", defined_type(field, name[2:], version)]
    return [name, defined_fields(field["fields"], version)] if "fields" in field else name


def defined_constants(fields: list[Definition], common: range, path: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in fields:
        name = f"{path}.{snake(field['name'])}"
        if any(within(field, "versions", version) for version in common):
            out[name] = defined_default(field), field.get("ignorable", False)
            out |= defined_constants(field.get("fields", []), common, name)
    return out


def defined_default(field: Definition) -> Any:
    type_, default = field["type"], field.get("default")
    if default == "null":
        return None
    if type_.startswith("[]"):
        return []
    if type_[0].isupper():
        return "struct"
    read: dict[str, Callable[[Any], Any]] = {
        "string": lambda value: value or "",
        "bytes": lambda _: b"",
        "records": lambda _: None,
        "uuid": lambda _: ZERO_UUID,
        "bool": lambda value: value == "true",
    }
    return read.get(type_, lambda value: int(str(value or 0), 0))(default)


# Error codes

# Where kafka-python goes by older or other names.
KAFKA_PYTHON_NAMES = {
    "UNKNOWN": ErrorCode.UNKNOWN_SERVER_ERROR,
    "NO_ERROR": ErrorCode.NONE,
    "NOT_LEADER_FOR_PARTITION": ErrorCode.NOT_LEADER_OR_FOLLOWER,
    "MESSAGE_SIZE_TOO_LARGE": ErrorCode.MESSAGE_TOO_LARGE,
    "INVALID_TOPIC": ErrorCode.INVALID_TOPIC_EXCEPTION,
    "INVALID_REPLICATION_ASSIGNMENT": ErrorCode.INVALID_REPLICA_ASSIGNMENT,
}


def test_error_codes_equal_those_that_kafka_python_has() -> None:
    theirs = {
        cls.errno: cls.message
        for cls in vars(kafka_errors).values()
        if isinstance(cls, type) and isinstance(getattr(cls, "errno", None), int)
    }
    assert set(theirs) == {code.value for code in ErrorCode if code <= max(theirs)}
    different = {
        number: name
        for number, name in theirs.items()
        if KAFKA_PYTHON_NAMES.get(name, ErrorCode(number)) != number
        or (name not in KAFKA_PYTHON_NAMES and name != ErrorCode(number).name)
    }
    assert different == {}


@pytest.mark.compat
def test_error_codes_equal_those_of_the_pinned_release(kafka_clients_jar: zipfile.ZipFile) -> None:
    # Kafka declares them by rising number without a gap, so the order of the names is enough.
    command = ["javap", "-cp", str(kafka_clients_jar.filename), "-public", "org.apache.kafka.common.protocol.Errors"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"static final org\.apache\.kafka\.common\.protocol\.Errors (\w+);", text)
    assert names == [code.name for code in sorted(ErrorCode)]
    assert sorted(ErrorCode) == list(range(-1, len(names) - 1))
