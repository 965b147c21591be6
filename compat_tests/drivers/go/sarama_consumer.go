package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaConsumer reads partitions (`assign`) or is a member of a group (`subscribe`); either puts messages into `got`.
type saramaConsumer struct {
	group    string
	config   *sarama.Config
	noReset  bool
	got      chan *sarama.ConsumerMessage
	failures chan error
	polled   []*sarama.ConsumerMessage // and not committed

	reader  sarama.Consumer
	readers map[string]map[int32]*saramaReader

	member  sarama.ConsumerGroup
	ended   chan struct{}
	lock    sync.Mutex
	session sarama.ConsumerGroupSession        // nil between two
	claims  map[sarama.ConsumerGroupClaim]bool // those being read: where one cannot be, the group rebalances
}

// saramaReader hands the messages of one partition on until it is stopped.
type saramaReader struct {
	partition sarama.PartitionConsumer
	stop      chan struct{}
	ended     chan struct{}
}

func (s *saramaDriver) openConsumer(c call) {
	config := s.config()
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = heartbeat
	if c.Reset == "earliest" {
		config.Consumer.Offsets.Initial = sarama.OffsetOldest
	}
	if c.Isolation == "read_committed" {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	if c.FetchMinBytes > 0 {
		config.Consumer.Fetch.Min = c.FetchMinBytes
	}
	if c.FetchWaitMs > 0 {
		config.Consumer.MaxWaitTime = ms(c.FetchWaitMs)
	}
	if c.PartitionFetchBytes > 0 {
		config.Consumer.Fetch.Default = c.PartitionFetchBytes
	}
	if c.SessionTimeoutMs > 0 {
		config.Consumer.Group.Session.Timeout = ms(c.SessionTimeoutMs)
	}
	config.Consumer.Group.InstanceId = c.InstanceID
	strategies := map[string]func() sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange, "roundrobin": sarama.NewBalanceStrategyRoundRobin,
		"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
	}
	if strategy, given := strategies[c.Assignor]; given {
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy()}
	}
	s.consumers[c.Consumer] = &saramaConsumer{
		group: c.Group, config: config, noReset: c.Reset == "none",
		got: make(chan *sarama.ConsumerMessage), failures: make(chan error, 100),
		readers: map[string]map[int32]*saramaReader{},
		claims:  map[sarama.ConsumerGroupClaim]bool{},
	}
}

func (s *saramaDriver) consume(c call) (any, error) {
	if c.Do == "open_consumer" {
		s.openConsumer(c)
		return nil, nil
	}
	consumer := s.consumers[c.Consumer]
	switch c.Do {
	case "subscribe":
		return nil, consumer.subscribe(s.bootstrap, c.Topics)
	case "assign":
		return nil, consumer.assign(s.bootstrap, read[[]place](c.Offsets))
	case "poll":
		return consumer.poll(c)
	case "assignment":
		return consumer.assignment(), nil
	case "seek": // sarama's way is another PartitionConsumer
		if err := consumer.readers[c.Topic][c.Partition].close(); err != nil {
			return nil, err
		}
		return nil, consumer.read(c.Topic, c.Partition, c.Offset)
	case "commit":
		consumer.commit()
	case "commit_offsets":
		if consumer.member == nil {
			return nil, s.commitOffsets(consumer.group, c)
		}
		consumer.commitOffsets(read[[]place](c.Offsets))
	case "committed":
		return s.committed(consumer.group, read[[]place](c.Partitions))
	case "close_consumer":
		delete(s.consumers, c.Consumer)
		return nil, consumer.close()
	}
	return nil, nil
}

func (s *saramaDriver) committed(group string, places []place) (any, error) {
	wanted := map[string][]int32{}
	for _, one := range places {
		wanted[one.Topic] = append(wanted[one.Topic], one.Partition)
	}
	found, err := s.admin.ListConsumerGroupOffsets(group, wanted)
	if err != nil {
		return nil, err
	}
	rows := []row{}
	for _, one := range places {
		if offset := found.GetBlock(one.Topic, one.Partition); offset != nil && offset.Offset >= 0 {
			rows = append(rows, row{one.Topic, one.Partition, offset.Offset, offset.Metadata})
		} else {
			rows = append(rows, row{one.Topic, one.Partition, nil, ""})
		}
	}
	return rows, nil
}

func (consumer *saramaConsumer) assign(bootstrap []string, places []place) error {
	consumer.config.Consumer.Return.Errors = true
	reader, err := sarama.NewConsumer(bootstrap, consumer.config)
	if err != nil {
		return err
	}
	consumer.reader = reader
	for _, one := range places {
		offset := consumer.config.Consumer.Offsets.Initial
		if one.Offset != nil {
			offset = *one.Offset
		}
		if err := consumer.read(one.Topic, one.Partition, offset); err != nil {
			return err
		}
	}
	return nil
}

