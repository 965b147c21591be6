import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * Counts words, exactly once: `WordCount BOOTSTRAP APPLICATION INPUT OUTPUT STATE_FOLDER`. OUTPUT gets each count of each
 * word, as text. It says "running" when it is, and once its stores hold what they held before. A line of stdin asks for
 * the store's counts; the answer is "word=count ..." on one line.
 */
public class WordCount {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.putAll(Map.of(
            "bootstrap.servers", arguments[0],
            "application.id", arguments[1],
            "state.dir", arguments[4],
            "processing.guarantee", "exactly_once_v2",
            "commit.interval.ms", 100,
            "statestore.cache.max.bytes", 0, // else counts that follow one another quickly are not all told
            "num.stream.threads", 2,
            "replication.factor", 1,
            "default.key.serde", Serdes.StringSerde.class,
            "default.value.serde", Serdes.StringSerde.class));
        settings.putAll(Map.of(
            "consumer.auto.offset.reset", "earliest",
            "consumer.session.timeout.ms", 6000,
            "consumer.heartbeat.interval.ms", 500,
            "producer.transaction.timeout.ms", 5000,
            "repartition.purge.interval.ms", 500)); // what was counted is deleted
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(arguments[2])
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.as("words"))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts")
                .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(arguments[3], Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                System.out.println("running");
            }
        });
        streams.start();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        while (lines.readLine() != null) {
            StringBuilder counts = new StringBuilder("counts");
            try (KeyValueIterator<String, Long> all = streams.store(StoreQueryParameters.fromNameAndType(
                    "counts", QueryableStoreTypes.<String, Long>keyValueStore())).all()) {
                while (all.hasNext()) {
                    KeyValue<String, Long> one = all.next();
                    counts.append(' ').append(one.key).append('=').append(one.value);
                }
            }
            System.out.println(counts);
        }
        Runtime.getRuntime().halt(0);
    }
}
