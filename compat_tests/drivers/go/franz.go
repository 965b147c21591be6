package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct {
	bootstrap string
	admin     *kadm.Client
	producers map[string]*kgo.Client
	consumers map[string]*franzConsumer
}

// franzConsumer has its client from subscribe or assign on: kgo wants to know at its start what it consumes.
type franzConsumer struct {
	group    string
	options  []kgo.Opt
	reset    kgo.Offset
	client   *kgo.Client
	lock     sync.Mutex
	assigned map[string]map[int32]bool
}

func newFranz(bootstrap string) driver {
	f := &franz{bootstrap: bootstrap, producers: map[string]*kgo.Client{}, consumers: map[string]*franzConsumer{}}
	client, err := f.client()
	if err != nil {
		panic(err)
	}
	f.admin = kadm.NewClient(client)
	return f
}

func (f *franz) client(options ...kgo.Opt) (*kgo.Client, error) {
	common := []kgo.Opt{kgo.SeedBrokers(f.bootstrap), kgo.RetryTimeout(wait), kgo.MetadataMinAge(100 * time.Millisecond)}
	return kgo.NewClient(append(common, options...)...)
}

func (f *franz) code(err error) string {
	var known *kerr.Error
	switch {
	case errors.As(err, &known):
		return known.Message
	case errors.Is(err, kgo.ErrRecordTimeout):
		return "TIMED_OUT"
	}
	return fmt.Sprintf("%T", err)
}

func (f *franz) do(ctx context.Context, c call) (any, error) {
	switch c.Do {
	case "open_producer", "send", "init_transactions", "begin", "commit_transaction", "abort_transaction", "close_producer":
		return f.produce(ctx, c)
	case "open_consumer", "subscribe", "subscribe_pattern", "assign", "poll", "assignment", "seek", "pause", "resume",
		"commit", "commit_offsets", "committed", "close_consumer":
		return f.consume(ctx, c)
	case "list_groups", "describe_group", "delete_group", "group_offsets", "set_group_offsets", "delete_group_offsets":
		return f.groups(ctx, c)
	}
	return f.topics(ctx, c)
}

func (f *franz) topics(ctx context.Context, c call) (any, error) {
	switch c.Do {
	case "create_topic":
		_, err := f.admin.CreateTopic(ctx, read[int32](c.Partitions), 1, c.Config, c.Topic)
		return nil, err
	case "delete_topic":
		_, err := f.admin.DeleteTopic(ctx, c.Topic)
		return nil, err
	case "add_partitions":
		done, err := f.admin.UpdatePartitions(ctx, read[int](c.Partitions), c.Topic)
		return nil, errors.Join(err, done.Error())
	case "list_topics":
		found, err := f.admin.ListTopics(ctx)
		return found.Names(), err
	case "describe_topic":
		found, err := f.admin.ListTopics(ctx, c.Topic)
		if err = errors.Join(err, found.Error()); err != nil {
			return nil, err
		}
		partitions := found[c.Topic].Partitions
		return map[string]int{"partitions": len(partitions), "replicas": partitions.NumReplicas()}, nil
	case "topic_config":
		found, err := f.admin.DescribeTopicConfigs(ctx, c.Topic)
		if err != nil {
			return nil, err
		}
		one, err := found.On(c.Topic, nil)
		values := map[string]*string{}
		for _, config := range one.Configs {
			values[config.Key] = config.Value
		}
		return values, errors.Join(err, one.Err)
	case "set_config", "replace_config":
		return nil, f.alter(ctx, c)
	case "delete_records":
		wanted := kadm.Offsets{}
		for _, one := range read[[][2]int64](c.Offsets) {
			wanted.AddOffset(c.Topic, int32(one[0]), one[1], -1)
		}
		done, err := f.admin.DeleteRecords(ctx, wanted)
		rows := []row{}
		done.Each(func(one kadm.DeleteRecordsResponse) { rows = append(rows, row{one.Partition, one.LowWatermark}) })
		return rows, errors.Join(err, done.Error())
	case "list_offsets":
		return f.listOffsets(ctx, c)
	case "describe_cluster":
		found, err := f.admin.BrokerMetadata(ctx)
		return map[string]int{"brokers": len(found.Brokers)}, err
	}
	return nil, fmt.Errorf("no such call: %s", c.Do)
}

