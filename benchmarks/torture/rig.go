package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/sender/inbox"
	"segue/schemas"
	"segue/schemas/playbook"
)

//go:embed shop
var shop embed.FS

const (
	prefix      = "torture-"
	group       = prefix + "customer"
	eventsTopic = prefix + schemas.Events
	// connections of the sender to the mail server.
	connections = 4
	// slowest is how long the mail server takes to answer at most: long enough
	// for mails to be in hand when somebody is killed.
	slowest = 200 * time.Millisecond
	// inForce is the playbook at first; edited comes midway.
	inForce, edited = "playbook.yaml", "edited.yaml"
)

// rig is all that runs, and what it has seen.
type rig struct {
	options
	out   io.Writer
	shelf shelf
	kafka []kgo.Opt

	broker, sender *process
	controller     *process // is never killed
	customers      []*process
	port           int            // of the broker
	admin          map[string]int // ports, by process
	inbox          *inbox.Inbox
	load           *load
	tail           *tail
	recoveries     recoveries

	brokerUp   atomic.Bool
	brokerDied atomic.Int64 // when last, in ns
	killed     atomic.Int64
	edited     atomic.Bool
	allowed    atomic.Int64 // mails that kills may have left in doubt
	own        atomic.Int64 // ends that a broker that was away explains

	mu       sync.Mutex
	log      io.WriteCloser
	mails    map[string]int // by delivery
	findings []string

	processes sync.WaitGroup
}

// run tortures, and returns how much was found. The error is what kept it from
// finding out.
func run(ctx context.Context, o options, out io.Writer) (found int, err error) {
	r := &rig{options: o, out: out, mails: map[string]int{}, admin: map[string]int{}}
	if err := r.prepare(ctx); err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "seed %d, %d kills, %d customer stations, %d partitions, %d events/s; in %s\n", r.seed, r.kills, r.stations, r.partitions, r.rate, r.dir)
	all, cancel := context.WithCancel(ctx)
	var rest sync.WaitGroup
	defer func() {
		cancel()
		r.processes.Wait()
		rest.Wait()
		if found == 0 && err == nil && !o.keep {
			err = os.RemoveAll(r.dir)
		} else if !errors.Is(err, context.Canceled) || o.keep {
			fmt.Fprintf(out, "evidence of seed %d: %s\n", r.seed, r.dir)
		} else {
			os.RemoveAll(r.dir)
		}
	}()
	if err := r.start(all, &rest); err != nil {
		return 0, err
	}
	if err := r.torment(all); err != nil {
		return 0, err
	}
	result, err := r.check(all)
	if err != nil {
		return 0, err
	}
	result.print(out)
	if len(result.findings) > 0 {
		return len(result.findings), r.dump(all)
	}
	return 0, nil
}

// prepare makes the folder and the binary.
func (r *rig) prepare(ctx context.Context) (err error) {
	if r.dir == "" {
		r.dir, err = os.MkdirTemp("", "segue-torture-")
	} else {
		err = os.Mkdir(r.dir, 0o755)
	}
	if err == nil {
		r.dir, err = filepath.Abs(r.dir)
	}
	if err != nil {
		return err
	}
	if r.log, err = os.Create(filepath.Join(r.dir, "run.log")); err != nil {
		return err
	}
	if err := os.CopyFS(r.dir, shop); err != nil {
		return err
	}
	yaml, err := fs.ReadFile(shop, "shop/"+inForce)
	if err != nil {
		return err
	}
	changed := strings.NewReplacer("within(minutes(2)) >= 3", "within(minutes(2)) >= 2", "after: 3s", "after: 2s").Replace(string(yaml))
	if err := os.WriteFile(filepath.Join(r.dir, "shop", edited), []byte(changed), 0o644); err != nil {
		return err
	}
	if r.shelf, err = readShelf(os.DirFS(filepath.Join(r.dir, "shop")), inForce, edited); err != nil {
		return err
	}
	if r.segue != "" {
		r.segue, err = filepath.Abs(r.segue)
		return err
	}
	r.segue = filepath.Join(r.dir, "segue")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", r.segue, "segue/cmd/segue").CombinedOutput(); err != nil {
		return fmt.Errorf("build the segue binary: %w: %s", err, text)
	}
	return nil
}

