package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
)

// effect is what an output comes to: two that are equal are one to the customer and to
// the store.
type effect struct {
	at   int64
	key  string
	kind string // as it is counted
	what string // more than that, if anything
}

// effected is an output, and what it comes to.
type effected struct {
	effect
	out stream.Output
}

// effectOf says what an output comes to; ok: it is compared. Reasons hold numbers, which
// are always others, and scores are nothing else.
func effectOf(at int64, o stream.Output) (e effect, ok bool, err error) {
	e = effect{at: at, key: o.Key}
	switch o.Topic {
	case schemas.SegmentChanges:
		var m schemas.SegmentChange
		if err := schemas.Decode(o.Value, &m); err != nil {
			return e, false, err
		}
		e.kind = "left " + m.GetSegment()
		if m.GetEntered() {
			e.kind = "entered " + m.GetSegment()
		}
	case schemas.Deliveries:
		var m schemas.DeliveryCommand
		if err := schemas.Decode(o.Value, &m); err != nil {
			return e, false, err
		}
		if d := m.GetSend(); d != nil {
			e.kind = "sent in " + d.GetJourney()
			e.what = fmt.Sprintf("%q %d %q %q", d.GetInstance(), d.GetStep(), d.GetMessage(), d.GetVariant())
		} else {
			e.kind, e.what = "called back", m.GetCancel().GetDeliveryId()
		}
	case schemas.Events:
		var m schemas.Event
		if err := schemas.Decode(o.Value, &m); err != nil {
			return e, false, err
		}
		c := m.GetOutcome()
		if c == nil {
			return e, false, nil
		}
		e.kind = "not sent in " + c.GetJourney()
		e.what = fmt.Sprintf("%s %q %d", c.GetKind(), c.GetInstance(), c.GetStep())
	default:
		return e, false, nil
	}
	return e, true, nil
}

// compareModels prints what a fold comes to under one of two sets alone, in order of
// time, and counts it.
func compareModels(out io.Writer, fold func(*models.Set, func(int64, stream.Output) error) error, inForce, other *models.Set, asJSON bool) error {
	under := func(set *models.Set) (all []effected, err error) {
		err = fold(set, func(at int64, o stream.Output) error {
			h, ok, err := effectOf(at, o)
			if ok {
				all = append(all, effected{h, o})
			}
			return err
		})
		return all, err
	}
	before, err := under(inForce)
	if err != nil {
		return err
	}
	after, err := under(other)
	if err != nil {
		return err
	}
	onlyBefore, onlyAfter := without(before, after), without(after, before)
	gone, come := onlyBefore, onlyAfter
	for len(gone)+len(come) > 0 {
		var h effected
		sign, set := "-", inForce
		if len(come) == 0 || len(gone) > 0 && gone[0].at <= come[0].at {
			h, gone = gone[0], gone[1:]
		} else {
			sign, set = "+", other
			h, come = come[0], come[1:]
		}
		if err := printDifference(out, sign, set.Version, h, asJSON); err != nil {
			return err
		}
	}
	if asJSON {
		return nil
	}
	return printCounts(out, [4][]effected{before, after, onlyBefore, onlyAfter}, inForce.Version, other.Version)
}

// without returns those of all that are not among others, in order.
func without(all, others []effected) (left []effected) {
	among := map[effect]int{}
	for _, h := range others {
		among[h.effect]++
	}
	for _, h := range all {
		if among[h.effect]--; among[h.effect] < 0 {
			left = append(left, h)
		}
	}
	slices.SortStableFunc(left, func(a, b effected) int { return cmp.Compare(a.at, b.at) })
	return left
}

// printDifference prints what is only under the models of a version.
func printDifference(out io.Writer, sign, version string, h effected, asJSON bool) error {
	if !asJSON {
		if _, err := fmt.Fprint(out, sign, " "); err != nil {
			return err
		}
		return printOutput(out, h.at, h.out, false)
	}
	s, err := shownOutput(h.at, h.out)
	if err != nil {
		return err
	}
	return writeJSON(out, struct {
		Under string `json:"under"`
		shown
	}{version, s})
}

// printCounts prints how often each kind of thing happens: under the one, under the
// other, under it alone, under the other alone.
func printCounts(out io.Writer, columns [4][]effected, inForce, other string) error {
	counts := map[string]*[4]int{}
	for i, all := range columns {
		for _, h := range all {
			if counts[h.kind] == nil {
				counts[h.kind] = new([4]int)
			}
			counts[h.kind][i]++
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "WHAT\t%s\t%s\tONLY -\tONLY +\n", inForce, other)
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		n := counts[kind]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", kind, n[0], n[1], n[2], n[3])
	}
	return w.Flush()
}
