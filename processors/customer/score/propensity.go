package score

import (
	"math"
	"slices"
	"strings"
	"time"

	"segue/schemas/models"
	"segue/schemas/profile"
)

// fading is what propensity sees, as of the last sign of life: from there on all of
// it but what lasts fades, at two speeds.
type fading struct {
	since     int64 // 0: never seen
	fast      float64
	slow      float64 // half-lives in milliseconds
	day, week logit
	seen      [models.FeatureCount]float64
}

// logit is the log-odds lasting + fast·2^(-t/fast) + slow·2^(-t/slow).
type logit struct{ lasting, fast, slow float64 }

func (r *Reader) fading() *fading {
	if !r.first(knowPropensity) {
		return &r.propensity
	}
	f, set := &r.propensity, &r.set.Propensity
	f.fast, f.slow = set.FastHours*3_600_000, set.SlowDays*day
	f.since = r.features(&f.seen)
	f.day, f.week = weigh(&set.Day, &f.seen), weigh(&set.Week, &f.seen)
	return f
}

func weigh(m *models.Logit, seen *[models.FeatureCount]float64) logit {
	l := logit{lasting: m.Base}
	for i := range seen {
		x := m.Of[i] * seen[i]
		switch models.Features[i].Speed {
		case models.Fast:
			l.fast += x
		case models.Slow:
			l.slow += x
		default:
			l.lasting += x
		}
	}
	return l
}

// at is the probability, and until when it only rises or only falls.
func (f *fading) at(l *logit, now int64) (x float64, until int64) {
	if f.since == 0 {
		return 0, 0
	}
	fast, slow := f.faded(now)
	return 1 / (1 + math.Exp(-l.lasting-l.fast*fast-l.slow*slow)), f.turns(l, now)
}

// faded is what is left at an instant of what fades fast, and slowly.
func (f *fading) faded(now int64) (fast, slow float64) {
	t := float64(max(0, now-f.since))
	return math.Exp2(-t / f.fast), math.Exp2(-t / f.slow)
}

// turns is when the log-odds have their one extreme, or just behind it,
// after now; 0: they have none.
// There the two parts, of which one pulls up and the other down, fade as fast.
func (f *fading) turns(l *logit, now int64) int64 {
	if l.fast*l.slow >= 0 || f.fast == f.slow {
		return 0
	}
	t := math.Log2(-l.fast*f.slow/(l.slow*f.fast)) / (1/f.fast - 1/f.slow)
	if at := f.since + int64(t) + 1; t > 0 && at > now {
		return at
	}
	return 0
}

// Features is what propensity sees of a customer at an instant: by these numbers it
// is fitted, and serves.
func (r *Reader) Features(now int64) (x [models.FeatureCount]float64) {
	f := r.fading()
	if f.since == 0 {
		return x
	}
	fast, slow := f.faded(now)
	for i := range x {
		x[i] = f.seen[i]
		switch models.Features[i].Speed {
		case models.Fast:
			x[i] *= fast
		case models.Slow:
			x[i] *= slow
		}
	}
	return x
}

// logs are ln(1+n).
var logs = func() (l [129]float64) {
	for n := range l {
		l[n] = math.Log1p(float64(n))
	}
	return l
}()

func counted(n int) float64 { return logs[max(0, min(n, len(logs)-1))] }

// features looks at p as of the last sign of life, and returns when that was.
func (r *Reader) features(x *[models.FeatureCount]float64) (since int64) {
	p, o := r.p, r.ordered()
	since = lastSign(p, o)
	if n := len(p.Named); n > 0 {
		since = max(since, p.Named[n-1].At)
	}
	if since == 0 {
		return 0
	}
	hour, again, week := views(p.Views.Recent, since)
	search, sizing, shipping := r.named(since)
	recent := func(at int64) int {
		if at != 0 && at > since-day {
			return 1
		}
		return 0
	}
	things := 0
	for i := range p.Carts {
		things += len(p.Carts[i].Items)
	}
	bought := 0
	for i := len(p.Orders.Recent) - 1; i >= 0 && p.Orders.Recent[i].At > since-day; i-- {
		if !p.Orders.Recent[i].Cancelled {
			bought++
		}
	}
	backed := 0
	if p.OnSite.At > since-14*day {
		backed = p.OnSite.Within(14) - 1
	}
	*x = [models.FeatureCount]float64{
		counted(hour), counted(again), counted(things), counted(search), counted(sizing), counted(shipping), counted(bought), counted(recent(p.InMail.At)),
		counted(week), counted(backed), counted(min(things, 1)), counted(o.days),
	}
	switch of := time.UnixMilli(since).In(r.zone).Hour(); {
	case of < 6:
		x[14] = 1
	case of < 12:
		x[12] = 1
	case of >= 18:
		x[13] = 1
	}
	return since
}

// views counts what was seen within an hour, the product that was seen last again
// within a day, and what was seen within a week.
func views(recent []profile.View, since int64) (hour, again, week int) {
	last := ""
	for i := len(recent) - 1; i >= 0 && recent[i].At > since-7*day; i-- {
		v := &recent[i]
		week++
		if v.At > since-day/24 {
			hour++
		}
		switch {
		case v.At <= since-day || v.Product == "":
		case last == "":
			last = v.Product
		case v.Product == last:
			again++
		}
	}
	return hour, again, week
}

// named counts the storefront's own events within a day.
func (r *Reader) named(since int64) (search, sizing, shipping int) {
	all, e := r.p.Named, &r.set.Propensity.Events
	for i := len(all) - 1; i >= 0 && all[i].At > since-day; i-- {
		is := func(names []string) int {
			if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, all[i].Name) }) {
				return 1
			}
			return 0
		}
		search += is(e.Search)
		sizing += is(e.Sizing)
		shipping += is(e.Shipping)
	}
	return search, sizing, shipping
}
