package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// failed is an error where there is one: sarama's "no error" is one in Go's eyes.
func failed(err error) error {
	if errors.Is(err, sarama.ErrNoError) {
		return nil
	}
	return err
}

func (s *saramaDriver) topics(c call) (any, error) {
	switch c.Do {
	case "create_topic":
		return nil, s.admin.CreateTopic(c.Topic, &sarama.TopicDetail{
			NumPartitions: read[int32](c.Partitions), ReplicationFactor: 1, ConfigEntries: c.Config,
		}, false)
	case "delete_topic":
		return nil, s.admin.DeleteTopic(c.Topic)
	case "add_partitions":
		return nil, s.admin.CreatePartitions(c.Topic, read[int32](c.Partitions), nil, false)
	case "list_topics":
		found, err := s.admin.ListTopics()
		return slices.AppendSeq([]string{}, maps.Keys(found)), err
	case "describe_topic":
		found, err := s.admin.DescribeTopics([]string{c.Topic})
		if err == nil {
			err = failed(found[0].Err)
		}
		if err != nil {
			return nil, err
		}
		partitions := found[0].Partitions
		return map[string]int{"partitions": len(partitions), "replicas": len(partitions[0].Replicas)}, nil
	case "topic_config":
		found, err := s.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: c.Topic})
		values := map[string]string{}
		for _, one := range found {
			values[one.Name] = one.Value
		}
		return values, err
	case "set_config":
		changes := map[string]sarama.IncrementalAlterConfigsEntry{}
		for name, value := range c.Config {
			change := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value}
			if value == nil {
				change.Operation = sarama.IncrementalAlterConfigsOperationDelete
			}
			changes[name] = change
		}
		return nil, s.admin.IncrementalAlterConfig(sarama.TopicResource, c.Topic, changes, false)
	case "replace_config":
		return nil, s.admin.AlterConfig(sarama.TopicResource, c.Topic, c.Config, false)
	case "delete_records":
		return s.deleteRecords(c)
	case "list_offsets":
		return s.listOffsets(c)
	case "describe_cluster":
		found, _, err := s.admin.DescribeCluster()
		return map[string]int{"brokers": len(found)}, err
	}
	return nil, fmt.Errorf("no such call: %s", c.Do)
}

// deleteRecords asks where the logs begin afterwards: sarama does not tell what the broker answered.
func (s *saramaDriver) deleteRecords(c call) (any, error) {
	before, starts := map[int32]int64{}, map[int32]int64{}
	for _, one := range read[[][2]int64](c.Offsets) {
		before[int32(one[0])], starts[int32(one[0])] = one[1], sarama.OffsetOldest
	}
	if err := s.admin.DeleteRecords(c.Topic, before); err != nil {
		return nil, err
	}
	return s.offsetsAt(c.Topic, starts)
}

func (s *saramaDriver) listOffsets(c call) (any, error) {
	var at int64
	switch given := read[any](c.At).(type) {
	case string:
		at = map[string]int64{"earliest": sarama.OffsetOldest, "latest": sarama.OffsetNewest}[given]
	case float64:
		at = int64(given)
	}
	found, err := s.admin.DescribeTopics([]string{c.Topic})
	if err == nil {
		err = failed(found[0].Err)
	}
	if err != nil {
		return nil, err
	}
	wanted := map[int32]int64{}
	for _, partition := range found[0].Partitions {
		wanted[partition.ID] = at
	}
	return s.offsetsAt(c.Topic, wanted)
}

// withLeader asks again while a new topic has no leader: sarama leaves that to its user.
func withLeader[T any](ask func() (T, error)) (T, error) {
	answer, err := ask()
	for end := time.Now().Add(wait); errors.Is(err, sarama.ErrNotLeaderForPartition) && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		answer, err = ask()
	}
	return answer, err
}

func (s *saramaDriver) offsetsAt(topic string, wanted map[int32]int64) (any, error) {
	return withLeader(func() ([]row, error) { return s.offsetsNow(topic, wanted) })
}

func (s *saramaDriver) offsetsNow(topic string, wanted map[int32]int64) ([]row, error) {
	found, err := s.admin.ListOffsets(map[string]map[int32]int64{topic: wanted}, nil)
	rows := []row{}
	for partition, one := range found[topic] {
		err = errors.Join(err, failed(one.Err))
		if one.Offset < 0 {
			rows = append(rows, row{partition, nil})
		} else {
			rows = append(rows, row{partition, one.Offset})
		}
	}
	return rows, err
}

func (s *saramaDriver) groups(c call) (any, error) {
	switch c.Do {
	case "list_groups":
		found, err := s.admin.ListConsumerGroups()
		return slices.AppendSeq([]string{}, maps.Keys(found)), err
	case "describe_group":
		found, err := s.admin.DescribeConsumerGroups([]string{c.Group})
		if err == nil {
			err = failed(found[0].Err)
		}
		if err != nil {
			return nil, err
		}
		return map[string]any{"state": found[0].State, "members": len(found[0].Members)}, nil
	case "delete_group":
		return nil, s.admin.DeleteConsumerGroup(c.Group)
	case "group_offsets":
		found, err := s.admin.ListConsumerGroupOffsets(c.Group, nil)
		if err != nil {
			return nil, err
		}
		rows, blocks := []row{}, found.Blocks
		if group := found.GetGroup(c.Group); group != nil {
			blocks = group.Blocks
		}
		for topic, partitions := range blocks {
			for partition, one := range partitions {
				rows = append(rows, row{topic, partition, one.Offset})
			}
		}
		return rows, nil
	case "set_group_offsets":
		return nil, s.commitOffsets(c.Group, c)
	}
	for _, partition := range read[[]int32](c.Partitions) {
		if err := s.admin.DeleteConsumerGroupOffset(c.Group, c.Topic, partition); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (s *saramaDriver) commitOffsets(group string, c call) error {
	wanted := map[string]map[int32]sarama.OffsetAndMetadata{}
	for _, one := range read[[]place](c.Offsets) {
		if wanted[one.Topic] == nil {
			wanted[one.Topic] = map[int32]sarama.OffsetAndMetadata{}
		}
		wanted[one.Topic][one.Partition] = sarama.OffsetAndMetadata{Offset: *one.Offset, LeaderEpoch: -1}
	}
	done, err := s.admin.AlterConsumerGroupOffsets(group, wanted, nil)
	if err != nil {
		return err
	}
	for _, partitions := range done.Errors {
		for _, one := range partitions {
			err = errors.Join(err, failed(one))
		}
	}
	return err
}
