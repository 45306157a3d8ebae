package customer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"segue/processors/stream"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

const (
	minute = 60_000
	day    = 24 * 3_600_000
)

// visitOfTen are the events of one visit: looking around, a cart, an order.
var visitOfTen = []string{"ada visit", "ada view sku=mug category=kitchen", "ada view sku=jug category=kitchen", "ada cart_add sku=mug price=12.50", "ada visit",
	"ada view sku=bowl category=kitchen", "ada checkout", "ada order total=12.50", "ada opened", "ada named name=Quiz"}

func oncePerDay(i int) int64 { return monday + int64(i/10)*day + int64(i%10)*minute }

// shipped is a task with the playbook that comes with Segue, loaded.
func shipped(b *testing.B) (*Task, string) {
	yaml, files, err := playbook.ReadFS(os.DirFS("../../deploy"), "playbook.yaml")
	if err != nil {
		b.Fatal(err)
	}
	pb, err := playbook.Parse("playbook.yaml", yaml, files)
	if err != nil {
		b.Fatal(err)
	}
	return loaded(b, pb), pb.Version
}

// BenchmarkAdvance folds one customer's events under the playbook that comes with
// Segue: visits of ten events a day, with a cart and an order; or views alone, one
// a minute.
func BenchmarkAdvance(b *testing.B) {
	task, version := shipped(b)
	const count = 10_000
	fold := func(b *testing.B, at func(i int) int64, lines ...string) {
		values := make([][]byte, count)
		for i := range values {
			values[i] = encoded(b, lines[i%len(lines)], at(i))
		}
		b.ReportAllocs()
		var p *profile.Profile
		i := count
		for b.Loop() {
			if i == count {
				i, p = 0, task.New("ada")
			}
			if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: at(i), Value: values[i], Version: version}); err != nil {
				b.Fatal(err)
			}
			i++
		}
	}
	b.Run("events=all", func(b *testing.B) { fold(b, oncePerDay, visitOfTen...) })
	b.Run("events=views", func(b *testing.B) {
		at := func(i int) int64 { return monday + int64(i)*minute }
		fold(b, at, "ada view sku=mug category=kitchen", "ada view sku=jug category=kitchen", "ada view sku=bowl category=kitchen")
	})
}

// BenchmarkSegments folds a buyer's views, one a minute, under segments that ask
// for orders and mails opened, of which nothing changes.
func BenchmarkSegments(b *testing.B) {
	for _, segments := range []int{10, 30, 100} {
		b.Run(fmt.Sprintf("segments=%d", segments), func(b *testing.B) {
			before, after, _ := strings.Cut(shop(b), "segments:\n")
			for i := range segments {
				before += fmt.Sprintf("  s%d: {enter: orders.spent(days(%d)) >= money(%d) && since(last.open) > days(%d)}\n", i, 30+i, i, 1+i%7)
			}
			pb := parse(b, strings.Replace(before, "  s0:", "segments:\n  s0:", 1)+after)
			task := loaded(b, pb)
			values := make([][]byte, 1_000)
			for i := range values {
				values[i] = encoded(b, "ada view sku=mug category=kitchen", monday+int64(i)*minute)
			}
			b.ReportAllocs()
			var p *profile.Profile
			i := len(values)
			for b.Loop() {
				if i == len(values) {
					i, p = 0, task.New("ada")
					for n, line := range []string{"ada order total=40", "ada opened", "ada order total=40", "ada order total=40"} {
						at := monday - int64(4-n)*day
						if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: at, Value: encoded(b, line, at), Version: pb.Version}); err != nil {
							b.Fatal(err)
						}
					}
				}
				if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: monday + int64(i)*minute, Value: values[i], Version: pb.Version}); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkProfile does what the runtime does with a profile beside folding, for
// one who came once, five and thirty times.
func BenchmarkProfile(b *testing.B) {
	task, version := shipped(b)
	for _, visits := range []struct {
		name  string
		count int
	}{{"visits=1", 1}, {"visits=5", 5}, {"visits=30", 30}} {
		p := task.New("ada")
		take := func(i int, line string) {
			in := stream.Input{Key: "ada", Now: oncePerDay(i), Value: encoded(b, line, oncePerDay(i)), Version: version}
			if _, _, err := task.Advance(p, in); err != nil {
				b.Fatal(err)
			}
		}
		take(0, "ada identify email=ada@shop.example name=Ada zone=Europe/London")
		take(0, "ada subscribe")
		for i := range 10 * visits.count {
			take(i, visitOfTen[i%10])
		}
		fold := task.Encode(nil, p)
		value := task.Publish("ada", p, fold)
		var buf []byte
		for _, does := range []struct {
			name string
			once func()
		}{
			{"encode", func() { buf = task.Encode(buf[:0], p) }},
			{"decode", func() {
				if p, err := task.Decode(fold); err == nil {
					task.Release(p)
				}
			}},
			{"size", func() { task.Size(p) }},
			{"publish", func() { task.Publish("ada", p, fold) }},
			{"restore", func() { _, _ = task.Restore(value) }},
		} {
			b.Run(does.name+"/"+visits.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					does.once()
				}
				b.ReportMetric(float64(len(fold)), "fold-bytes")
			})
		}
	}
}