// read begins elsewhere where there is no such offset: sarama leaves that to its user.
func (consumer *saramaConsumer) read(topic string, number int32, offset int64) error {
	begin := func(offset int64) (sarama.PartitionConsumer, error) {
		return withLeader(func() (sarama.PartitionConsumer, error) {
			return consumer.reader.ConsumePartition(topic, number, offset)
		})
	}
	partition, err := begin(offset)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		if consumer.noReset {
			consumer.tell(err)
			return nil
		}
		partition, err = begin(consumer.config.Consumer.Offsets.Initial)
	}
	if err != nil {
		return err
	}
	if consumer.readers[topic] == nil {
		consumer.readers[topic] = map[int32]*saramaReader{}
	}
	reader := &saramaReader{partition, make(chan struct{}), make(chan struct{})}
	consumer.readers[topic][number] = reader
	go reader.run(consumer)
	return nil
}

func (reader *saramaReader) run(consumer *saramaConsumer) {
	defer close(reader.ended)
	failures := reader.partition.Errors()
	for {
		select {
		case message, open := <-reader.partition.Messages():
			if !open {
				return
			}
			select {
			case consumer.got <- message:
			case <-reader.stop:
				return
			}
		case failure, open := <-failures:
			if open {
				consumer.tell(failure.Err)
			} else {
				failures = nil
			}
		case <-reader.stop:
			return
		}
	}
}

// tell poll, unless it has much to tell already.
func (consumer *saramaConsumer) tell(failure error) {
	select {
	case consumer.failures <- failure:
	default:
	}
}

func (reader *saramaReader) close() error {
	close(reader.stop)
	<-reader.ended
	return reader.partition.Close()
}

func (consumer *saramaConsumer) subscribe(bootstrap, topics []string) error {
	member, err := sarama.NewConsumerGroup(bootstrap, consumer.group, consumer.config)
	if err != nil {
		return err
	}
	consumer.member, consumer.ended = member, make(chan struct{})
	go func() {
		defer close(consumer.ended)
		for {
			err := member.Consume(context.Background(), topics, consumer)
			if errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
			if err != nil {
				consumer.tell(err)
			}
		}
	}()
	return nil
}

func (consumer *saramaConsumer) hold(session sarama.ConsumerGroupSession) {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	consumer.session = session
}

func (consumer *saramaConsumer) held() sarama.ConsumerGroupSession {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	return consumer.session
}

func (consumer *saramaConsumer) Setup(session sarama.ConsumerGroupSession) error {
	consumer.hold(session)
	return nil
}

func (consumer *saramaConsumer) Cleanup(sarama.ConsumerGroupSession) error {
	consumer.hold(nil)
	return nil
}

func (consumer *saramaConsumer) own(claim sarama.ConsumerGroupClaim, owned bool) {
	consumer.lock.Lock()
	defer consumer.lock.Unlock()
	if owned {
		consumer.claims[claim] = true
	} else {
		delete(consumer.claims, claim)
	}
}

func (consumer *saramaConsumer) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	consumer.own(claim, true)
	defer consumer.own(claim, false)
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			select {
			case consumer.got <- message:
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (consumer *saramaConsumer) assignment() []row {
	rows := []row{}
	consumer.lock.Lock()
	for claim := range consumer.claims {
		rows = append(rows, row{claim.Topic(), claim.Partition()})
	}
	consumer.lock.Unlock()
	for topic, partitions := range consumer.readers {
		for number := range partitions {
			rows = append(rows, row{topic, number})
		}
	}
	return rows
}

func (consumer *saramaConsumer) commit() {
	if session := consumer.held(); session != nil {
		for _, message := range consumer.polled {
			session.MarkMessage(message, "")
		}
		session.Commit()
	}
	consumer.polled = nil
}

// commitOffsets: MarkOffset moves forth only, ResetOffset back only.
func (consumer *saramaConsumer) commitOffsets(places []place) {
	if session := consumer.held(); session != nil {
		for _, one := range places {
			session.MarkOffset(one.Topic, one.Partition, *one.Offset, *one.Metadata)
			session.ResetOffset(one.Topic, one.Partition, *one.Offset, *one.Metadata)
		}
		session.Commit()
	}
}

// poll gives what is there once something is.
func (consumer *saramaConsumer) poll(c call) (any, error) {
	rows := []row{}
	failures, end := consumer.failures, time.After(ms(c.WaitMs))
	for len(rows) < c.Count {
		select {
		case one := <-consumer.got:
			if len(rows) == 0 {
				failures, end = nil, time.After(20*time.Millisecond)
			}
			headers := []row{}
			for _, h := range one.Headers {
				headers = append(headers, row{string(h.Key), h.Value})
			}
			rows = append(rows, row{
				one.Topic, one.Partition, one.Offset, one.Timestamp.UnixMilli(), one.Key, one.Value, headers,
			})
			consumer.polled = append(consumer.polled, one)
		case failure := <-failures:
			return nil, failure
		case <-end:
			return rows, nil
		}
	}
	return rows, nil
}

func (consumer *saramaConsumer) close() error {
	if consumer.member != nil {
		err := consumer.member.Close()
		<-consumer.ended
		return err
	}
	if consumer.reader == nil {
		return nil
	}
	var err error
	for _, partitions := range consumer.readers {
		for _, reader := range partitions {
			err = errors.Join(err, reader.close())
		}
	}
	return errors.Join(err, consumer.reader.Close())
}
