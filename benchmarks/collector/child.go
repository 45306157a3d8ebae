package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/collector"
	"segue/schemas/link"
)

const (
	writeKey = "load"
	// childIs names the variable that makes this process a collector.
	childIs = "COLLECTOR_CHILD"
)

// setup is what a collector of its own process is told.
type setup struct {
	Brokers          []string
	Prefix           string
	MaxInFlightBytes int64
	AckTimeout       time.Duration
}

// childIfAsked does not return when this process is a collector.
func childIfAsked() {
	told := os.Getenv(childIs)
	if told == "" {
		return
	}
	if err := serve(told); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve collects, says where, and ends with its standard input.
func serve(told string) error {
	var s setup
	if err := json.Unmarshal([]byte(told), &s); err != nil {
		return err
	}
	keys, err := link.NewKeys("a secret of the load's own")
	if err != nil {
		return err
	}
	station, err := collector.New(collector.Config{Listen: "127.0.0.1:0", Kafka: []kgo.Opt{kgo.SeedBrokers(s.Brokers...)}, Prefix: s.Prefix,
		WriteKeys: map[string]string{writeKey: "load"}, Links: keys, MaxInFlightBytes: s.MaxInFlightBytes, AckTimeout: s.AckTimeout})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
		stop()
	}()
	fmt.Println(station.Addr())
	return station.Run(ctx)
}

// child is a collector in a process of its own.
type child struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func start(s setup) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childIs+"="+string(told))
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = c.cmd.Process.Kill()
		return nil, fmt.Errorf("start a collector: %w", err)
	}
	c.addr = strings.TrimSpace(line)
	return c, nil
}

// cost is what a collector took from its start to its end.
type cost struct {
	cpu    time.Duration
	memory int64 // resident, at most, in bytes
}

// stop waits until the collector has finished what it took.
func (c *child) stop() (cost, error) {
	_ = c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		return cost{}, fmt.Errorf("the collector ended: %w", err)
	}
	state := c.cmd.ProcessState
	usage, _ := state.SysUsage().(*syscall.Rusage)
	return cost{cpu: state.UserTime() + state.SystemTime(), memory: usage.Maxrss << 10}, nil
}
