"""Kafka clients of any language behind one small language of calls, so that a scenario is written once.

A driver is a program that uses one client library as its documentation tells, with nothing of ours in it. Its one
argument is the bootstrap server. It reads calls from stdin, one JSON object a line, and answers each with one on
stdout, in order, one at a time; it ends when stdin ends. What it says on stderr is shown where a scenario fails.

    {"do": "send", "producer": "p", "topic": "t", "records": [{"value": "aGVsbG8="}]}      a call
    {"result": [[0, 17, 1700000000000]]}                                                   its answer
    {"error": "UNKNOWN_TOPIC_OR_PARTITION", "message": "what the library said"}            or its failure

`error` is Kafka's name of the error code where the library tells one (CamelCase class names of a library are turned
into it), `TIMED_OUT` where the library gave up waiting, else the library's own name of it. Bytes (keys, values, values
of headers) travel in base64, or null. Times are milliseconds. A field that is null or not there is left to the library.
Partitions are numbers, offsets are those of Kafka. Producers and consumers are objects of the library that live under
the name the scenario gives them until they are closed.

Calls, and what they answer (`catalog.Client.lacks` tells what a library cannot do):

    create_topic      topic, partitions, config {name: value}          null, when the broker has said yes
    delete_topic      topic                                            null
    add_partitions    topic, partitions (the new total)                null
    list_topics                                                        [name], any order
    describe_topic    topic                                            {"partitions": count, "replicas": count}
    topic_config      topic                                            {name: value}, all of them, read-only ones too
    set_config        topic, config {name: value, or null: default}    null; IncrementalAlterConfigs
    replace_config    topic, config {name: value}                      null; AlterConfigs
    delete_records    topic, offsets [[partition, offset]]             [[partition, log start offset]]
    list_offsets      topic, at "earliest" | "latest" | milliseconds   [[partition, offset, or null: none so late]]
    list_groups                                                        [group id], any order
    describe_group    group                                            {"state": "Stable", "members": count}
    delete_group      group                                            null
    group_offsets     group                                            [[topic, partition, offset]]
    set_group_offsets group, offsets [[topic, partition, offset]]      null; of a group without members
    delete_group_offsets  group, topic, partitions [number]            null
    describe_cluster                                                   {"brokers": count}; of live brokers

    open_producer     producer, acks "0"|"1"|"all", codec "none"|"gzip"|"snappy"|"lz4"|"zstd", idempotent true|false,
                      transactional_id, transaction_timeout_ms, linger_ms     null; acks are "all" unless given
    send              producer, topic, records [{"key", "value", "partition", "timestamp", "headers": [[name, value]]}]
                      [[partition, offset, timestamp]] in the records' order, when all are acknowledged; offset null
                      with acks 0. Inside a transaction too.
    init_transactions, begin, commit_transaction, abort_transaction     producer   null
    send_offsets      producer, group, offsets [[topic, partition, offset]]        null; of a consumer that is not open
    close_producer    producer                                         null

    open_consumer     consumer, group, reset "earliest"|"latest"|"none", isolation "read_committed"|"read_uncommitted",
                      protocol "classic"|"consumer", instance_id, assignor "range"|"roundrobin"|"cooperative-sticky",
                      session_timeout_ms, fetch_min_bytes, fetch_wait_ms, partition_fetch_bytes    null
                      Commits only when told to. Without `group` it is for `assign`. Heartbeats come often (300 ms).
    subscribe         consumer, topics [name]                          null
    subscribe_pattern consumer, pattern (a regular expression, matches whole names)    null
    assign            consumer, offsets [[topic, partition, offset, or null: by `reset`]]    null
    poll              consumer, count (at most; at least one where there is), wait_ms (at most, as far as the library
                      obeys)    [[topic, partition, offset, timestamp, key, value, [[name, value]]]]; fails with what
                      the library tells its user, such as OFFSET_OUT_OF_RANGE with reset "none"
    assignment        consumer                                         [[topic, partition]]
    position          consumer, topic, partition                       offset of the next record that poll gives
    seek              consumer, topic, partition, offset               null
    pause, resume     consumer, partitions [[topic, partition]]        null
    commit            consumer                                         null; what poll gave
    commit_offsets    consumer, offsets [[topic, partition, offset, metadata]]    null
    committed         consumer, partitions [[topic, partition]]        [[topic, partition, offset or null, metadata]]
    close_consumer    consumer                                         null; leaves the group

A capability is a call's name, but `transactions` for the four calls of one, `pause` for two; and without a call of
their own: `topic settings` (a `config` in create_topic), `headers`, `timestamps` (records with a time of their own),
`append time` (of records of a topic with `message.timestamp.type=LogAppendTime`), `acks 0`, `acks 1`, `idempotence`,
`gzip`, `snappy`, `lz4`, `zstd`, `read_committed`, `reset none`, `static membership`, `range`, `roundrobin`,
`cooperative-sticky`, `KIP-848`, `static membership KIP-848`. Every client opens and closes producers and consumers.
"""
