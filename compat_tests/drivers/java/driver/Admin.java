import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.DeletedRecords;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/**
 * The admin client. It is compiled against the newest release: what older ones lack is not called with them (their
 * `lacks` in clients.py), and what was renamed is looked up by name. `AdminClient`, not `Admin`: 2.1 has no other.
 */
final class Admin {
    private final AdminClient admin;

    Admin(String bootstrap) {
        admin = AdminClient.create(Map.of(
            "bootstrap.servers", bootstrap, "request.timeout.ms", "20000", "default.api.timeout.ms", "30000"));
    }

    Map<String, Driver.Call> calls() {
        Map<String, Driver.Call> calls = new HashMap<>();
        calls.put("create_topic", this::createTopic);
        calls.put("delete_topic", given -> admin.deleteTopics(List.of(Given.text(given, "topic"))).all().get());
        calls.put("add_partitions", given -> admin.createPartitions(
            Map.of(Given.text(given, "topic"), NewPartitions.increaseTo(given.get("partitions").intValue()))).all().get());
        calls.put("list_topics", given -> admin.listTopics().names().get());
        calls.put("describe_topic", this::describeTopic);
        calls.put("topic_config", this::topicConfig);
        calls.put("set_config", this::setConfig);
        calls.put("replace_config", this::replaceConfig);
        calls.put("delete_records", this::deleteRecords);
        calls.put("list_offsets", this::listOffsets);
        calls.put("list_groups", given -> admin.listConsumerGroups().all().get().stream()
            .map(ConsumerGroupListing::groupId).toList());
        calls.put("describe_group", this::describeGroup);
        calls.put("delete_group", given -> admin.deleteConsumerGroups(List.of(Given.text(given, "group"))).all().get());
        calls.put("group_offsets", this::groupOffsets);
        calls.put("set_group_offsets", given -> admin.alterConsumerGroupOffsets(
            Given.text(given, "group"), Given.offsets(given.get("offsets"))).all().get());
        calls.put("delete_group_offsets", this::deleteGroupOffsets);
        calls.put("describe_cluster", given -> Map.of("brokers", admin.describeCluster().nodes().get().size()));
        return calls;
    }

    private Object createTopic(JsonNode given) throws Exception {
        NewTopic topic = new NewTopic(Given.text(given, "topic"), given.get("partitions").intValue(), (short) 1);
        return admin.createTopics(List.of(topic.configs(Given.config(given)))).all().get();
    }

    private TopicDescription describe(String topic) throws Exception {
        Object result = admin.describeTopics(List.of(topic));
        // `all` until 3.9, `allTopicNames` from 3.1
        String method = Arrays.stream(result.getClass().getMethods()).anyMatch(one -> one.getName().equals("all"))
            ? "all" : "allTopicNames";
        Object future = result.getClass().getMethod(method).invoke(result);
        return (TopicDescription) ((Map<?, ?>) ((KafkaFuture<?>) future).get()).get(topic);
    }

    private Object describeTopic(JsonNode given) throws Exception {
        TopicDescription found = describe(Given.text(given, "topic"));
        return Map.of(
            "partitions", found.partitions().size(), "replicas", found.partitions().get(0).replicas().size());
    }

    private static ConfigResource resource(JsonNode given) {
        return new ConfigResource(ConfigResource.Type.TOPIC, Given.text(given, "topic"));
    }

    private Object topicConfig(JsonNode given) throws Exception {
        Map<String, String> config = new HashMap<>();
        for (Config found : admin.describeConfigs(List.of(resource(given))).all().get().values()) {
            found.entries().forEach(entry -> config.put(entry.name(), entry.value()));
        }
        return config;
    }

    private Object setConfig(JsonNode given) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        Given.config(given).forEach((name, value) -> changes.add(new AlterConfigOp(
            new ConfigEntry(name, value), value == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET)));
        return admin.incrementalAlterConfigs(Map.of(resource(given), changes)).all().get();
    }

    private Object replaceConfig(JsonNode given) throws Exception {
        List<ConfigEntry> entries = new ArrayList<>();
        Given.config(given).forEach((name, value) -> entries.add(new ConfigEntry(name, value)));
        Map<ConfigResource, Config> wanted = Map.of(resource(given), new Config(entries));
        Object result = AdminClient.class.getMethod("alterConfigs", Map.class).invoke(admin, wanted); // gone in 4.0
        return ((KafkaFuture<?>) result.getClass().getMethod("all").invoke(result)).get();
    }

    private Object deleteRecords(JsonNode given) throws Exception {
        Map<TopicPartition, RecordsToDelete> wanted = new HashMap<>();
        for (JsonNode row : given.get("offsets")) {
            TopicPartition partition = new TopicPartition(Given.text(given, "topic"), row.get(0).intValue());
            wanted.put(partition, RecordsToDelete.beforeOffset(row.get(1).longValue()));
        }
        List<List<Long>> rows = new ArrayList<>();
        for (Map.Entry<TopicPartition, KafkaFuture<DeletedRecords>> one :
                admin.deleteRecords(wanted).lowWatermarks().entrySet()) {
            rows.add(List.of((long) one.getKey().partition(), one.getValue().get().lowWatermark()));
        }
        return rows;
    }

    private Object listOffsets(JsonNode given) throws Exception {
        JsonNode at = given.get("at");
        OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.longValue())
            : at.textValue().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        TopicDescription topic = describe(Given.text(given, "topic"));
        topic.partitions().forEach(one -> wanted.put(new TopicPartition(topic.name(), one.partition()), spec));
        List<List<Long>> rows = new ArrayList<>();
        for (Map.Entry<TopicPartition, ListOffsetsResultInfo> one : admin.listOffsets(wanted).all().get().entrySet()) {
            long offset = one.getValue().offset();
            rows.add(Arrays.asList((long) one.getKey().partition(), offset < 0 ? null : offset));
        }
        return rows;
    }

    private Object describeGroup(JsonNode given) throws Exception {
        String group = Given.text(given, "group");
        ConsumerGroupDescription found = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        return Map.of("state", found.state().toString(), "members", found.members().size());
    }

    private Object groupOffsets(JsonNode given) throws Exception {
        List<List<Object>> rows = new ArrayList<>();
        Map<TopicPartition, OffsetAndMetadata> found =
            admin.listConsumerGroupOffsets(Given.text(given, "group")).partitionsToOffsetAndMetadata().get();
        found.forEach((partition, offset) -> rows.add(
            Arrays.asList(partition.topic(), partition.partition(), Optional.ofNullable(offset)
                .map(OffsetAndMetadata::offset).orElse(null))));
        return rows;
    }

    private Object deleteGroupOffsets(JsonNode given) throws Exception {
        Set<TopicPartition> partitions = new HashSet<>();
        given.get("partitions").forEach(
            one -> partitions.add(new TopicPartition(Given.text(given, "topic"), one.intValue())));
        return admin.deleteConsumerGroupOffsets(Given.text(given, "group"), partitions).all().get();
    }
}
