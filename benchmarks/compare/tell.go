package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// told is what a child says of itself: its turns, if it has a processor, and
// gauges and counters by name, all labels added up.
type told struct {
	Turns   turns
	Metrics map[string]float64
}

// tell answers whoever connects to a child, until it ends.
func tell(path string, metrics prometheus.Gatherer) (stop func() error, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // of a life that was killed
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if t, err := gather(metrics); err == nil {
				_ = gob.NewEncoder(c).Encode(t) // who asked may have gone
			}
			_ = c.Close()
		}
	}()
	return l.Close, nil
}

func gather(metrics prometheus.Gatherer) (t told, err error) {
	families, err := metrics.Gather()
	if err != nil {
		return t, err
	}
	t.Metrics = map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			t.Metrics[family.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Turns, err = turnsOf(families)
	return t, err
}

// ask asks the child of a run that is of this kind.
func (b *bench) ask(ctx context.Context, id, kind string) (t told, err error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", b.socket(id, kind))
	if err != nil {
		return t, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := gob.NewDecoder(c).Decode(&t); err != nil {
		return t, fmt.Errorf("ask the %s of %s: %w", kind, id, errors.Join(err, ctx.Err()))
	}
	return t, nil
}

// socket is where a child tells, beside its folder.
func (b *bench) socket(id, kind string) string { return b.folder(id) + "." + kind }
