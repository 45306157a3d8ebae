package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is how long a process may take to start, or to stop when asked.
const patience = time.Minute

// process is one that is killed and comes back, life after life, under one name.
type process struct {
	name    string
	command func(ctx context.Context) *exec.Cmd
	log     string // file of what all lives say

	// started sees every life once it runs; ended, every life's end that neither
	// a kill nor a stop explains.
	started func(life)
	ended   func(life, error)

	mu       sync.Mutex
	life     life
	running  bool
	down     time.Duration // until the next life, after a kill
	between  func() error  // before the next life, after a kill; nil: nothing
	stopping bool
	kick     chan struct{} // closed to begin the next life sooner
	done     chan struct{} // of run
}

// life is one run of a process.
type life struct {
	number int
	began  time.Time
	pid    int
	over   <-chan struct{}
	killed *atomic.Bool
}

// afterFailure is how long a process that ended by itself stays down.
const afterFailure = 2 * time.Second

// run keeps the process alive until stop, or until ctx ends, which kills it.
func (p *process) run(ctx context.Context) error {
	defer close(p.done)
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	for number := 1; ; number++ {
		fmt.Fprintf(log, "--- life %d at %s\n", number, time.Now().UTC().Format(time.RFC3339Nano))
		err := p.live(ctx, number, log)
		wait, between, stopping := p.after(err)
		if stopping || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-p.kick:
		case <-ctx.Done():
			return nil
		}
		if between != nil {
			if err := between(); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if p.isStopping() {
			return nil
		}
	}
}

// live runs one life to its end, and returns how that was, unless it was killed.
func (p *process) live(ctx context.Context, number int, log io.Writer) error {
	cmd := p.command(ctx)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: a kill takes whatever it started, and a Ctrl-C in the
	// terminal is ours to answer.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	over := make(chan struct{})
	l := life{number: number, began: time.Now(), pid: cmd.Process.Pid, over: over, killed: new(atomic.Bool)}
	p.mu.Lock()
	p.life, p.running, p.down, p.between = l, true, 0, nil
	if p.stopping {
		syscall.Kill(-l.pid, syscall.SIGTERM)
	}
	p.mu.Unlock()
	if p.started != nil {
		p.started(l)
	}
	err := cmd.Wait()
	p.mu.Lock()
	p.running = false
	expected := l.killed.Load() || ctx.Err() != nil
	stopping := p.stopping
	p.mu.Unlock()
	close(over)
	switch {
	case expected:
		return nil
	case stopping && err == nil:
		return nil
	case !stopping:
		if err == nil {
			err = errors.New("exit status 0")
		}
		if p.ended != nil {
			p.ended(l, err)
		}
	}
	return fmt.Errorf("%s, life %d: %w", p.name, number, err)
}

func (p *process) after(err error) (wait time.Duration, between func() error, stopping bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = p.down
	if err != nil {
		wait = afterFailure
	}
	return wait, p.between, p.stopping
}

func (p *process) isStopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopping
}

// alive returns the present life.
func (p *process) alive() (life, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life, p.running && !p.life.killed.Load()
}

// kill ends the present life without a word; the next one begins after down.
// It reports whether there was one.
func (p *process) kill(down time.Duration, between func() error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running || p.life.killed.Load() || p.stopping {
		return false
	}
	p.down, p.between = down, between
	p.life.killed.Store(true)
	syscall.Kill(-p.life.pid, syscall.SIGKILL)
	return true
}

// stop asks the process to end, and waits until it has.
func (p *process) stop() error {
	p.mu.Lock()
	if !p.stopping {
		p.stopping = true
		close(p.kick)
		if p.running {
			syscall.Kill(-p.life.pid, syscall.SIGTERM)
		}
	}
	l, running := p.life, p.running
	p.mu.Unlock()
	if !running {
		<-p.done
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		syscall.Kill(-l.pid, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("stop %s: still running %v after SIGTERM", p.name, patience)
	}
}
