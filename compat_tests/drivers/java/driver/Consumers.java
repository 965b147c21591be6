import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Consumers by their names in the scenario. */
final class Consumers {
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
    private static final boolean COMMITTED_TAKES_SETS = Arrays.stream(KafkaConsumer.class.getMethods()).anyMatch(
        one -> one.getName().equals("committed") && one.getParameterTypes()[0] == Set.class); // from 2.4

    private final String bootstrap;
    private final Map<String, KafkaConsumer<byte[], byte[]>> consumers = new HashMap<>();
    private final Set<String> newProtocol = new HashSet<>();

    Consumers(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    Map<String, Driver.Call> calls() {
        Map<String, Driver.Call> calls = new HashMap<>();
        calls.put("open_consumer", this::open);
        calls.put("subscribe", given -> Driver.done(() -> of(given).subscribe(Given.texts(given.get("topics")))));
        calls.put("subscribe_pattern", this::subscribePattern);
        calls.put("assign", this::assign);
        calls.put("poll", this::poll);
        calls.put("assignment", given -> of(given).assignment().stream()
            .map(one -> List.of(one.topic(), one.partition())).toList());
        calls.put("position", given -> of(given).position(partition(given)));
        calls.put("seek", given -> Driver.done(() -> of(given).seek(partition(given), given.get("offset").longValue())));
        calls.put("pause", given -> Driver.done(() -> of(given).pause(Given.partitions(given.get("partitions")))));
        calls.put("resume", given -> Driver.done(() -> of(given).resume(Given.partitions(given.get("partitions")))));
        calls.put("commit", given -> Driver.done(() -> of(given).commitSync()));
        calls.put("commit_offsets", given -> Driver.done(() -> of(given).commitSync(Given.offsets(given.get("offsets")))));
        calls.put("committed", this::committed);
        calls.put("close_consumer", given -> Driver.done(() -> consumers.remove(Given.text(given, "consumer")).close()));
        return calls;
    }

    private KafkaConsumer<byte[], byte[]> of(JsonNode given) {
        return consumers.get(Given.text(given, "consumer"));
    }

    private static TopicPartition partition(JsonNode given) {
        return new TopicPartition(Given.text(given, "topic"), given.get("partition").intValue());
    }

    private Object open(JsonNode given) {
        String name = Given.text(given, "consumer");
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap, "enable.auto.commit", false, "request.timeout.ms", 20_000,
            "default.api.timeout.ms", 30_000,
            "metadata.max.age.ms", 1000)); // patterns see new topics soon
        Given.settings(given, config,
            "group", "group.id", "reset", "auto.offset.reset", "isolation", "isolation.level",
            "instance_id", "group.instance.id", "fetch_min_bytes", "fetch.min.bytes",
            "fetch_wait_ms", "fetch.max.wait.ms", "partition_fetch_bytes", "max.partition.fetch.bytes");
        if (Given.has(given, "protocol") && Given.text(given, "protocol").equals("consumer")) {
            newProtocol.add(name);
            config.put("group.protocol", "consumer"); // whose broker has the session's time-out
            Given.settings(given, config, "assignor", "group.remote.assignor");
        } else {
            newProtocol.remove(name);
            config.put("heartbeat.interval.ms", 300);
            if (Given.has(given, "assignor")) {
                config.put("partition.assignment.strategy", ASSIGNORS.get(Given.text(given, "assignor")));
            }
            Given.settings(given, config, "session_timeout_ms", "session.timeout.ms");
        }
        consumers.put(name, new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()));
        return null;
    }

    private Object subscribePattern(JsonNode given) {
        String pattern = Given.text(given, "pattern");
        if (newProtocol.contains(Given.text(given, "consumer"))) {
            of(given).subscribe(new SubscriptionPattern(pattern)); // the broker matches it
        } else {
            of(given).subscribe(Pattern.compile(pattern));
        }
        return null;
    }

    private Object assign(JsonNode given) {
        of(given).assign(Given.partitions(given.get("offsets")));
        for (JsonNode row : given.get("offsets")) {
            if (row.hasNonNull(2)) {
                of(given).seek(Given.partition(row), row.get(2).longValue());
            }
        }
        return null;
    }

    /** The library gives as many as it likes (500, unless told when it is opened): what is too much is gone back over. */
    private Object poll(JsonNode given) {
        KafkaConsumer<byte[], byte[]> consumer = of(given);
        Map<TopicPartition, Long> surplus = new HashMap<>();
        List<List<Object>> rows = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(given.get("wait_ms").longValue()))) {
            if (rows.size() < given.get("count").intValue()) {
                rows.add(row(one));
            } else {
                surplus.putIfAbsent(new TopicPartition(one.topic(), one.partition()), one.offset());
            }
        }
        surplus.forEach(consumer::seek);
        return rows;
    }

    private static List<Object> row(ConsumerRecord<byte[], byte[]> one) {
        List<List<Object>> headers = new ArrayList<>();
        for (Header header : one.headers()) {
            headers.add(Arrays.asList(header.key(), header.value()));
        }
        return Arrays.asList(
            one.topic(), one.partition(), one.offset(), one.timestamp(), one.key(), one.value(), headers);
    }

    private Object committed(JsonNode given) throws Exception {
        List<TopicPartition> wanted = Given.partitions(given.get("partitions"));
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        if (COMMITTED_TAKES_SETS) {
            found = of(given).committed(new HashSet<>(wanted));
        } else {
            for (TopicPartition partition : wanted) {
                found.put(partition, (OffsetAndMetadata) KafkaConsumer.class.getMethod("committed", TopicPartition.class)
                    .invoke(of(given), partition));
            }
        }
        List<List<Object>> rows = new ArrayList<>();
        for (TopicPartition partition : wanted) {
            OffsetAndMetadata offset = found.get(partition);
            rows.add(Arrays.asList(
                partition.topic(), partition.partition(), offset == null ? null : offset.offset(),
                offset == null ? "" : offset.metadata()));
        }
        return rows;
    }
}
