import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactions with the Java client: arguments are bootstrap servers, a topic of two partitions, and a group. */
public class Transactions {
    static Properties settings(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        for (String kind : List.of("key", "value")) {
            settings.put(kind + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
            settings.put(kind + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        }
        return settings;
    }

    static KafkaProducer<String, String> producer(String bootstrap) {
        Properties settings = settings(bootstrap);
        settings.put("transactional.id", "java");
        KafkaProducer<String, String> producer = new KafkaProducer<>(settings);
        producer.initTransactions();
        return producer;
    }

    static void write(KafkaProducer<String, String> producer, String topic, String value) {
        producer.beginTransaction();
        for (int partition = 0; partition < 2; partition++) {
            producer.send(new ProducerRecord<>(topic, partition, null, value + "-" + partition));
        }
    }

    public static void main(String[] arguments) {
        String bootstrap = arguments[0];
        String topic = arguments[1];
        TopicPartition first = new TopicPartition(topic, 0);
        KafkaProducer<String, String> producer = producer(bootstrap);
        for (int number = 0; number < 20; number++) {
            write(producer, topic, "" + number);
            producer.sendOffsetsToTransaction(
                Map.of(first, new OffsetAndMetadata(number)), new ConsumerGroupMetadata(arguments[2]));
            if (number % 4 == 3) {
                producer.flush();
                producer.abortTransaction();
            } else {
                producer.commitTransaction();
            }
        }
        producer.beginTransaction();
        producer.abortTransaction();
        write(producer, topic, "zombie");
        producer.flush();
        KafkaProducer<String, String> successor = producer(bootstrap);
        write(successor, topic, "successor");
        successor.commitTransaction();
        successor.close();
        try {
            producer.commitTransaction();
            System.out.println("not fenced");
        } catch (ProducerFencedException | InvalidProducerEpochException fenced) {
            System.out.println("fenced");
        }
        producer.close(Duration.ZERO);

        Properties settings = settings(bootstrap);
        settings.put("isolation.level", "read_committed");
        settings.put("auto.offset.reset", "earliest");
        settings.put("group.id", arguments[2]);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            List<TopicPartition> both = List.of(first, new TopicPartition(topic, 1));
            System.out.println("offset " + consumer.committed(Map.of(first, 0).keySet()).get(first).offset());
            consumer.assign(both);
            consumer.seekToBeginning(both);
            int expected = 2 * 16;
            while (expected > 0) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(record.value());
                    expected--;
                }
            }
        }
    }
}
