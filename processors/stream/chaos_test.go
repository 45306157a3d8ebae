package stream

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"segue/processors/stream/streamtest"
)

var chaosSeeds = flag.Uint64("chaos", 2, "seeds of TestChaos")

// Three members die at random steps, with none, half or all of what they had
// not synced, or with their disks, while answers are lost and the log grows.
func TestChaos(t *testing.T) {
	for seed := range *chaosSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(newRig(t, streamtest.Fake(t), 3), seed) })
	}
}

func chaos(r *rig, seed uint64) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 99))
	draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
	stop := make(chan struct{})
	var members sync.WaitGroup
	deaths := 0
	for _, name := range []string{"a", "b", "c"} {
		members.Add(1)
		go func() {
			defer members.Done()
			m := newMachine(name)
			for {
				c := r.config(m)
				dead := false
				c.Hook = func(string) error {
					if !dead && draw(25) > 0 {
						return nil
					}
					if !dead {
						dead = true
						m.lose([]int{0, 50, 100}[draw(3)])
						_ = m.fs.Remove("state/" + deathsFile) // chance kills here, no record does
					}
					return errCrash
				}
				x := r.start(c)
				select {
				case <-x.done:
				case <-stop:
					x.stop()
				}
				if err := x.wait(); err != nil && !errors.Is(err, errCrash) {
					r.t.Errorf("%s: %v", name, err)
				}
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				deaths++
				mu.Unlock()
				if draw(4) == 0 {
					m = newMachine(name)
				}
			}
		}()
	}
	for i := range 12 {
		r.fill(seed*100+uint64(i), 60)
		if draw(2) == 0 {
			r.LoseEndTxn()
		}
		time.Sleep(time.Duration(draw(300)) * time.Millisecond) // not to wait for anything: to spread the log over lives
	}
	close(stop)
	members.Wait()
	for _, name := range []string{"a", "b", "c"} {
		r.evict(name)
	}
	r.run(r.config(newMachine("d")))
	r.verdict()
	r.t.Logf("%d deaths", deaths)
}
