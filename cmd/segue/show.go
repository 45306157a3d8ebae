package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"

	"segue/schemas"
)

// shown is a record as it is printed.
type shown struct {
	At    time.Time       `json:"at"`
	Topic string          `json:"topic"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// writeLine writes s for people; place is the topic, or more precise.
func (s shown) writeLine(out io.Writer, place string) error {
	_, err := fmt.Fprintf(out, "%s %s %s %s\n", s.At.Format(time.RFC3339), place, textOr(s.Key, "-"), s.Value)
	return err
}

// writeJSON writes v on a line of its own, with <, > and & as they are.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func textOr(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

// decoded returns a record's value as JSON: a message by its schema, what has
// none as text; null for a tombstone.
func decoded(topic string, value []byte) (json.RawMessage, error) {
	t, _ := schemas.TopicNamed(topic)
	switch {
	case value == nil:
		return json.RawMessage("null"), nil
	case t.New == nil:
		return quoted(string(value)), nil
	}
	m := t.New()
	if err := schemas.Decode(value, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", valueType(t), err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("print %s: %w", valueType(t), err)
	}
	var compact bytes.Buffer // protojson puts in spaces at random
	err = json.Compact(&compact, text)
	return compact.Bytes(), err
}

func quoted(s string) json.RawMessage {
	text, _ := json.Marshal(s) // a string always marshals
	return text
}

// onOneLine is s without what would break a line, or a terminal.
func onOneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// counted is n of what, in words.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
