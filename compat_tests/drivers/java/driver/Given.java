import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/** What a call's parameters mean to the library. */
final class Given {
    private Given() {}

    static boolean has(JsonNode given, String name) {
        return given.hasNonNull(name);
    }

    static String text(JsonNode given, String name) {
        return given.get(name).textValue();
    }

    static byte[] bytes(JsonNode value) throws IOException {
        return value == null || value.isNull() ? null : value.binaryValue();
    }

    static List<String> texts(JsonNode list) {
        List<String> texts = new ArrayList<>();
        list.forEach(one -> texts.add(one.textValue()));
        return texts;
    }

    /** {name: value}; nothing for none. */
    static Map<String, String> config(JsonNode given) {
        Map<String, String> config = new HashMap<>();
        if (has(given, "config")) {
            given.get("config").fields().forEachRemaining(one -> config.put(one.getKey(), one.getValue().textValue()));
        }
        return config;
    }

    static TopicPartition partition(JsonNode row) {
        return new TopicPartition(row.get(0).textValue(), row.get(1).intValue());
    }

    static List<TopicPartition> partitions(JsonNode rows) {
        List<TopicPartition> partitions = new ArrayList<>();
        rows.forEach(row -> partitions.add(partition(row)));
        return partitions;
    }

    /** Rows of topic, partition, offset and perhaps metadata. */
    static Map<TopicPartition, OffsetAndMetadata> offsets(JsonNode rows) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new LinkedHashMap<>();
        for (JsonNode row : rows) {
            String metadata = row.hasNonNull(3) ? row.get(3).textValue() : "";
            offsets.put(partition(row), new OffsetAndMetadata(row.get(2).longValue(), metadata));
        }
        return offsets;
    }

    /** Settings of the library: those that the call names, under the library's names. `names`: ours, the library's, ... */
    static void settings(JsonNode given, Map<String, Object> config, String... names) {
        for (int index = 0; index < names.length; index += 2) {
            if (has(given, names[index])) {
                config.put(names[index + 1], given.get(names[index]).asText());
            }
        }
    }
}
