package customer

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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

// believable are segments of the kinds that marketers write. Of each ten, every one
// is of another kind; the next ten ask about another category, product, country,
// window and number.
func believable(n int) string {
	windows := []string{"days(7)", "days(1)", "days(30)", "hours(1)", "days(90)", "days(14)", "days(3)", "days(365)", "days(60)", "days(180)"}
	countries := []string{"GB", "IE", "FR", "DE", "NL", "US", "CA", "ES", "IT", "SE"}
	var yaml strings.Builder
	for i := range n {
		ten := i / 10
		window, other, country := windows[ten%10], windows[ten/3%10], countries[ten/2%10]
		category, product := fmt.Sprintf("%q", "c"+strconv.Itoa(ten%categories)), fmt.Sprintf("%q", "p"+strconv.Itoa(ten*37%products))
		enter := [...]string{
			fmt.Sprintf("views.within(%s) >= %d && orders.within(%s) == 0", window, 3+ten%20, other),
			fmt.Sprintf("views.in_category(%s, %s) >= %d", category, window, 2+ten%4),
			fmt.Sprintf("orders.spent(%s) >= money(%d)', leave: 'orders.spent(%s) < money(%d)", window, 50*(1+ten%20), window, 40*(1+ten%20)),
			fmt.Sprintf("orders.count >= %d && since(last.order) > days(%d) && since(last.visit) > days(%d)", 1+ten%5, 7*(1+ten%26), 7*(1+ten%13)),
			fmt.Sprintf("scores.churn >= 0.%02d && orders.value >= money(%d)", 30+5*(ten%14), 25*(1+ten%20)),
			fmt.Sprintf("scores.propensity >= 0.%02d && carts.open >= 1 && customer.country == %q", 5*(1+ten%15), country),
			fmt.Sprintf("views.of_product(%s, days(7)) >= 2 && orders.of_product(%s) == 0", product, product),
			fmt.Sprintf("customer.country == %q && opened.within(%s) >= %d", country, window, 1+ten%3),
			fmt.Sprintf("sequence([viewed(product.category == %s), carted(), nothing(hours(%d))], days(%d))", category, 1+ten%4, 1+ten%3),
			fmt.Sprintf("favourite.category == %s && customer.subscribed && since(last.open) < %s", category, window),
		}[i%10]
		fmt.Fprintf(&yaml, "  s%d: {enter: '%s'}\n", i, enter)
	}
	return yaml.String()
}

const categories, products = 60, 1_000

// aMonth is what a shop's customers do: each looks around in three categories of
// their own, a dozen events a visit. In a hundred events are 20 visits, 50 views, 14
// things put in a cart, 6 orders, 5 mails opened and 5 who say who they are.
func aMonth(b *testing.B, customers, events int) (all []stream.Input) {
	draw := rand.New(rand.NewPCG(1, 1))
	type visit struct{ who, left int }
	visits := make([]visit, 5)
	for i := range events {
		v := &visits[draw.IntN(len(visits))]
		if v.left == 0 {
			*v = visit{draw.IntN(customers), 1 + draw.IntN(23)}
		}
		v.left--
		category := (7*v.who + draw.IntN(3)) % categories
		product := fmt.Sprintf("sku=p%d category=c%d price=%d", category+categories*draw.IntN(products/categories), category, 5+draw.IntN(60))
		country := []string{"GB", "GB", "GB", "GB", "IE", "FR", "DE", "US"}[v.who%8]
		does := "identify country=" + country + " zone=Europe/London"
		switch share := draw.IntN(100); {
		case share < 20:
			does = "visit"
		case share < 70:
			does = "view " + product
		case share < 84:
			does = "cart_add " + product
		case share < 90:
			does = fmt.Sprintf("order total=%d", 10+draw.IntN(90))
		case share < 95:
			does = "opened"
		case share < 97:
			does = "subscribe"
		}
		key := "c" + strconv.Itoa(v.who)
		at := monday + int64(i)*30*day/int64(events)
		all = append(all, stream.Input{Key: key, Now: at, Value: encoded(b, key+" "+does, at)})
	}
	return all
}

// BenchmarkSegments folds a shop's month, with the wake-ups that come between, under
// 10, 100 and 1,000 segments; of-10 is the part that is left of the throughput with 10.
func BenchmarkSegments(b *testing.B) {
	events := aMonth(b, 500, 20_000)
	before, after, _ := strings.Cut(shop(b), "segments:\n")
	few := 0.
	for _, segments := range []int{10, 100, 1_000} {
		b.Run(fmt.Sprintf("segments=%d", segments), func(b *testing.B) {
			pb := parse(b, before+"segments:\n"+believable(segments)+after)
			task := loaded(b, pb)
			profiles := make(map[string]*profile.Profile)
			i, wakes, changes := 0, 0, 0
			take := func(p *profile.Profile, in stream.Input) {
				in.Version = pb.Version
				decisions, _, err := task.Advance(p, in)
				if err != nil {
					b.Fatal(err)
				}
				for _, d := range decisions {
					if d.Segment != nil {
						changes++
					}
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if i == len(events) {
					i = 0
					clear(profiles)
				}
				in := events[i]
				p := profiles[in.Key]
				if p == nil {
					p = task.New(in.Key)
					profiles[in.Key] = p
				}
				for p.Next != 0 && p.Next < in.Now {
					wakes++
					take(p, stream.Input{Key: in.Key, Now: p.Next, Offset: -1})
				}
				take(p, in)
				i++
			}
			each := float64(b.Elapsed()) / float64(b.N)
			if segments == 10 {
				few = each
			}
			b.ReportMetric(float64(wakes)/float64(b.N), "wake-ups/event")
			b.ReportMetric(float64(changes)/float64(b.N), "changes/event")
			b.ReportMetric(few/each, "of-10")
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
