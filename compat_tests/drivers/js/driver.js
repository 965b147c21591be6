// kafkajs: the protocol in JavaScript.
"use strict";

const { ConfigResourceTypes, Kafka, Partitioners, logLevel } = require("kafkajs");
const codecs = require("./codecs");
const { PollingConsumer } = require("./consumer");
const { serve, toBytes } = require("./serve");

const TIMED_OUT = ["KafkaJSRequestTimeoutError", "KafkaJSConnectionError"];
const BATCH_CHARACTERS = 1_000_000; // of base64
const OTHER_NAMES = {
  NOT_LEADER_FOR_PARTITION: "NOT_LEADER_OR_FOLLOWER",
  GROUP_COORDINATOR_NOT_AVAILABLE: "COORDINATOR_NOT_AVAILABLE",
  NOT_COORDINATOR_FOR_GROUP: "NOT_COORDINATOR",
  UNKNOWN: "UNKNOWN_SERVER_ERROR",
};

class Failure extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

function errorCode(failure) {
  const inner = failure.cause ?? failure.originalError ?? failure.errors?.[0] ?? (failure.groups ?? failure.partitions)?.[0]?.error;
  if (failure.type) return OTHER_NAMES[failure.type] ?? failure.type;
  if (TIMED_OUT.includes(failure.name)) return "TIMED_OUT";
  return inner ? errorCode(inner) : failure.name;
}

function byTopic(rows, toPartition) {
  const found = new Map();
  for (const [topic, ...rest] of rows) found.set(topic, [...(found.get(topic) ?? []), toPartition(...rest)]);
  return [...found].map(([topic, partitions]) => ({ topic, partitions }));
}

const withOffset = (partition, offset) => ({ partition, offset: String(offset) });

class Admin {
  constructor(kafka) {
    this.admin = kafka.admin();
  }

  async create_topic({ topic, partitions, config }) {
    const configEntries = Object.entries(config ?? {}).map(([name, value]) => ({ name, value }));
    const topics = [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }];
    if (!(await this.admin.createTopics({ topics }))) throw new Failure("TOPIC_ALREADY_EXISTS", "createTopics says false");
  }

  async delete_topic({ topic }) {
    await this.admin.deleteTopics({ topics: [topic] });
  }

  async add_partitions({ topic, partitions }) {
    await this.admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
  }

  list_topics() {
    return this.admin.listTopics();
  }

  async describe_topic({ topic }) {
    const { partitions } = (await this.admin.fetchTopicMetadata({ topics: [topic] })).topics[0];
    return { partitions: partitions.length, replicas: partitions[0].replicas.length };
  }

  async topic_config({ topic }) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }];
    const found = await this.admin.describeConfigs({ includeSynonyms: false, resources });
    return Object.fromEntries(found.resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]));
  }

  async replace_config({ topic, config }) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await this.admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] });
  }

  async delete_records({ topic, offsets }) {
    const partitions = offsets.map(([partition, offset]) => withOffset(partition, offset));
    await this.admin.fetchTopicOffsets(topic); // it must have heard of the topic before
    await this.admin.deleteTopicRecords({ topic, partitions });
    const asked = new Set(offsets.map(([partition]) => partition));
    return (await this.list_offsets({ topic, at: "earliest" })).filter(([partition]) => asked.has(partition));
  }

  async list_offsets({ topic, at }) {
    const ends = await this.admin.fetchTopicOffsets(topic);
    if (typeof at !== "number") return ends.map(({ partition, low, high }) => [partition, Number(at === "earliest" ? low : high)]);
    // Where no record is so late it tells the end, where no record is.
    const end = new Map(ends.map(({ partition, high }) => [partition, Number(high)]));
    const found = await this.admin.fetchTopicOffsetsByTimestamp(topic, at);
    return found.map(({ partition, offset }) => [partition, Number(offset) < end.get(partition) ? Number(offset) : null]);
  }

  async list_groups() {
    return (await this.admin.listGroups()).groups.map(({ groupId }) => groupId);
  }

  async describe_group({ group }) {
    const { state, members } = (await this.admin.describeGroups([group])).groups[0];
    return { state, members: members.length };
  }

  async delete_group({ group }) {
    await this.admin.deleteGroups([group]);
  }

  async group_offsets({ group }) {
    const found = await this.admin.fetchOffsets({ groupId: group });
    return found.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => [topic, partition, Number(offset)]),
    );
  }

  async set_group_offsets({ group, offsets }) {
    for (const { topic, partitions } of byTopic(offsets, withOffset)) {
      await this.admin.setOffsets({ groupId: group, topic, partitions });
    }
  }

  async describe_cluster() {
    return { brokers: (await this.admin.describeCluster()).brokers.length };
  }

  async committed(group, wanted) {
    const topics = [...new Set(wanted.map(([topic]) => topic))];
    const found = new Map();
    for (const { topic, partitions } of await this.admin.fetchOffsets({ groupId: group, topics })) {
      for (const one of partitions) found.set(`${one.partition} ${topic}`, one);
    }
    return wanted.map(([topic, partition]) => {
      const { offset, metadata } = found.get(`${partition} ${topic}`) ?? { offset: "-1", metadata: "" };
      return [topic, partition, Number(offset) < 0 ? null : Number(offset), metadata ?? ""];
    });
  }
}