// shelf are the playbooks that were in force.
type shelf map[string]*playbook.Playbook

func (s shelf) Playbook(_ context.Context, version string) (*playbook.Playbook, error) {
	if s[version] == nil {
		return nil, fmt.Errorf("playbook %s is in force, and none of ours", version)
	}
	return s[version], nil
}

func readShelf(dir fs.FS, names ...string) (shelf, error) {
	s := shelf{}
	for _, name := range names {
		yaml, files, err := playbook.ReadFS(dir, name)
		if err != nil {
			return nil, err
		}
		pb, err := playbook.Parse(name, yaml, files)
		if err != nil {
			return nil, err
		}
		s[pb.Version] = pb
	}
	return s, nil
}

// start brings everything up, in the order of the path.
func (r *rig) start(ctx context.Context, rest *sync.WaitGroup) error {
	ports, err := freePorts(3 + r.stations)
	if err != nil {
		return err
	}
	r.port = ports[0] // and the next, the controller's
	r.kafka = []kgo.Opt{kgo.SeedBrokers(r.address()), kgo.MetadataMinAge(100 * time.Millisecond)}
	kafka := func(role string) func(context.Context) *exec.Cmd {
		return func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, r.options.kafka, "--keep", filepath.Join(r.dir, "kafka"), "--port", fmt.Sprint(r.port), role)
		}
	}
	r.controller = r.launch(ctx, "controller", kafka("controller"), nil)
	r.broker = r.launch(ctx, "broker", kafka("broker"), func(l life) { go r.awaitBroker(ctx, l) })
	if err := r.until(ctx, "the broker answers", func() string { return unless(r.brokerUp.Load(), "it does not") }); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"topics", "create", "--partitions", fmt.Sprint(r.partitions), "--replication-factor", "1"},
		{"playbook", "apply", filepath.Join(r.dir, "shop", inForce)},
	} {
		if text, err := r.command(ctx, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("segue %s: %w: %s", strings.Join(args, " "), err, text)
		}
	}
	if r.load, err = newLoad(r.kafka, eventsTopic, r.options); err != nil {
		return err
	}
	if err := r.openInbox(ctx, rest); err != nil {
		return err
	}
	for i := range r.stations {
		name := fmt.Sprintf("customer-%d", i+1)
		r.admin[name] = ports[3+i]
		r.customers = append(r.customers, r.launchStation(ctx, name, "customer"))
	}
	r.admin["sender"] = ports[2]
	r.sender = r.launchStation(ctx, "sender", "sender")
	r.tail = newTail(r)
	rest.Go(func() { r.tail.run(ctx) })
	return r.until(ctx, "all stations are ready", r.unready)
}

// address of the broker.
func (r *rig) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// command runs segue against this cluster.
func (r *rig) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.segue, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "SEGUE_KAFKA_BROKERS="+r.address(), "SEGUE_PREFIX="+prefix)
	return cmd
}

func (r *rig) launchStation(ctx context.Context, name, station string) *process {
	return r.launch(ctx, name, func(ctx context.Context) *exec.Cmd {
		cmd := r.command(ctx, "run", station)
		cmd.Env = append(cmd.Env, "SEGUE_INSTANCE="+name, "SEGUE_ADMIN_LISTEN="+r.adminOf(name), "SEGUE_CUSTOMER_DIR="+r.stateOf(name),
			"SEGUE_CUSTOMER_MEMORY=128MiB", "SEGUE_LINKS_URL=http://127.0.0.1", "SEGUE_LINKS_SECRETS=a-secret-that-is-long-enough",
			"SEGUE_SENDER_SMTP_ADDRESS="+r.inbox.SMTPAddr(), "SEGUE_SENDER_SMTP_TLS=none", fmt.Sprintf("SEGUE_SENDER_SMTP_CONNECTIONS=%d", connections))
		return cmd
	}, func(l life) {
		if l.number > 1 {
			go r.watch(name, station, l)
		}
	})
}

