// A consumer of kafkajs, which is handed records and keeps them until they are asked for.
"use strict";

const { AssignerProtocol, PartitionAssigners } = require("kafkajs");
const { randomUUID } = require("node:crypto");
const { toText } = require("./serve");

const key = (topic, partition) => `${partition} ${topic}`;

// kafkajs has no consumer without a group: one of a group of its own, whose assigner knows what it is to get.
const assignerOf = (wanted) => () => ({
  name: "given",
  version: 0,
  assign: async ({ members }) =>
    members.map(({ memberId }) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: wanted, userData: Buffer.alloc(0) }),
    })),
  protocol: ({ topics }) => ({
    name: "given",
    metadata: AssignerProtocol.MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
  }),
});

class PollingConsumer {
  constructor(kafka, settings) {
    this.kafka = kafka;
    this.settings = settings;
    this.group = settings.group ?? `nobody-${randomUUID()}`;
    this.forget();
  }

  forget() {
    this.batches = []; // [{topic, partition, messages}], in the order they came
    this.polled = new Map(); // key -> {topic, partition, offset of the next}
    this.owned = {};
    this.paused = new Set();
    this.failure = null;
    this.wake = () => {};
  }

  async start(topics, partitionAssigners = [PartitionAssigners.roundRobin]) {
    await this.close(); // a subscription cannot be taken back
    this.forget();
    const { reset, isolation, session_timeout_ms, fetch_min_bytes, fetch_wait_ms, partition_fetch_bytes } = this.settings;
    const consumer = this.kafka.consumer({
      groupId: this.group,
      partitionAssigners,
      sessionTimeout: session_timeout_ms ?? 30000,
      heartbeatInterval: Math.min(500, (session_timeout_ms ?? 30000) / 4),
      minBytes: fetch_min_bytes ?? 1,
      maxWaitTimeInMs: fetch_wait_ms ?? 500,
      maxBytesPerPartition: partition_fetch_bytes ?? 1048576,
      readUncommitted: isolation === "read_uncommitted",
      allowAutoTopicCreation: false,
    });
    this.consumer = consumer;
    const { GROUP_JOIN, REBALANCING, CRASH } = consumer.events;
    consumer.on(REBALANCING, () => this.lose());
    consumer.on(GROUP_JOIN, ({ payload }) => {
      this.lose(); // it reads on from what is committed
      this.owned = payload.memberAssignment;
      this.begin();
    });
    consumer.on(CRASH, ({ payload: { error, restart } }) => {
      if (!restart) this.fail(error); // else it begins anew by itself
    });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: reset === "earliest" });
    // Not awaited: it returns only when the group is complete, or where it crashed and begins anew.
    this.begun = new Promise((resolve) => (this.begin = resolve));
    consumer
      .run({ autoCommit: false, eachBatchAutoResolve: true, eachBatch: async (given) => this.take(given) })
      .catch((failure) => this.fail(failure));
  }

  async assign(offsets) {
    const wanted = {};
    for (const [topic, partition] of offsets) (wanted[topic] ??= []).push(partition);
    await this.start(Object.keys(wanted), [assignerOf(wanted)]);
    await this.begun;
    for (const [topic, partition, offset] of offsets) if (offset != null) this.seek(topic, partition, offset);
  }

  fail(failure) {
    this.failure = failure;
    this.begin();
    this.wake();
  }

  lose() {
    this.batches = [];
    this.polled.clear();
    this.owned = {};
  }

  take({ batch, isRunning, isStale }) {
    if (!isRunning() || isStale()) return;
    this.batches.push({ topic: batch.topic, partition: batch.partition, messages: [...batch.messages] });
    this.wake();
  }

  async poll(count, waitMs) {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const rows = this.takeOut(count);
      if (rows.length > 0) return rows;
      if (this.failure) {
        const failure = this.failure;
        this.failure = null;
        throw failure;
      }
      const left = deadline - Date.now();
      if (left <= 0) return [];
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  takeOut(count) {
    const rows = [];
    for (const { topic, partition, messages } of this.batches) {
      if (this.paused.has(key(topic, partition))) continue;
      for (const message of messages.splice(0, count - rows.length)) {
        rows.push([
          topic, partition, Number(message.offset), Number(message.timestamp), toText(message.key), toText(message.value),
          headers(message.headers),
        ]);
        this.polled.set(key(topic, partition), { topic, partition, offset: Number(message.offset) + 1 });
      }
    }
    this.batches = this.batches.filter(({ messages }) => messages.length > 0);
    return rows;
  }

  assignment() {
    return Object.entries(this.owned).flatMap(([topic, partitions]) => partitions.map((partition) => [topic, partition]));
  }

  seek(topic, partition, offset) {
    this.consumer.seek({ topic, partition, offset: String(offset) });
    this.batches = this.batches.filter((batch) => batch.topic !== topic || batch.partition !== partition);
    this.polled.delete(key(topic, partition));
  }

  pause(partitions) {
    this.consumer.pause(partitions.map(([topic, partition]) => ({ topic, partitions: [partition] })));
    for (const [topic, partition] of partitions) this.paused.add(key(topic, partition));
  }

  resume(partitions) {
    this.consumer.resume(partitions.map(([topic, partition]) => ({ topic, partitions: [partition] })));
    for (const [topic, partition] of partitions) this.paused.delete(key(topic, partition));
    this.wake();
  }

  async commit() {
    await this.commitOffsets([...this.polled.values()].map(({ topic, partition, offset }) => [topic, partition, offset]));
  }

  async commitOffsets(offsets) {
    await this.consumer.commitOffsets(
      offsets.map(([topic, partition, offset, metadata]) => ({ topic, partition, offset: String(offset), metadata })),
    );
  }

  async close() {
    await this.consumer?.disconnect();
    this.consumer = null;
  }
}

function headers(given) {
  return Object.entries(given ?? {}).flatMap(([name, values]) => [values].flat().map((value) => [name, toText(value)]));
}

module.exports = { PollingConsumer };
