package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (consumer *franzConsumer) groupOptions(c call) {
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	}
	if balancer, given := balancers[c.Assignor]; given {
		consumer.options = append(consumer.options, kgo.Balancers(balancer))
	}
	if c.Protocol == "consumer" { // where kgo wants one of those that brokers have
		consumer.options = append(consumer.options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	if c.InstanceID != "" {
		consumer.options = append(consumer.options, kgo.InstanceID(c.InstanceID))
	}
	consumer.options = append(consumer.options, kgo.HeartbeatInterval(heartbeat))
	if c.SessionTimeoutMs > 0 {
		consumer.options = append(consumer.options, kgo.SessionTimeout(ms(c.SessionTimeoutMs)))
	}
}

// inGroup are the options of a member; what a rebalance brings and takes is written down for `assignment`.
func (consumer *franzConsumer) inGroup() []kgo.Opt {
	set := func(owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { consumer.own(partitions, owned) }
	}
	return append(consumer.options, kgo.ConsumerGroup(consumer.group), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(set(true)), kgo.OnPartitionsRevoked(set(false)), kgo.OnPartitionsLost(set(false)))
}

func (consumer *franzConsumer) own(partitions map[string][]int32, owned bool) {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	for topic, numbers := range partitions {
		for _, number := range numbers {
			if consumer.assigned[topic] == nil {
				consumer.assigned[topic] = map[int32]bool{}
			}
			consumer.assigned[topic][number] = owned
		}
	}
}

func (f *franz) start(consumer *franzConsumer, options ...kgo.Opt) error {
	client, err := f.client(options...)
	if err == nil {
		consumer.client = client
	}
	return err
}

func (f *franz) assign(consumer *franzConsumer, c call) error {
	wanted := map[string]map[int32]kgo.Offset{}
	for _, one := range read[[]place](c.Offsets) {
		if wanted[one.Topic] == nil {
			wanted[one.Topic] = map[int32]kgo.Offset{}
		}
		offset := consumer.reset
		if one.Offset != nil {
			offset = kgo.NewOffset().At(*one.Offset)
		}
		wanted[one.Topic][one.Partition] = offset
		consumer.own(map[string][]int32{one.Topic: {one.Partition}}, true)
	}
	return f.start(consumer, append(consumer.options, kgo.ConsumePartitions(wanted))...)
}

func (f *franz) consume(ctx context.Context, c call) (any, error) {
	if c.Do == "open_consumer" {
		f.openConsumer(c)
		return nil, nil
	}
	consumer := f.consumers[c.Consumer]
	client := consumer.client
	switch c.Do {
	case "subscribe":
		return nil, f.start(consumer, append(consumer.inGroup(), kgo.ConsumeTopics(c.Topics...))...)
	case "subscribe_pattern":
		return nil, f.start(consumer, append(consumer.inGroup(), kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+c.Pattern+"$"))...)
	case "assign":
		return nil, f.assign(consumer, c)
	case "poll":
		return poll(client, c)
	case "assignment":
		return consumer.assignment(), nil
	case "seek":
		client.SetOffsets(map[string]map[int32]kgo.EpochOffset{c.Topic: {c.Partition: {Epoch: -1, Offset: c.Offset}}})
	case "pause":
		client.PauseFetchPartitions(byTopic(c))
	case "resume":
		client.ResumeFetchPartitions(byTopic(c))
	case "commit":
		return nil, client.CommitUncommittedOffsets(ctx)
	case "commit_offsets":
		return nil, f.commitOffsets(ctx, consumer, c)
	case "committed":
		return f.committed(ctx, consumer, c)
	case "close_consumer":
		delete(f.consumers, c.Consumer)
		if client != nil {
			client.Close()
		}
	}
	return nil, nil
}

func (consumer *franzConsumer) assignment() []row {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	rows := []row{}
	for topic, partitions := range consumer.assigned {
		for number, owned := range partitions {
			if owned {
				rows = append(rows, row{topic, number})
			}
		}
	}
	return rows
}

func poll(client *kgo.Client, c call) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ms(c.WaitMs))
	defer cancel()
	fetches := client.PollRecords(ctx, c.Count)
	rows := []row{}
	fetches.EachRecord(func(one *kgo.Record) {
		headers := []row{}
		for _, h := range one.Headers {
			headers = append(headers, row{h.Key, h.Value})
		}
		rows = append(rows, row{one.Topic, one.Partition, one.Offset, one.Timestamp.UnixMilli(), one.Key, one.Value, headers})
	})
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return nil, failed.Err
		}
	}
	return rows, nil
}

func byTopic(c call) map[string][]int32 {
	places := map[string][]int32{}
	for _, one := range read[[]place](c.Partitions) {
		places[one.Topic] = append(places[one.Topic], one.Partition)
	}
	return places
}

// commitOffsets: metadata has no place in kgo's own map, so that it is put into the request, as its documentation says.
func (f *franz) commitOffsets(ctx context.Context, consumer *franzConsumer, c call) error {
	wanted := offsets(c)
	if group, _ := consumer.client.GroupMetadata(); group == "" {
		return f.admin.CommitAllOffsets(ctx, consumer.group, wanted)
	}
	heads := map[string]map[int32]kgo.EpochOffset{}
	for topic, partitions := range wanted {
		heads[topic] = map[int32]kgo.EpochOffset{}
		for number, one := range partitions {
			heads[topic][number] = kgo.EpochOffset{Epoch: -1, Offset: one.At}
		}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for _, topic := range request.Topics {
			for number := range topic.Partitions {
				metadata := wanted[topic.Topic][topic.Partitions[number].Partition].Metadata
				topic.Partitions[number].Metadata = &metadata
			}
		}
		return nil
	})
	var failure error
	consumer.client.CommitOffsetsSync(ctx, heads, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, done *kmsg.OffsetCommitResponse, err error) {
		failure = err
		if done != nil {
			failure = errors.Join(failure, commitFailure(done))
		}
	})
	return failure
}

func (f *franz) committed(ctx context.Context, consumer *franzConsumer, c call) (any, error) {
	found, err := f.admin.FetchOffsets(ctx, consumer.group)
	rows := []row{}
	for _, one := range read[[]place](c.Partitions) {
		if offset, there := found.Lookup(one.Topic, one.Partition); there && offset.At >= 0 {
			rows = append(rows, row{one.Topic, one.Partition, offset.At, offset.Metadata})
		} else {
			rows = append(rows, row{one.Topic, one.Partition, nil, ""})
		}
	}
	return rows, errors.Join(err, found.Error())
}

func commitFailure(done *kmsg.OffsetCommitResponse) error {
	for _, topic := range done.Topics {
		for _, partition := range topic.Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