// Remembers where each message went: kafkajs tells offsets by partition.
class Sender {
  constructor(kafka, { acks, codec, idempotent, transactional_id, transaction_timeout_ms }) {
    this.chosen = new Map();
    this.acks = Number({ all: -1 }[acks ?? "all"] ?? acks);
    this.compression = codecs[codec ?? "none"];
    this.producer = kafka.producer({
      idempotent: Boolean(idempotent || transactional_id),
      transactionalId: transactional_id,
      transactionTimeout: transaction_timeout_ms,
      maxInFlightRequests: idempotent || transactional_id ? 1 : null,
      allowAutoTopicCreation: false,
      createPartitioner: () => {
        const choose = Partitioners.DefaultPartitioner();
        return (given) => {
          const partition = choose(given);
          this.chosen.set(given.message, partition);
          return partition;
        };
      },
    });
  }

  async send(topic, records) {
    const sent = [];
    for (const some of split(records)) sent.push(...(await this.sendAtOnce(topic, some)));
    return sent;
  }

  async sendAtOnce(topic, records) {
    const messages = records.map(({ key, value, partition, timestamp, headers }) => ({
      key: toBytes(key),
      value: toBytes(value),
      ...(partition != null && { partition }),
      ...(timestamp != null && { timestamp: String(timestamp) }),
      headers: headersOf(headers),
    }));
    this.chosen.clear();
    const { acks, compression } = this;
    const done = await (this.transaction ?? this.producer).send({ topic, acks, compression, messages });
    const told = new Map(done.map(({ partition, baseOffset, logAppendTime }) => [partition, { next: Number(baseOffset), logAppendTime }]));
    return messages.map((message) => {
      const partition = this.chosen.get(message);
      const of = told.get(partition);
      const timestamp = Number(of?.logAppendTime ?? -1) >= 0 ? of.logAppendTime : message.timestamp;
      return [partition, of ? of.next++ : null, timestamp == null ? null : Number(timestamp)];
    });
  }
}

// kafkajs makes one batch a partition of what it is given, also one that is larger than a broker takes.
function split(records) {
  const parts = [];
  let room = 0;
  for (const record of records) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    if (parts.length === 0 || size > room) {
      parts.push([]);
      room = BATCH_CHARACTERS;
    }
    parts.at(-1).push(record);
    room -= size;
  }
  return parts;
}

function headersOf(given) {
  const found = {};
  for (const [name, value] of given ?? []) {
    const bytes = toBytes(value);
    found[name] = name in found ? [found[name], bytes].flat() : bytes;
  }
  return found;
}

class Driver extends Admin {
  constructor(kafka) {
    super(kafka);
    this.kafka = kafka;
    this.producers = new Map();
    this.consumers = new Map();
  }

  // -- producers

  async open_producer({ producer, ...settings }) {
    const sender = new Sender(this.kafka, settings);
    await sender.producer.connect();
    this.producers.set(producer, sender);
  }

  send({ producer, topic, records }) {
    return this.producers.get(producer).send(topic, records);
  }

  // It asks for its producer id where the first transaction is made, which `begin` then takes.
  async init_transactions({ producer }) {
    const sender = this.producers.get(producer);
    sender.prepared = await sender.producer.transaction();
  }

  async begin({ producer }) {
    const sender = this.producers.get(producer);
    sender.transaction = sender.prepared ?? (await sender.producer.transaction());
    sender.prepared = null;
  }

  async send_offsets({ producer, group, offsets }) {
    const topics = byTopic(offsets, withOffset);
    await this.producers.get(producer).transaction.sendOffsets({ consumerGroupId: group, topics });
  }

  commit_transaction({ producer }) {
    return this.end(producer, "commit");
  }

  abort_transaction({ producer }) {
    return this.end(producer, "abort");
  }

  async end(producer, how) {
    const sender = this.producers.get(producer);
    await sender.transaction[how]();
    sender.transaction = null;
  }

  async close_producer({ producer }) {
    await this.producers.get(producer).producer.disconnect();
    this.producers.delete(producer);
  }

  // -- consumers

  open_consumer({ consumer, ...settings }) {
    this.consumers.set(consumer, new PollingConsumer(this.kafka, settings));
  }

  subscribe({ consumer, topics }) {
    return this.consumers.get(consumer).start(topics);
  }

  subscribe_pattern({ consumer, pattern }) {
    return this.consumers.get(consumer).start([new RegExp(`^(?:${pattern})$`)]);
  }

  assign({ consumer, offsets }) {
    return this.consumers.get(consumer).assign(offsets);
  }

  poll({ consumer, count, wait_ms }) {
    return this.consumers.get(consumer).poll(count, wait_ms);
  }

  assignment({ consumer }) {
    return this.consumers.get(consumer).assignment();
  }

  seek({ consumer, topic, partition, offset }) {
    this.consumers.get(consumer).seek(topic, partition, offset);
  }

  pause({ consumer, partitions }) {
    this.consumers.get(consumer).pause(partitions);
  }

  resume({ consumer, partitions }) {
    this.consumers.get(consumer).resume(partitions);
  }

  commit({ consumer }) {
    return this.consumers.get(consumer).commit();
  }

  commit_offsets({ consumer, offsets }) {
    return this.consumers.get(consumer).commitOffsets(offsets);
  }

  // kafkajs's consumers do not tell; its admin does.
  committed({ consumer, partitions }) {
    return super.committed(this.consumers.get(consumer).group, partitions);
  }

  async close_consumer({ consumer }) {
    await this.consumers.get(consumer).close();
    this.consumers.delete(consumer);
  }
}

async function main() {
  const kafka = new Kafka({
    clientId: "compat",
    brokers: [process.argv[2]],
    logLevel: logLevel.ERROR,
    logCreator: () => ({ log }) => process.stderr.write(`${log.message} ${log.error ?? ""}\n`),
    retry: { initialRetryTime: 100, retries: 5 },
  });
  const driver = new Driver(kafka);
  await driver.admin.connect();
  await serve(driver, errorCode);
}

main();