func (r *rig) adminOf(name string) string { return fmt.Sprintf("127.0.0.1:%d", r.admin[name]) }
func (r *rig) stateOf(name string) string { return filepath.Join(r.dir, "state", name) }

func (r *rig) launch(ctx context.Context, name string, command func(context.Context) *exec.Cmd, started func(life)) *process {
	p := &process{name: name, command: command, log: filepath.Join(r.dir, name+".log"), started: started,
		ended: r.endedByItself(name), kick: make(chan struct{}), done: make(chan struct{})}
	r.processes.Go(func() {
		if err := p.run(ctx); err != nil && ctx.Err() == nil {
			r.find("%v; see %s", err, p.log)
		}
	})
	return p
}

// endedByItself notes an end that no kill explains. Without a broker it is no
// fault: who starts then says so, and leaves trying again to what runs it.
func (r *rig) endedByItself(name string) func(life, error) {
	return func(l life, err error) {
		died := time.Unix(0, r.brokerDied.Load())
		if !r.brokerUp.Load() || died.After(l.began.Add(-patience/2)) {
			r.note("%s, life %d, ended while the broker was away: %v", name, l.number, err)
			r.own.Add(1)
			return
		}
		r.find("%s, life %d, ended by itself: %v; see %s", name, l.number, err, filepath.Join(r.dir, name+".log"))
	}
}

// openInbox takes mails, slowly, and lets some be answered.
func (r *rig) openInbox(ctx context.Context, rest *sync.WaitGroup) (err error) {
	r.inbox, err = inbox.New(inbox.Config{
		Keep: 1,
		Answer: func(m inbox.Mail) error {
			time.Sleep(time.Duration(hashOf(m.DeliveryID) % uint64(slowest)))
			return nil
		},
		OnMail: func(m inbox.Mail) {
			r.mu.Lock()
			r.mails[m.DeliveryID]++
			r.mu.Unlock()
			r.load.answer(ctx, m)
		},
	})
	if err != nil {
		return err
	}
	rest.Go(func() {
		if err := r.inbox.Run(ctx); err != nil {
			r.find("%v", err)
		}
	})
	return nil
}

// awaitBroker says when a life of the broker answers.
func (r *rig) awaitBroker(ctx context.Context, l life) {
	for ctx.Err() == nil {
		client, err := kgo.NewClient(r.kafka...)
		if err != nil {
			r.find("look for the broker: %v", err)
			return
		}
		ping, cancel := context.WithTimeout(ctx, time.Second)
		err = client.Ping(ping)
		cancel()
		client.Close()
		select {
		case <-l.over:
			return
		default:
		}
		if err == nil {
			r.brokerUp.Store(true)
			r.note("the broker, life %d, answers after %v", l.number, time.Since(l.began).Round(time.Millisecond))
			return
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

// until waits, for as long as patience goes, until missing returns "".
func (r *rig) until(ctx context.Context, what string, missing func() string) error {
	deadline := time.Now().Add(patience)
	for {
		why := missing()
		if why == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait %v until %s: %s; see the logs in %s", patience, what, why, r.dir)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func unless(ok bool, why string) string {
	if ok {
		return ""
	}
	return why
}

// note writes a line of the run's own log.
func (r *rig) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.log, time.Now().UTC().Format("15:04:05.000")+" "+format+"\n", args...)
}

// find notes what should not be.
func (r *rig) find(format string, args ...any) {
	r.note("FOUND "+format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings = append(r.findings, fmt.Sprintf(format, args...))
}

func (r *rig) found() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.findings)
}

// freePorts are n in a row that nobody listens on, below those that the system
// gives to whoever asks for any: they must be free again after each kill.
func freePorts(n int) ([]int, error) {
	for first := 20000 + os.Getpid()%5000; first < 32000; first += n {
		var ports []int
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				break
			}
			l.Close()
			ports = append(ports, port)
		}
		if len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("got no %d ports in a row that are free, from 20000 to 32000", n)
}
