package schemas

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var errFrame = errors.New("registry frame is cut short")

// Encode returns m as a record's value. The same message gives the same bytes.
func Encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", m, err)) // only a string that is not UTF-8: whoever filled m checks
	}
	return b
}

// Decode reads a record's value into m: Protobuf, Protobuf behind a Schema
// Registry frame, or JSON.
func Decode(value []byte, m proto.Message) error {
	if len(value) > 0 && value[0] == '{' {
		return protojson.UnmarshalOptions{}.Unmarshal(value, m)
	}
	if len(value) > 0 && value[0] == 0 {
		var err error
		if value, err = skipFrame(value); err != nil {
			return err
		}
	}
	return proto.Unmarshal(value, m)
}

// skipFrame drops the zero byte, the schema's id and the path to the message's
// type within its file: a count and as many indexes; a count of 0 is the first.
func skipFrame(b []byte) ([]byte, error) {
	if len(b) < 6 {
		return nil, errFrame
	}
	b = b[5:]
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 {
		return nil, errFrame
	}
	b = b[n:]
	for range count {
		if _, n = binary.Varint(b); n <= 0 {
			return nil, errFrame
		}
		b = b[n:]
	}
	return b, nil
}

// Timestamp returns an instant in milliseconds as messages carry it; nil for 0.
func Timestamp(ms int64) *timestamppb.Timestamp {
	if ms == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMilli(ms))
}

// Millis returns an instant that a message carries in milliseconds; 0 for none.
func Millis(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	return t.GetSeconds()*1000 + int64(t.GetNanos())/1e6
}

// IsControl reports whether e says something of a partition, not of a customer.
func (e *Event) IsControl() bool {
	switch e.GetBody().(type) {
	case *Event_Tick, *Event_Playbook, *Event_Skip, *Event_Models:
		return true
	}
	return false
}
