import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers by their names in the scenario. */
final class Producers {
    private static final boolean OFFSETS_GO_BY_METADATA = Arrays.stream(Producer.class.getMethods()).anyMatch(
        one -> one.getName().equals("sendOffsetsToTransaction") && one.getParameterTypes()[1] != String.class);

    private final String bootstrap;
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    Producers(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    Map<String, Driver.Call> calls() {
        Map<String, Driver.Call> calls = new HashMap<>();
        calls.put("open_producer", this::open);
        calls.put("send", this::send);
        calls.put("init_transactions", given -> Driver.done(() -> of(given).initTransactions()));
        calls.put("begin", given -> Driver.done(() -> of(given).beginTransaction()));
        calls.put("send_offsets", this::sendOffsets);
        calls.put("commit_transaction", given -> Driver.done(() -> of(given).commitTransaction()));
        calls.put("abort_transaction", given -> Driver.done(() -> of(given).abortTransaction()));
        calls.put("close_producer", given -> Driver.done(() -> producers.remove(Given.text(given, "producer")).close()));
        return calls;
    }

    private KafkaProducer<byte[], byte[]> of(JsonNode given) {
        return producers.get(Given.text(given, "producer"));
    }

    private Object open(JsonNode given) {
        Map<String, Object> config = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap, "request.timeout.ms", 15_000, "delivery.timeout.ms", 30_000,
            "max.block.ms", 30_000, "acks", "all")); // 1 by default before 3.0: what is sent need not be readable then
        Given.settings(given, config,
            "acks", "acks", "codec", "compression.type", "idempotent", "enable.idempotence",
            "transactional_id", "transactional.id", "transaction_timeout_ms", "transaction.timeout.ms",
            "linger_ms", "linger.ms");
        producers.put(
            Given.text(given, "producer"),
            new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()));
        return null;
    }

    private Object send(JsonNode given) throws Exception {
        KafkaProducer<byte[], byte[]> producer = of(given);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode record : given.get("records")) {
            sent.add(producer.send(record(Given.text(given, "topic"), record)));
        }
        producer.flush();
        List<List<Long>> rows = new ArrayList<>();
        for (Future<RecordMetadata> one : sent) {
            RecordMetadata told = one.get();
            rows.add(Arrays.asList(
                (long) told.partition(), told.hasOffset() ? told.offset() : null,
                told.hasTimestamp() ? told.timestamp() : null));
        }
        return rows;
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, JsonNode given) throws IOException {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
            topic,
            Given.has(given, "partition") ? given.get("partition").intValue() : null,
            Given.has(given, "timestamp") ? given.get("timestamp").longValue() : null,
            Given.bytes(given.get("key")),
            Given.bytes(given.get("value")));
        if (Given.has(given, "headers")) {
            for (JsonNode header : given.get("headers")) {
                record.headers().add(header.get(0).textValue(), Given.bytes(header.get(1)));
            }
        }
        return record;
    }

    private Object sendOffsets(JsonNode given) throws Exception {
        String group = Given.text(given, "group");
        Map<TopicPartition, OffsetAndMetadata> offsets = Given.offsets(given.get("offsets"));
        if (OFFSETS_GO_BY_METADATA) {
            of(given).sendOffsetsToTransaction(offsets, new ConsumerGroupMetadata(group));
        } else { // before 2.5
            Producer.class.getMethod("sendOffsetsToTransaction", Map.class, String.class)
                .invoke(of(given), offsets, group);
        }
        return null;
    }
}
