"""How long an embedded broker takes: run it by hand, `python tests/testing/measure_starts.py [ROUNDS]`. Not a test."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from confluent_kafka import Consumer
from kafka import KafkaConsumer

from flymq import EmbeddedBroker, FlyMQClient


def shown(what: str, taken_s: list[float]) -> None:
    median, most = statistics.median(taken_s) * 1000, max(taken_s) * 1000
    sys.stdout.write(f"{what:<42} median {median:7.1f} ms   max {most:7.1f} ms   of {len(taken_s)}\n")


def first_by_flymq(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers) as client:
        client.produce("orders", "one")
        with client.consumer("orders", "kitchen", auto_offset_reset="earliest") as consumer:
            next(consumer)
            read_at.append(time.perf_counter())


def first_by_confluent(broker: EmbeddedBroker) -> None:
    broker.seed("orders", ["one"])
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "kitchen", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["orders"])
    consumer.poll(30)
    read_at.append(time.perf_counter())
    consumer.close()


def first_by_kafka_python(broker: EmbeddedBroker) -> None:
    broker.seed("orders", ["one"])
    where = broker.bootstrap_servers
    consumer = KafkaConsumer("orders", bootstrap_servers=where, group_id="kitchen", auto_offset_reset="earliest")
    next(consumer)
    read_at.append(time.perf_counter())
    consumer.close()


read_at: list[float] = []


def main(rounds: int) -> None:
    starts, stops, wipes = [], [], []
    EmbeddedBroker().start().stop()  # what is imported once
    for _ in range(rounds):
        begin = time.perf_counter()
        broker = EmbeddedBroker(topics={"orders": 1}).start()
        starts.append(time.perf_counter() - begin)
        broker.seed("orders", ["one"])
        begin = time.perf_counter()
        broker.wipe()
        wipes.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        broker.stop()
        stops.append(time.perf_counter() - begin)
    shown("constructor and start", starts)
    shown("stop", stops)
    shown("wipe, after a seed", wipes)
    clients: list[Callable[[EmbeddedBroker], None]] = [first_by_flymq, first_by_confluent, first_by_kafka_python]
    for client in clients:
        read_at.clear()
        begun = []
        for _ in range(max(1, rounds // 10) + 1):
            begun.append(time.perf_counter())
            with EmbeddedBroker(topics={"orders": 1}) as broker:
                client(broker)
        taken = [after - before for before, after in zip(begun, read_at, strict=True)][1:]
        shown(f"constructor to first grouped record, {client.__name__[9:]}", taken)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
