package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"segue/schemas"
)

// leastRetention of events is what no station starts without. A profile may be
// newer in memory, on disk and in the log than in profiles, by half a minute when
// all is well: a station whose disk is lost folds that span from the log again,
// and must find it there, after the restart and the restore that come before.
const leastRetention = time.Hour

// difference is what a topic is not, but should be.
type difference struct {
	topic, what string
	// harmful: a station would misread what is there, or could not recover.
	harmful bool
}

func (d difference) String() string { return d.topic + ": " + d.what }

// checkTopics compares the cluster with schemas.Topics. The error has a line
// per difference.
func checkTopics(ctx context.Context, cluster *kadm.Client, prefix string) error {
	all, err := compareTopics(ctx, cluster, prefix)
	return errors.Join(err, asError(all))
}

func asError(differences []difference) error {
	if len(differences) == 0 {
		return nil
	}
	var lines strings.Builder
	advice := ""
	for _, d := range differences {
		fmt.Fprintf(&lines, "\n  %v", d)
		if d.what == missing {
			advice = "\nmissing ones are made by: segue topics create"
		}
	}
	return fmt.Errorf("topics are not as they should be:%s%s", &lines, advice)
}

// checkTopics refuses to start on topics that a station would misread, and warns
// of what it can live with.
func (l *loaded) checkTopics(ctx context.Context, log *slog.Logger) error {
	client, err := l.Kafka.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := compareTopics(ctx, kadm.NewClient(client), l.Prefix)
	if err != nil {
		return err
	}
	for _, d := range all {
		if !d.harmful {
			log.Warn("a topic is not as it should be", "topic", d.topic, "setting", d.what)
		}
	}
	return asError(slices.DeleteFunc(all, func(d difference) bool { return !d.harmful }))
}

func compareTopics(ctx context.Context, cluster *kadm.Client, prefix string) (all []difference, err error) {
	there, err := listTopics(ctx, cluster, prefix)
	if err != nil {
		return nil, err
	}
	described, err := cluster.DescribeTopicConfigs(ctx, there.Names()...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	for _, t := range schemas.Topics {
		name := prefix + t.Name
		if !there.Has(name) {
			all = append(all, difference{name, missing, true})
			continue
		}
		got, err := described.On(name, nil)
		if err = errors.Join(err, got.Err); err != nil {
			return nil, fmt.Errorf("describe topic %s: %w", name, err)
		}
		settings := map[string]string{}
		for _, c := range got.Configs {
			settings[c.Key] = c.MaybeValue()
		}
		of := len(there[prefix+schemas.Events].Partitions)
		switch n := len(there[name].Partitions); {
		case t.Partitioned && of > 0 && n != of: // else events is missing, which has its own line
			all = append(all, difference{name, fmt.Sprintf("partitions: got %d, want as many as %s, which has %d: "+
				"if some were added there, customers' records go elsewhere since, and that needs topics made anew", n, prefix+schemas.Events, of), true})
		case !t.Partitioned && n != 1:
			all = append(all, difference{name, fmt.Sprintf("partitions: got %d, want 1", n), true})
		}
		all = append(all, compareSettings(t, name, settings)...)
	}
	return all, nil
}

// compareSettings compares one topic with what t needs. Records may be kept longer.
func compareSettings(t schemas.Topic, name string, got map[string]string) (all []difference) {
	needs := t.Config(false)
	for _, key := range slices.Sorted(maps.Keys(needs)) {
		if got[key] != needs[key] && key != retention {
			all = append(all, difference{name, fmt.Sprintf("%s: got %s, want %s", key, got[key], needs[key]), true})
		}
	}
	if t.Compact {
		return all
	}
	if kept, ok := lasting(got[retention]); ok && kept < t.Retention {
		d := difference{name, fmt.Sprintf("%s: got %s (%s), want %s (%s) or more", retention, got[retention], inWords(kept), needs[retention], inWords(t.Retention)), false}
		if t.Name == schemas.Events && kept < leastRetention {
			d.what += fmt.Sprintf("; with less than %s no station starts: one that lost its disk could not fold again what profiles lack", inWords(leastRetention))
			d.harmful = true
		}
		all = append(all, d)
	}
	if size := got["retention.bytes"]; size != "" && size != "-1" {
		all = append(all, difference{name, fmt.Sprintf("retention.bytes: got %s, want -1: a busy hour may delete what is still to be read", size), false})
	}
	return all
}

const (
	missing   = "missing"
	retention = "retention.ms"
)

// lasting reads retention.ms; false: for ever, or not known.
func lasting(ms string) (time.Duration, bool) {
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.Duration(n) * time.Millisecond, err == nil && n >= 0 && n < int64(1<<63-1)/int64(time.Millisecond)
}

// inWords is d in its largest whole unit, as in 30 days.
func inWords(d time.Duration) string {
	for _, u := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if d >= u.long && d%u.long == 0 {
			return counted(int(d/u.long), u.name, u.name+"s")
		}
	}
	return d.String()
}