func (f *franz) alter(ctx context.Context, c call) error {
	changes := []kadm.AlterConfig{}
	for name, value := range c.Config {
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value}
		if value == nil {
			change.Op = kadm.DeleteConfig
		}
		changes = append(changes, change)
	}
	alter := f.admin.AlterTopicConfigs
	if c.Do == "replace_config" {
		alter = f.admin.AlterTopicConfigsState
	}
	done, err := alter(ctx, changes, c.Topic)
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	return err
}

func (f *franz) listOffsets(ctx context.Context, c call) (any, error) {
	var found kadm.ListedOffsets
	var err error
	switch at := read[any](c.At).(type) {
	case string:
		list := map[string]func(context.Context, ...string) (kadm.ListedOffsets, error){
			"earliest": f.admin.ListStartOffsets, "latest": f.admin.ListEndOffsets,
		}
		found, err = list[at](ctx, c.Topic)
	case float64:
		found, err = f.admin.ListOffsetsAfterMilli(ctx, int64(at), c.Topic)
	}
	rows := []row{}
	found.Each(func(one kadm.ListedOffset) {
		// kadm answers the end where there is none so late, and no timestamp with it.
		if c.At[0] != '"' && one.Timestamp < 0 {
			rows = append(rows, row{one.Partition, nil})
			return
		}
		rows = append(rows, row{one.Partition, one.Offset})
	})
	return rows, errors.Join(err, found.Error())
}

func (f *franz) groups(ctx context.Context, c call) (any, error) {
	switch c.Do {
	case "list_groups":
		found, err := f.admin.ListGroups(ctx)
		return append([]string{}, found.Groups()...), err
	case "describe_group":
		return f.describeGroup(ctx, c)
	case "delete_group":
		_, err := f.admin.DeleteGroup(ctx, c.Group)
		return nil, err
	case "group_offsets":
		found, err := f.admin.FetchOffsets(ctx, c.Group)
		rows := []row{}
		found.Each(func(one kadm.OffsetResponse) { rows = append(rows, row{one.Topic, one.Partition, one.At}) })
		return rows, errors.Join(err, found.Error())
	case "set_group_offsets":
		return nil, f.admin.CommitAllOffsets(ctx, c.Group, offsets(c))
	}
	wanted := kadm.TopicsSet{}
	wanted.Add(c.Topic, read[[]int32](c.Partitions)...)
	done, err := f.admin.DeleteOffsets(ctx, c.Group, wanted)
	return nil, errors.Join(err, done.Error())
}

// describeGroup asks in the way of each kind of group: brokers answer it for their own kind only.
func (f *franz) describeGroup(ctx context.Context, c call) (any, error) {
	found, err := f.admin.DescribeConsumerGroups(ctx, c.Group)
	if one := found[c.Group]; err == nil && one.Err == nil {
		return map[string]any{"state": one.State, "members": len(one.Members)}, nil
	}
	classic, err := f.admin.DescribeGroups(ctx, c.Group)
	one := classic[c.Group]
	return map[string]any{"state": one.State, "members": len(one.Members)}, errors.Join(err, classic.Error())
}

func offsets(c call) kadm.Offsets {
	wanted := kadm.Offsets{}
	for _, one := range read[[]place](c.Offsets) {
		offset := kadm.Offset{Topic: one.Topic, Partition: one.Partition, At: *one.Offset, LeaderEpoch: -1}
		if one.Metadata != nil {
			offset.Metadata = *one.Metadata
		}
		wanted.Add(offset)
	}
	return wanted
}

// choice keeps the record's own partition, where it has one.
type choice struct{ kgo.Partitioner }

