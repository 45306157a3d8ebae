package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/customer"
)

var administrators = map[string]struct {
	args int
	do   func(ctx context.Context, client *kgo.Client, args []string) error
}{
	// produce TOPIC KEY VALUE, as any client would.
	"produce": {3, func(ctx context.Context, client *kgo.Client, args []string) error {
		return client.ProduceSync(ctx, &kgo.Record{Topic: args[0], Key: []byte(args[1]), Value: []byte(args[2])}).FirstErr()
	}},
	// alter-topic TOPIC KEY VALUE
	"alter-topic": {3, func(ctx context.Context, client *kgo.Client, args []string) error {
		altered, err := kadm.NewClient(client).AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: args[1], Value: &args[2]}}, args[0])
		for _, a := range altered {
			err = errors.Join(err, a.Err)
		}
		return err
	}},
	// set-partitions TOPIC N
	"set-partitions": {2, func(ctx context.Context, client *kgo.Client, args []string) error {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		set, err := kadm.NewClient(client).UpdatePartitions(ctx, n, args[0])
		return errors.Join(err, set.Error())
	}},
	// delete-topic TOPIC
	"delete-topic": {1, func(ctx context.Context, client *kgo.Client, args []string) error {
		deleted, err := kadm.NewClient(client).DeleteTopics(ctx, args[0])
		return errors.Join(err, deleted.Error())
	}},
	// delete-records TOPIC, all of them
	"delete-records": {1, func(ctx context.Context, client *kgo.Client, args []string) error {
		cluster := kadm.NewClient(client)
		ends, err := cluster.ListEndOffsets(ctx, args[0])
		if err = errors.Join(err, ends.Error()); err != nil {
			return err
		}
		deleted, err := cluster.DeleteRecords(ctx, ends.Offsets())
		return errors.Join(err, deleted.Error())
	}},
	// delete-group GROUP
	"delete-group": {1, func(ctx context.Context, client *kgo.Client, args []string) error {
		cluster := kadm.NewClient(client)
		if err := empty(ctx, cluster, args[0]); err != nil {
			return err
		}
		deleted, err := cluster.DeleteGroups(ctx, args[0])
		return errors.Join(err, deleted.Error())
	}},
	// reset-offsets GROUP TOPIC to the start, as kafka-consumer-groups.sh does
	"reset-offsets": {2, func(ctx context.Context, client *kgo.Client, args []string) error {
		cluster := kadm.NewClient(client)
		if err := empty(ctx, cluster, args[0]); err != nil {
			return err
		}
		starts, err := cluster.ListStartOffsets(ctx, args[1])
		if err = errors.Join(err, starts.Error()); err != nil {
			return err
		}
		return cluster.CommitAllOffsets(ctx, args[0], starts.Offsets())
	}},
	// another-fold GROUP TOPIC: what is committed was folded by the version before
	"another-fold": {2, func(ctx context.Context, client *kgo.Client, args []string) error {
		cluster := kadm.NewClient(client)
		if err := empty(ctx, cluster, args[0]); err != nil {
			return err
		}
		held, err := cluster.FetchOffsets(ctx, args[0])
		if err = errors.Join(err, held.Error()); err != nil {
			return err
		}
		offsets := held.Offsets()
		offsets.KeepFunc(func(o kadm.Offset) bool { return o.Topic == args[1] })
		for p, o := range offsets[args[1]] {
			o.Metadata = strings.Replace(o.Metadata, fmt.Sprintf(`"fold":%d`, customer.FoldVersion), fmt.Sprintf(`"fold":%d`, customer.FoldVersion-1), 1)
			offsets[args[1]][p] = o
		}
		return cluster.CommitAllOffsets(ctx, args[0], offsets)
	}},
}

// empty takes members that stopped, but are waited for, out of a group.
func empty(ctx context.Context, cluster *kadm.Client, group string) error {
	left, err := cluster.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs("one"))
	return errors.Join(err, left.Error())
}

// administration are scripts' commands: what somebody else does to the cluster at
// BROKERS.
func administration() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for name, command := range administrators {
		commands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) != command.args {
				ts.Fatalf("%s: got %q, want %d arguments", name, args, command.args)
			}
			client, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKERS")), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
			ts.Check(err)
			defer client.Close()
			ts.Check(command.do(context.Background(), client, args))
		}
	}
	return commands
}
