"""The loop of a driver in Python; it runs with old releases of the clients too, so it needs nothing but Python.

A driver is an object with a method for each call, whose parameters are the call's. `error_code(failure)` of its module
names what a library raised.
"""

from __future__ import annotations

import base64
import json
import re
import sys


def serve(driver, error_code):
    """Answer calls until stdin ends."""
    for line in sys.stdin:
        call = json.loads(line)
        try:
            answer = {"result": getattr(driver, call.pop("do"))(**call)}
        except Exception as failure:
            answer = {"error": error_code(failure), "message": str(failure)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def upper(class_name):
    """`UnknownTopicOrPartitionError` -> `UNKNOWN_TOPIC_OR_PARTITION`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.sub(r"Error$", "", class_name)).upper()


def to_bytes(text):
    return None if text is None else base64.b64decode(text)


def to_text(value):
    return None if value is None else base64.b64encode(value).decode()


def to_headers(given):
    return [(name, to_bytes(value)) for name, value in given or []]


def row(topic, partition, offset, timestamp, key, value, headers):
    """A record as `poll` answers it."""
    headers = [[name, to_text(content)] for name, content in headers or ()]
    return [topic, partition, offset, timestamp, to_text(key), to_text(value), headers]
