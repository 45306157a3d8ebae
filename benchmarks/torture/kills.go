package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// kill is one that happened.
type kill struct {
	number int
	at     time.Time
	victim string
	life   int
	down   time.Duration
	disk   bool // it lost its folder, too
}

func (k kill) String() string {
	s := fmt.Sprintf("kill %d at %s: %s, life %d, back after %v", k.number, k.at.UTC().Format("15:04:05.000"), k.victim, k.life, k.down)
	if k.disk {
		s += " without its folder"
	}
	return s
}

// unregistered is a time down after which the controller knows that the broker is
// gone: its session is 3 s. One that is back sooner leads its partitions, loses
// them when it is found to be another, and gets them back; Kafka 4.3 takes what has
// no leader then for deleted, and drops its transaction markers (KAFKA-20734).
const unregistered = 4 * time.Second

// outlives is a time down after which the group gives the partitions of a static
// member to others: its session is 12 s.
const outlives = 14 * time.Second

// killAll kills as often as it should, at random moments of a random process, or
// until something is found.
func (r *rig) killAll(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(r.seed, 2))
	for number := 1; number <= r.kills && len(r.found()) == 0; number++ {
		// The draws of a kill are made at once, so that a seed's victims do not
		// depend on who is found down.
		wait := time.Duration((0.3 + 1.4*rng.Float64()) * float64(r.every))
		victim, soon, fate := rng.IntN(100), time.Duration(rng.IntN(500))*time.Millisecond, rng.IntN(10)
		impatient := rng.IntN(4) == 0
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if !impatient { // of stations without a broker there is less to learn
			if err := r.until(ctx, "the broker is back", func() string { return unless(r.brokerUp.Load(), "it is away") }); err != nil {
				return err
			}
		}
		for {
			k := kill{number: number, down: soon}
			p := r.broker
			switch {
			case victim < 15:
				k.down = unregistered + soon
			case victim < 35:
				p = r.sender
			default:
				p = r.customers[victim%len(r.customers)]
				switch fate {
				case 0:
					k.down = outlives
				case 1:
					k.disk = true
				}
			}
			if r.killOne(p, k) {
				break
			}
			victim = (victim + 37) % 100 // down just now: another
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) killOne(p *process, k kill) bool {
	l, ok := p.alive()
	if !ok || p == r.broker && !r.brokerUp.Load() {
		return false
	}
	k.at, k.victim, k.life = time.Now(), p.name, l.number
	var between func() error
	if k.disk {
		between = func() error { return os.RemoveAll(r.stateOf(p.name)) }
	}
	if p == r.broker {
		r.brokerUp.Store(false)
		r.brokerDied.Store(time.Now().UnixNano())
	}
	if !p.kill(k.down, between) {
		return false
	}
	if p == r.broker || p == r.sender {
		r.allowed.Add(connections)
	}
	r.killed.Add(1)
	r.note("%v", k)
	return true
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
