package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
	"segue/state"
)

// What a processor left on its disk is what the log says, after a stop and
// after a crash; what somebody changed there is named.
func TestVerify(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	r.fill(1, 300)
	m := newMachine("a")
	c := r.config(m)
	r.run(c)
	verified(t, c, 0, "the log from its start")

	// A crash leaves the disk behind what is committed.
	r.fill(2, 300)
	c = r.config(m)
	crash := &crashes{step: "committed", left: 1, then: func() { m.lose(0) }}
	c.Hook = crash.hook
	if err := r.die(r.start(c)); !errors.Is(err, errCrash) {
		t.Fatalf("got %v, want a crash", err)
	}
	c = r.config(m)
	behind := false
	for _, v := range verified(t, c, 0, "the log from its start") {
		behind = behind || v.Stored != v.At
	}
	if !behind {
		t.Error("the crash left nothing to fold again: the test shows nothing")
	}
	for _, v := range verified(t, c, 3, "the log from its start") {
		if v.Compared == 0 || v.Compared == v.Keys {
			t.Errorf("partition %d: compared %d of %d, want some", v.Partition, v.Compared, v.Keys)
		}
	}

	// The log's start is gone: profiles are.
	r.run(c)
	client, err := kgo.NewClient(r.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	floor := kadm.Offsets{}
	for id, end := range r.Ends("events") {
		floor.AddOffset(r.Prefix+"events", id, end-20, -1)
	}
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), floor); err != nil {
		t.Fatal(err)
	}
	verified(t, c, 0, "profiles, and the log from offset ")

	store, err := state.Open(c.Dir, state.Options{FS: c.FS})
	if err != nil {
		t.Fatal(err)
	}
	p := store.Partition(0)
	values, err := p.Values("")
	if err != nil {
		t.Fatal(err)
	}
	key, value := values.Key(), slices.Clone(values.Value())
	value = []byte(strings.Replace(string(value), `"Count":`, `"Count":1`, 1))
	if err := values.Close(); err != nil {
		t.Fatal(err)
	}
	b := p.Batch(1)
	b.Put(key, 0, value)
	stranger := newFold[toyState, string](new(toy), nil)
	e, err := stranger.load("stranger")
	if err != nil {
		t.Fatal(err)
	}
	b.Put("stranger", 0, stranger.encode(nil, e))
	if err := errors.Join(b.Apply(), store.Close()); err != nil {
		t.Fatal(err)
	}
	for _, v := range verify(t, c, 0) {
		var want []string
		if v.Partition == 0 {
			want = []string{key, "stranger"}
		}
		if !slices.Equal(v.Differ, want) || v.Problem != nil {
			t.Errorf("partition %d: got %q, %v, want %q", v.Partition, v.Differ, v.Problem, want)
		}
	}
}

// An index that does not fit the values is named, before anything is compared.
func TestVerifyIndexes(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	c := r.config(newMachine("a"))
	r.fill(1, 100)
	r.run(c)
	verified(t, c, 0, "the log from its start")
	store, err := state.Open(c.Dir, state.Options{FS: c.FS})
	if err != nil {
		t.Fatal(err)
	}
	p := store.Partition(0)
	values, err := p.Values("")
	if err != nil {
		t.Fatal(err)
	}
	key := values.Key()
	b := p.Batch(1)
	b.Wake(state.Wake{Due: 5, Key: "nobody"})
	b.Dirtied(1<<40, key)
	b.Put("torn", 0, []byte("x"))
	if err := errors.Join(values.Close(), b.Apply(), store.Close()); err != nil {
		t.Fatal(err)
	}
	got := verify(t, c, 0)
	if len(got) != 1 || got[0].Problem == nil {
		t.Fatalf("got %+v, want a problem", got)
	}
	for _, want := range []string{
		`value of "torn": corrupt fold: got format 120, want 1`,
		`wake-up index: "nobody" is listed at 5: there is no value`,
		fmt.Sprintf(`dirty index: %q is listed as 1099511627776, its value is `, key),
		"wake-up index: got ", "dirty index: got ",
	} {
		if !strings.Contains(got[0].Problem.Error(), want) {
			t.Errorf("got %v\nwant also %s", got[0].Problem, want)
		}
	}
}

// What cannot be compared says why.
func TestVerifyRefuses(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 1)
	m := newMachine("a")
	c := r.config(m)
	err := Verify(t.Context(), c, 0, func(Verified) error { return nil })
	if err == nil || err.Error() != "verify state: there is no such folder" {
		t.Errorf("no folder: got %v", err)
	}
	r.fill(1, 50)
	r.run(c)
	other := c
	other.FoldVersion++
	if got := verify(t, other, 0); len(got) != 1 || got[0].Problem == nil || !strings.Contains(got[0].Problem.Error(), "it was folded by versions 0 (folder) and 0 (group) of the fold, and this is 1") {
		t.Errorf("another version: got %+v", got)
	}
	other = c
	other.Name = "stranger"
	if got := verify(t, other, 0); len(got) != 1 || got[0].Problem == nil || !strings.Contains(got[0].Problem.Error(), "stranger holds no offset of it") {
		t.Errorf("another group: got %+v", got)
	}
	x := r.start(c)
	r.settle(x)
	if err := Verify(t.Context(), c, 0, func(Verified) error { return nil }); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("in use: got %v", err)
	}
}

func verify(t *testing.T, c Config[toyState, string], most int) (all []Verified) {
	t.Helper()
	c.Hook, c.Metrics = nil, nil
	if err := Verify(context.Background(), c, most, func(v Verified) error { all = append(all, v); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// verified wants nothing but agreement.
func verified(t *testing.T, c Config[toyState, string], most int, from string) []Verified {
	t.Helper()
	all := verify(t, c, most)
	if len(all) == 0 {
		t.Error("no partition was compared")
	}
	for _, v := range all {
		if v.Problem != nil || len(v.Differ) > 0 || v.Compared == 0 || !strings.HasPrefix(v.From, from) {
			t.Errorf("partition %d: got %+v, want agreement with %s", v.Partition, v, from)
		}
	}
	return all
}
