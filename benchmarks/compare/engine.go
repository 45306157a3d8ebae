package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"segue/schemas"
)

// run is one life of an engine on a load, or several with the same state.
type run struct {
	id      string // names its topics, its group and its folder
	load    load
	commit  time.Duration // 0: the engine's own
	stormAt int64         // see fold.Task
	profile string        // file for a CPU profile
	via     string        // the way to the broker; "": its own address
	mails   string        // address of the mail server
	// connections to it; 0: as many as usual.
	connections int
}

func (r run) outputs() string { return r.id + "-outputs" }

// engine is a program that does the plain fold, or the customer station's.
type engine struct {
	name string
	// group is what a run's offsets are committed under.
	group func(id string) string
	// states is the topic that holds the states of a run; "" when there is none.
	states  func(id string) string
	command func(b *bench, r run) []string
}

func same(id string) string { return id }

// child is this program as a process of its own.
func child(kind string) func(*bench, run) []string {
	return func(b *bench, r run) []string {
		return []string{b.self, "child", kind, "-brokers", b.cluster.brokers, "-id", r.id, "-input", r.load.topic, "-dir", b.folder(r.id),
			"-customers", strconv.Itoa(r.load.Customers), "-pads", strconv.Itoa(r.load.pads()), "-memory", strconv.FormatInt(r.load.memory, 10), "-commit", r.commit.String(),
			"-storm", strconv.FormatInt(r.stormAt, 10), "-profile", r.profile,
			"-via", r.via, "-mails", r.mails, "-connections", strconv.Itoa(cmp.Or(r.connections, connections))}
	}
}

var (
	segue = engine{"Segue", same, func(id string) string { return id + "-profiles" }, child("segue")}
	bare  = engine{"bare limit", same, func(string) string { return "" }, child("bare")}
	// The customer station puts its prefix before the names of group and topics.
	station = engine{"customer station", func(id string) string { return id + "customer" }, func(id string) string { return id + schemas.Profiles }, child("station")}
	mailer  = engine{"sender", func(id string) string { return id + "sender" }, func(string) string { return "" }, child("sender")}
)

// streams is Kafka Streams with these settings of benchmarks/streams.
func streams(name string, settings ...string) engine {
	return engine{name, same, func(id string) string { return id + "-states-changelog" }, func(b *bench, r run) []string {
		command := []string{"java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(b.java, "*"), "segue.Peer",
			"brokers=" + b.cluster.brokers, "application=" + r.id, "input=" + r.load.topic, "outputs=" + r.outputs(), "dir=" + b.folder(r.id),
			"pads=" + strconv.Itoa(r.load.pads())}
		if r.commit > 0 {
			command = append(command, "commit="+strconv.FormatInt(r.commit.Milliseconds(), 10))
		}
		return append(command, settings...)
	}}
}

var (
	uncached      = streams("Kafka Streams, no cache", "cache=off")
	cached        = streams("Kafka Streams, cache", "cache=on")
	transactional = streams("Kafka Streams, transactional stores", "cache=off", "transactional=true")
)

// prepare makes the topics of a run of the plain fold.
func (b *bench) prepare(ctx context.Context, e engine, r run) error {
	if err := b.cluster.create(ctx, b.cluster.partitions, nil, r.outputs()); err != nil {
		return err
	}
	states := e.states(r.id)
	if states == "" {
		return nil
	}
	return b.cluster.create(ctx, b.cluster.partitions, map[string]string{"cleanup.policy": "compact"}, states)
}

// forget deletes what a run has left.
func (b *bench) forget(ctx context.Context, e engine, r run) error {
	return errors.Join(b.cluster.drop(ctx, r.outputs(), e.states(r.id)), os.RemoveAll(b.folder(r.id)))
}

func (b *bench) folder(id string) string { return filepath.Join(b.dir, id) }

// process is a running engine, whose usage is looked at while it runs.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
	ended  chan struct{}
	err    error // once ended

	mu   sync.Mutex
	last usage
	most int64 // the highest rss since mostRSS was asked last
}

func (b *bench) start(e engine, r run) (*process, error) {
	args := e.command(b, r)
	p := &process{name: e.name, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Env = append(os.Environ(), "GOGC="+b.gogc)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", e.name, err)
	}
	go p.watch()
	return p, nil
}

func (p *process) watch() {
	exited := make(chan error, 1)
	go func() { exited <- p.cmd.Wait() }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case p.err = <-exited:
			rusage := p.cmd.ProcessState
			p.mu.Lock()
			p.last.cpu = rusage.UserTime() + rusage.SystemTime()
			p.mu.Unlock()
			close(p.ended)
			return
		case <-look.C:
			if u, err := usageOf(p.cmd.Process.Pid); err == nil && u.rss > 0 {
				p.mu.Lock()
				p.last, p.most = u, max(p.most, u.rss)
				p.mu.Unlock()
			}
		}
	}
}

func (p *process) usage() usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// mostRSS is the highest that was seen since it was asked last.
func (p *process) mostRSS() (most int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	most, p.most = p.most, p.last.rss
	return most
}

// alive is an error once the process has ended, which only stop and kill want.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended on its own: %v\n%s", p.name, p.err, tail(p.stderr.Bytes()))
	default:
		return nil
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-4000):] }

// stop asks the process to end, and waits until it has.
func (p *process) stop() (usage, error) {
	if err := p.alive(); err != nil {
		return usage{}, err
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return usage{}, err
	}
	select {
	case <-p.ended:
	case <-time.After(5 * time.Minute):
		p.kill()
		return usage{}, fmt.Errorf("%s did not end within five minutes of SIGTERM\n%s", p.name, tail(p.stderr.Bytes()))
	}
	const terminated = 128 + int(syscall.SIGTERM) // how Java ends after its hooks
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && code != terminated {
		return usage{}, fmt.Errorf("%s, asked to end: %v\n%s", p.name, p.err, tail(p.stderr.Bytes()))
	}
	return p.usage(), nil
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}