type topicChoice struct{ kgo.TopicPartitioner }

func (c choice) ForTopic(topic string) kgo.TopicPartitioner {
	return topicChoice{c.Partitioner.ForTopic(topic)}
}

func (c topicChoice) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || c.TopicPartitioner.RequiresConsistency(r)
}

func (c topicChoice) Partition(r *kgo.Record, count int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return c.TopicPartitioner.Partition(r, count)
}

func (f *franz) openProducer(c call) error {
	codecs := map[string]kgo.CompressionCodec{
		"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[c.Codec]), kgo.ProducerLinger(ms(c.LingerMs)),
		kgo.RecordPartitioner(choice{kgo.StickyKeyPartitioner(nil)}),
	}
	switch {
	case c.TransactionalID != "":
		options = append(options, kgo.TransactionalID(c.TransactionalID))
		if c.TransactionTimeoutMs > 0 {
			options = append(options, kgo.TransactionTimeout(ms(c.TransactionTimeoutMs)))
		}
	case !c.Idempotent:
		acks := map[string]kgo.Acks{"": kgo.AllISRAcks(), "all": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}
		options = append(options, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(acks[c.Acks]))
	}
	client, err := f.client(options...)
	if err == nil {
		f.producers[c.Producer] = client
	}
	return err
}

func (f *franz) produce(ctx context.Context, c call) (any, error) {
	if c.Do == "open_producer" {
		return nil, f.openProducer(c)
	}
	client := f.producers[c.Producer]
	switch c.Do {
	case "init_transactions":
		_, _, err := client.ProducerID(ctx)
		return nil, err
	case "begin":
		return nil, client.BeginTransaction()
	case "commit_transaction":
		return nil, client.EndTransaction(ctx, kgo.TryCommit)
	case "abort_transaction":
		return nil, client.EndTransaction(ctx, kgo.TryAbort)
	case "close_producer":
		delete(f.producers, c.Producer)
		client.Close()
		return nil, nil
	}
	records := []*kgo.Record{}
	for _, given := range c.Records {
		one := &kgo.Record{Topic: c.Topic, Key: given.Key, Value: given.Value, Partition: -1}
		if given.Partition != nil {
			one.Partition = *given.Partition
		}
		if given.Timestamp != nil {
			one.Timestamp = time.UnixMilli(*given.Timestamp)
		}
		for _, h := range given.Headers {
			one.Headers = append(one.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		records = append(records, one)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return nil, err
	}
	rows := []row{}
	for _, one := range records {
		sent := row{one.Partition, one.Offset, one.Timestamp.UnixMilli()}
		if one.Offset < 0 || client.OptValue(kgo.RequiredAcks) == kgo.NoAck() {
			sent[1] = nil
		}
		rows = append(rows, sent)
	}
	return rows, nil
}

func (f *franz) openConsumer(c call) {
	resets := map[string]kgo.Offset{
		"": kgo.NewOffset().AtEnd(), "latest": kgo.NewOffset().AtEnd(), "earliest": kgo.NewOffset().AtStart(), "none": kgo.NoResetOffset(),
	}
	consumer := &franzConsumer{group: c.Group, reset: resets[c.Reset], assigned: map[string]map[int32]bool{}}
	consumer.options = []kgo.Opt{kgo.ConsumeResetOffset(consumer.reset)}
	if c.Isolation == "read_committed" {
		consumer.options = append(consumer.options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if c.FetchMinBytes > 0 {
		consumer.options = append(consumer.options, kgo.FetchMinBytes(c.FetchMinBytes))
	}
	if c.FetchWaitMs > 0 {
		consumer.options = append(consumer.options, kgo.FetchMaxWait(ms(c.FetchWaitMs)))
	}
	if c.PartitionFetchBytes > 0 {
		consumer.options = append(consumer.options, kgo.FetchMaxPartitionBytes(c.PartitionFetchBytes))
	}
	f.consumers[c.Consumer] = consumer
	if c.Group != "" {
		consumer.groupOptions(c)
	}
}
