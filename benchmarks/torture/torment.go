package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"segue/schemas"
)

// torment runs load and kills, and then lets everything come to rest.
func (r *rig) torment(ctx context.Context) error {
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	var background sync.WaitGroup
	defer background.Wait()
	defer stopLoad()
	background.Go(func() { r.load.run(loading) })
	background.Go(func() { r.report(loading) })
	background.Go(func() { r.edit(loading) })
	if err := r.killAll(ctx); err != nil {
		return err
	}
	// What does not come to rest is found, and what there is is checked.
	for _, err := range []error{
		r.until(ctx, "all are back after the last kill", r.unready),
		r.until(ctx, "the edited playbook is in force", func() string { return unless(r.edited.Load(), "it was not applied") }),
		sleep(ctx, 2*r.every), // the last one under load, too, shows that it works
	} {
		if err != nil && ctx.Err() == nil {
			r.find("%v", err)
		}
	}
	stopLoad()
	background.Wait()
	if err := r.until(ctx, "the customer stations have folded all", r.behind); err != nil {
		r.find("%v", err)
	}
	for _, p := range r.customers {
		if err := p.stop(); err != nil {
			r.find("%v", err)
		}
	}
	ends, err := r.reader().ends(ctx, prefix+schemas.Deliveries)
	if err != nil {
		return err
	}
	if err := r.until(ctx, "every delivery has an outcome", func() string { return r.tail.open(ends) }); err != nil {
		r.find("%v", err)
	}
	if err := r.sender.stop(); err != nil {
		r.find("%v", err)
	}
	return ctx.Err()
}

// edit puts the edited playbook in force once half of the kills are done; a
// broker that is away is tried again.
func (r *rig) edit(ctx context.Context) {
	for ctx.Err() == nil {
		if r.killed.Load() >= int64(r.kills)/2 || len(r.found()) > 0 {
			text, err := r.command(ctx, "playbook", "apply", filepath.Join(r.dir, "shop", edited)).CombinedOutput()
			if err == nil {
				r.edited.Store(true)
				return
			}
			r.note("segue playbook apply: %v: %s", err, strings.TrimSpace(string(text)))
		}
		sleep(ctx, time.Second)
	}
}

// unready says who is not ready. Stations may not have noticed yet that the
// broker is away.
func (r *rig) unready() string {
	if !r.brokerUp.Load() {
		return "the broker does not answer"
	}
	var why []string
	for _, p := range append(r.customers[:len(r.customers):len(r.customers)], r.sender) {
		if err := ready(r.adminOf(p.name)); err != nil {
			why = append(why, fmt.Sprintf("%s: %v", p.name, err))
		}
	}
	return strings.Join(why, "; ")
}

// behind says which customer station has records left to fold.
func (r *rig) behind() string {
	var why []string
	for _, p := range r.customers {
		m, err := scrape(r.adminOf(p.name))
		if err == nil && m.sum("segue_stream_lag_records") > 0 {
			err = fmt.Errorf("%.0f records behind", m.sum("segue_stream_lag_records"))
		}
		if err = errors.Join(err, ready(r.adminOf(p.name))); err != nil {
			why = append(why, fmt.Sprintf("%s: %v", p.name, err))
		}
	}
	return strings.Join(why, "; ")
}

// report prints a line every few seconds.
func (r *rig) report(ctx context.Context) {
	began := time.Now()
	for sleep(ctx, 5*time.Second) == nil {
		r.mu.Lock()
		mails, found := len(r.mails), len(r.findings)
		r.mu.Unlock()
		fmt.Fprintf(r.out, "%4.0f s  %d of %d kills  %d events  %d segment changes  %d deliveries  %d mails%s\n", time.Since(began).Seconds(),
			r.killed.Load(), r.kills, r.load.written.Load(), r.tail.changes.Load(), r.tail.deliveries.Load(), mails, r.absent(found))
	}
}

// absent says who is down or not ready.
func (r *rig) absent(found int) string {
	var s strings.Builder
	for _, p := range append([]*process{r.broker, r.sender}, r.customers...) {
		if _, ok := p.alive(); !ok {
			s.WriteString("  " + p.name + " is down")
		}
	}
	if found > 0 {
		fmt.Fprintf(&s, "  FOUND: %d", found)
	}
	return s.String()
}
