// Drivers of Go's Kafka clients: `drivers LIBRARY BOOTSTRAP` (compat_tests/drivers/__init__.py tells the language).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
)

const (
	wait      = 30 * time.Second
	heartbeat = 300 * time.Millisecond
)

type record struct {
	Key, Value []byte
	Partition  *int32
	Timestamp  *int64
	Headers    []header
}

type header struct {
	Name  string
	Value []byte
}

func (h *header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&h.Name, &h.Value})
}

// call has the fields of all calls; those with more than one shape are read by the call itself.
type call struct {
	Do, Topic, Group, Producer, Consumer, Pattern     string
	Acks, Codec, Reset, Isolation, Protocol, Assignor string
	Topics                                            []string
	Config                                            map[string]*string
	Offsets, Partitions, At                           json.RawMessage
	Records                                           []record
	Partition                                         int32
	Offset                                            int64
	Count                                             int
	Idempotent                                        bool
	WaitMs                                            int64  `json:"wait_ms"`
	TransactionalID                                   string `json:"transactional_id"`
	TransactionTimeoutMs                              int64  `json:"transaction_timeout_ms"`
	LingerMs                                          int64  `json:"linger_ms"`
	InstanceID                                        string `json:"instance_id"`
	SessionTimeoutMs                                  int64  `json:"session_timeout_ms"`
	FetchMinBytes                                     int32  `json:"fetch_min_bytes"`
	FetchWaitMs                                       int64  `json:"fetch_wait_ms"`
	PartitionFetchBytes                               int32  `json:"partition_fetch_bytes"`
}

// place is [topic, partition, offset or null, metadata], or the beginning of it.
type place struct {
	Topic     string
	Partition int32
	Offset    *int64
	Metadata  *string
}

func (p *place) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&p.Topic, &p.Partition, &p.Offset, &p.Metadata})
}

func read[T any](text json.RawMessage) (value T) {
	if err := json.Unmarshal(text, &value); err != nil {
		panic(err)
	}
	return value
}

func ms(count int64) time.Duration { return time.Duration(count) * time.Millisecond }

type row = []any

type driver interface {
	do(ctx context.Context, c call) (any, error)
	code(err error) string
}

func main() {
	library, bootstrap := os.Args[1], os.Args[2]
	libraries := map[string]func() driver{
		"franz-go":     func() driver { return newFranz(bootstrap) },
		"sarama":       func() driver { return newSarama(bootstrap, sarama.MaxVersion) },
		"sarama as is": func() driver { return newSarama(bootstrap, sarama.DefaultVersion) },
	}
	d := libraries[library]()
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var c call
		if err := json.Unmarshal(line, &c); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		result, err := d.do(ctx, c)
		cancel()
		answer := map[string]any{"result": result}
		if err != nil {
			code := d.code(err)
			if errors.Is(err, context.DeadlineExceeded) {
				code = "TIMED_OUT"
			}
			answer = map[string]any{"error": code, "message": err.Error()}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
