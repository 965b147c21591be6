package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

type saramaDriver struct {
	bootstrap []string
	version   sarama.KafkaVersion // of the broker, as sarama is told: newer requests are not sent
	admin     sarama.ClusterAdmin
	producers map[string]sarama.SyncProducer
	quiet     map[string]bool // producers that are told nothing: acks 0
	consumers map[string]*saramaConsumer
}

func newSarama(bootstrap string, version sarama.KafkaVersion) driver {
	s := &saramaDriver{
		bootstrap: []string{bootstrap}, version: version, producers: map[string]sarama.SyncProducer{},
		quiet: map[string]bool{}, consumers: map[string]*saramaConsumer{},
	}
	config := s.config()
	config.Admin.Timeout = wait
	admin, err := sarama.NewClusterAdmin(s.bootstrap, config)
	if err != nil {
		panic(err)
	}
	s.admin = admin
	return s
}

func (s *saramaDriver) config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = s.version
	return config
}

// code: sarama has numbers for Kafka's errors, and kerr has their names.
func (s *saramaDriver) code(err error) string {
	var many sarama.ProducerErrors
	if errors.As(err, &many) && len(many) > 0 {
		err = many[0].Err
	}
	var known sarama.KError
	if errors.As(err, &known) {
		var named *kerr.Error
		if errors.As(kerr.ErrorForCode(int16(known)), &named) {
			return named.Message
		}
	}
	return fmt.Sprintf("%T", err)
}

func (s *saramaDriver) do(_ context.Context, c call) (any, error) {
	switch c.Do {
	case "open_producer", "send", "init_transactions", "begin", "commit_transaction", "abort_transaction", "send_offsets",
		"close_producer":
		return s.produce(c)
	case "open_consumer", "subscribe", "assign", "poll", "assignment", "seek", "commit", "commit_offsets", "committed",
		"close_consumer":
		return s.consume(c)
	case "list_groups", "describe_group", "delete_group", "group_offsets", "set_group_offsets", "delete_group_offsets":
		return s.groups(c)
	}
	return s.topics(c)
}

func (s *saramaDriver) openProducer(c call) error {
	codecs := map[string]sarama.CompressionCodec{
		"": sarama.CompressionNone, "none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
	acks := map[string]sarama.RequiredAcks{
		"": sarama.WaitForAll, "all": sarama.WaitForAll, "1": sarama.WaitForLocal, "0": sarama.NoResponse,
	}
	config := s.config()
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = newSaramaChoice
	config.Producer.Compression = codecs[c.Codec]
	config.Producer.RequiredAcks = acks[c.Acks]
	config.Producer.Flush.Frequency = ms(c.LingerMs)
	if c.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1 // sarama wants it so
	}
	if c.TransactionalID != "" {
		config.Producer.Transaction.ID = c.TransactionalID
		if c.TransactionTimeoutMs > 0 {
			config.Producer.Transaction.Timeout = ms(c.TransactionTimeoutMs)
		}
	}
	producer, err := sarama.NewSyncProducer(s.bootstrap, config)
	if err == nil {
		s.producers[c.Producer], s.quiet[c.Producer] = producer, c.Acks == "0"
	}
	return err
}

// saramaChoice keeps the record's own partition, where it has one.
type saramaChoice struct{ sarama.Partitioner }

func newSaramaChoice(topic string) sarama.Partitioner {
	return saramaChoice{sarama.NewHashPartitioner(topic)}
}

func (p saramaChoice) Partition(m *sarama.ProducerMessage, count int32) (int32, error) {
	if m.Partition >= 0 {
		return m.Partition, nil
	}
	return p.Partitioner.Partition(m, count)
}

func (s *saramaDriver) produce(c call) (any, error) {
	producer := s.producers[c.Producer]
	switch c.Do {
	case "open_producer":
		return nil, s.openProducer(c)
	case "init_transactions": // sarama did, when the producer was opened
		return nil, nil
	case "begin":
		return nil, producer.BeginTxn()
	case "commit_transaction":
		return nil, producer.CommitTxn()
	case "abort_transaction":
		return nil, producer.AbortTxn()
	case "send_offsets":
		wanted := map[string][]*sarama.PartitionOffsetMetadata{}
		for _, one := range read[[]place](c.Offsets) {
			wanted[one.Topic] = append(wanted[one.Topic], &sarama.PartitionOffsetMetadata{
				Partition: one.Partition, Offset: *one.Offset, LeaderEpoch: -1, Metadata: one.Metadata,
			})
		}
		return nil, producer.AddOffsetsToTxn(wanted, c.Group)
	case "close_producer":
		delete(s.producers, c.Producer)
		return nil, producer.Close()
	}
	return s.send(producer, c)
}

func (s *saramaDriver) send(producer sarama.SyncProducer, c call) (any, error) {
	messages := []*sarama.ProducerMessage{}
	for _, given := range c.Records {
		one := &sarama.ProducerMessage{Topic: c.Topic, Partition: -1}
		if given.Key != nil {
			one.Key = sarama.ByteEncoder(given.Key)
		}
		if given.Value != nil {
			one.Value = sarama.ByteEncoder(given.Value)
		}
		if given.Partition != nil {
			one.Partition = *given.Partition
		}
		if given.Timestamp != nil {
			one.Timestamp = time.UnixMilli(*given.Timestamp)
		}
		for _, h := range given.Headers {
			one.Headers = append(one.Headers, sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value})
		}
		messages = append(messages, one)
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	rows := []row{}
	for _, one := range messages {
		sent := row{one.Partition, one.Offset, one.Timestamp.UnixMilli()}
		if s.quiet[c.Producer] {
			sent[1] = nil
		}
		if one.Timestamp.IsZero() {
			sent[2] = nil
		}
		rows = append(rows, sent)
	}
	return rows, nil
}
