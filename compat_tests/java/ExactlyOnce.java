import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A member of the pipeline of compat_tests/exactly_once.py: `java ExactlyOnce.java BOOTSTRAP INDEX SEED`. */
public class ExactlyOnce {
    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String index = arguments[1];
        Random chance = new Random(Long.parseLong(arguments[2]));
        Map<String, Object> common = Map.of(
            "bootstrap.servers", bootstrap, "reconnect.backoff.ms", 10, "reconnect.backoff.max.ms", 100);
        Map<String, Object> reading = new HashMap<>(common);
        reading.putAll(Map.of(
            "group.id", "exactly-once", "group.instance.id", "member-" + index, "enable.auto.commit", false,
            "auto.offset.reset", "earliest", "isolation.level", "read_committed", "max.poll.records", 50,
            "session.timeout.ms", 10_000));
        Map<String, Object> writing = new HashMap<>(common);
        writing.putAll(Map.of(
            "transactional.id", "exactly-once-" + index, "transaction.timeout.ms", 20_000));
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        try (
            var consumer = new KafkaConsumer<>(reading, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            var producer = new KafkaProducer<>(writing, new ByteArraySerializer(), new ByteArraySerializer())
        ) {
            producer.initTransactions();
            consumer.subscribe(List.of("exactly-once-input"));
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    byte[] value = HexFormat.of().formatHex(digest.digest(record.value())).getBytes();
                    producer.send(new ProducerRecord<>("exactly-once-output", record.key(), value));
                }
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (TopicPartition partition : consumer.assignment()) {
                    offsets.put(partition, new OffsetAndMetadata(consumer.position(partition)));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                if (chance.nextInt(10) > 0) {
                    producer.commitTransaction();
                    continue;
                }
                producer.abortTransaction();
                consumer.committed(consumer.assignment()).forEach(
                    (partition, offset) -> consumer.seek(partition, offset == null ? 0 : offset.offset()));
            }
        } catch (Exception error) {
            System.err.println("member " + index + ": " + error);
            System.exit(1);
        }
    }
}
