package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// recoveries are how long those who were killed took, and what that cost.
type recoveries struct {
	mu        sync.Mutex
	first     map[string][]time.Duration // by station: from a start to the first output
	refolded  []float64                  // records and wake-ups, by recovery
	restored  []float64                  // profiles, by recovery that had no folder, or no place in it
	overtaken int                        // killed again before an output
}

// glance is how often a process that comes back is looked at.
const glance = 20 * time.Millisecond

// watch waits for the first output of a life. That it is committed is known to
// within a commit's interval.
func (r *rig) watch(name, station string, l life) {
	for {
		select {
		case <-l.over:
			if l.killed.Load() {
				r.recoveries.overtook()
			}
			return
		case <-time.After(glance):
		}
		m, err := scrape(r.adminOf(name))
		if err != nil {
			continue // it does not listen yet
		}
		out := m.sum("segue_sender_mails_total") > 0
		if station == "customer" {
			out = m.sum("segue_stream_outputs_total") > 0 && m.sum(`segue_stream_commits_total`, `result="committed"`) > 0
		}
		if out {
			r.recoveries.add(station, time.Since(l.began), m)
			return
		}
	}
}

func (c *recoveries) overtook() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.overtaken++
}

func (c *recoveries) add(who string, took time.Duration, m metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = map[string][]time.Duration{}
	}
	c.first[who] = append(c.first[who], took)
	if who != "customer" {
		return
	}
	c.refolded = append(c.refolded, m.sum("segue_stream_refolded_total"))
	if m.sum("segue_stream_restores_total") > 0 {
		c.restored = append(c.restored, m.sum("segue_stream_restored_profiles_total"))
	}
}

func (c *recoveries) print(out io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(out, "\nfrom a start to the first output:")
	for _, who := range []string{"customer", "sender", "broker"} {
		d := c.first[who]
		fmt.Fprintf(out, "  %-10s %4d times   p50 %6.2f s   p99 %6.2f s   max %6.2f s\n", who, len(d),
			quantile(d, 0.5).Seconds(), quantile(d, 0.99).Seconds(), quantile(d, 1).Seconds())
	}
	fmt.Fprintf(out, "  killed again before an output: %d\n", c.overtaken)
	fmt.Fprintf(out, "folded again by a recovery: p50 %.0f   p99 %.0f   max %.0f records and wake-ups\n",
		quantile(c.refolded, 0.5), quantile(c.refolded, 0.99), quantile(c.refolded, 1))
	fmt.Fprintf(out, "restored from profiles: %d times, max %.0f customers\n", len(c.restored), quantile(c.restored, 1))
}

// quantile is the least value that so large a part of them does not exceed; 0 of
// none.
func quantile[T time.Duration | float64](values []T, part float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(part*float64(len(sorted))+0.999999)-1, 0)]
}

// client gives up soon: who is asked may be killed at any time.
var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(address, path string) (io.ReadCloser, error) {
	answer, err := client.Get("http://" + address + path)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return nil, errors.Join(fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(text))), err, answer.Body.Close())
	}
	return answer.Body, nil
}

// ready asks a station whether it is.
func ready(address string) error {
	body, err := get(address, "/readyz")
	if err != nil {
		return err
	}
	return body.Close()
}

// metrics are lines as Prometheus reads them.
type metrics []string

func scrape(address string) (m metrics, err error) {
	body, err := get(address, "/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		m = append(m, lines.Text())
	}
	return m, lines.Err()
}

// sum adds up what a metric shows under all of its labels that say so.
func (m metrics) sum(name string, labels ...string) (total float64) {
	for _, line := range m {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != '{' && rest[0] != ' ' || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(rest, l) }) {
			continue
		}
		if v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64); err == nil {
			total += v
		}
	}
	return total
}
