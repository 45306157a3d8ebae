package schemas

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var ordered = &Event{Id: "1", Customer: "ada", UserId: "ada", OccurredAt: timestamppb.New(time.Unix(1772445600, 0)),
	Body: &Event_Order{Order: &Order{OrderId: "o1", Currency: "GBP", TotalMicros: 12_500_000,
		Products: []*Product{{Id: "mug", Name: "Blue mug ♥", PriceMicros: 12_500_000, Quantity: 1}}}}}

// One event in every form that a storefront may write it in.
func TestDecodeEveryForm(t *testing.T) {
	plain := Encode(ordered)
	for name, value := range map[string][]byte{
		"Protobuf": plain,
		"JSON": []byte(`{"id":"1","customer":"ada","userId":"ada","occurredAt":"2026-03-02T10:00:00Z","order":{"orderId":"o1","currency":"GBP",
			"totalMicros":"12500000","products":[{"id":"mug","name":"Blue mug ♥","priceMicros":"12500000","quantity":"1"}]}}`),
		// Zero byte, schema id, then the path to the message: one index, 0 as short for it, or three.
		"registry, one index": append([]byte{0, 0, 0, 0, 7, 2, 2}, plain...),
		"registry, first":     append([]byte{0, 0, 0, 0, 7, 0}, plain...),
		"registry, three":     append([]byte{0, 0, 0, 0, 7, 6, 2, 4, 0}, plain...),
	} {
		var got Event
		if err := Decode(value, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !proto.Equal(&got, ordered) {
			t.Errorf("%s: got %v, want %v", name, &got, ordered)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, value := range map[string]string{
		"a registry frame without its end": "\x00\x00\x00",
		"a frame whose path never ends":    "\x00\x00\x00\x00\x07\x06\x02",
		"a frame with a negative count":    "\x00\x00\x00\x00\x07\x01",
		"JSON with an unknown field":       `{"customre":"ada"}`,
		"JSON that is cut short":           `{"customer":`,
		"Protobuf that is cut short":       "\x0a\x05ad",
		"text that is not UTF-8":           "\x0a\x01\xff",
	} {
		if err := Decode([]byte(value), new(Event)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Bytes that were written once always decode to what they meant.
func TestEventGolden(t *testing.T) {
	path := filepath.Join("testdata", "event-1.hex")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var got Event
	if err := Decode(value, &got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&got, ordered) {
		t.Errorf("got %v, want %v", &got, ordered)
	}
}

// What comes in from outside decodes to an event that survives a round trip, or
// is an error; never a panic.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(ordered))
	f.Add([]byte(`{"customer":"ada","view":{"product":{"id":"mug"}}}`))
	f.Add(append([]byte{0, 0, 0, 0, 7, 2, 2}, Encode(ordered)...))
	f.Fuzz(func(t *testing.T, value []byte) {
		var e, again Event
		if Decode(value, &e) != nil {
			return
		}
		if err := Decode(Encode(&e), &again); err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if !bytes.Equal(Encode(&again), Encode(&e)) {
			t.Errorf("%v became %v", &e, &again)
		}
	})
}

// The table holds together: names are unique, values decode, and what is
// co-partitioned with events says so.
func TestTopics(t *testing.T) {
	seen := map[string]bool{}
	for _, topic := range Topics {
		if seen[topic.Name] {
			t.Errorf("%s stands in the table twice", topic.Name)
		}
		seen[topic.Name] = true
		if topic.Compact == (topic.Retention > 0) {
			t.Errorf("%s: compact %t with retention %s, want one of both", topic.Name, topic.Compact, topic.Retention)
		}
		if topic.New != nil && topic.New() == nil {
			t.Errorf("%s: New returns nil", topic.Name)
		}
		if found, ok := TopicNamed(topic.Name); !ok || found.Carries != topic.Carries {
			t.Errorf("TopicNamed(%q) = %v, %t", topic.Name, found, ok)
		}
		if got := topic.Config(true); got["message.timestamp.type"] != "CreateTime" || got["retention.ms"] != "-1" {
			t.Errorf("%s in virtual time: got %v, want its own time, kept for ever", topic.Name, got)
		}
	}
}
