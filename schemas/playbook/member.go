package playbook

import (
	"slices"
	"strings"

	"segue/schemas/profile"
)

// member asks whether the customer is in another segment.
type member struct{ segment string }

func (m member) kind() kind { return boolean }
func (m member) eval(f Facts) (value, int64) {
	_, in := Membership(f.Profile, m.segment)
	return truth(in), 0
}

func (m member) write(w *writer, precedence int) {
	w.text("in(", quote(m.segment), ")")
	if precedence != comparePrecedence {
		w.values(m)
	}
}

// enteredAt is when they entered a segment that they are in; 0: they are not.
type enteredAt struct{ segment string }

func (m enteredAt) kind() kind { return instant }
func (m enteredAt) eval(f Facts) (value, int64) {
	at, in := Membership(f.Profile, m.segment)
	if !in {
		return value{}, 0
	}
	return value{n: f.Profile.Segments[at].Since}, 0
}

func (m enteredAt) write(w *writer, _ int) { w.text("entered(", quote(m.segment), ")") }

// Membership returns where p's membership of a segment is, or would be.
func Membership(p *profile.Profile, segment string) (int, bool) {
	return slices.BinarySearchFunc(p.Segments, segment, func(m profile.Membership, name string) int { return strings.Compare(m.Segment, name) })
}

// reference is a segment that a condition names, and where.
type reference struct {
	segment      string
	line, column int // from 0
}

// inWord is in(…) as CEL can parse it: there in stands between two things.
const inWord = "IN"

// prefixed returns source with each in(…) that stands between nothing renamed.
func prefixed(source string) string {
	out := []byte(source)
	last := byte('(') // that is no space
	for i := 0; i < len(source); i++ {
		switch b := source[i]; {
		case b == '"' || b == '\'':
			for i++; i < len(source) && source[i] != b; i++ {
				if source[i] == '\\' {
					i++
				}
			}
			last = b
		case strings.HasPrefix(source[i:], "in") && strings.IndexByte("(!&|,[", last) >= 0 && strings.HasPrefix(strings.TrimLeft(source[i+2:], " \t\n"), "("):
			copy(out[i:], inWord)
			i, last = i+1, 'n'
		case b != ' ' && b != '\t' && b != '\n':
			last = b
		}
	}
	return string(out)
}

// references checks that segments which conditions name are there, and ask no
// circle; and puts them in an order in which each comes after those that it asks.
func (d *document) references(pb *Playbook) {
	names := make([]string, len(pb.Segments))
	for i, s := range pb.Segments {
		names[i] = s.Name
	}
	for _, r := range d.named {
		r.reference(r.name, "segments", names)
	}
	const under, done = 1, 2
	state := make([]int, len(pb.Segments))
	var path []string
	var visit func(i int)
	visit = func(i int) {
		state[i] = under
		path = append(path, names[i])
		for _, c := range []*Condition{pb.Segments[i].Enter, pb.Segments[i].Leave} {
			if c == nil {
				continue
			}
			for _, r := range c.segments {
				to, known := slices.BinarySearch(names, r.segment)
				switch {
				case !known:
				case state[to] == under:
					circle := strings.Join(append(path[slices.Index(path, r.segment):], r.segment), " → ")
					for _, at := range d.named {
						if at.segment == names[i] && at.name == r.segment {
							at.fail("a circle of segments: "+circle, "each to be known before those that ask about it")
							break
						}
					}
				case state[to] == 0:
					visit(to)
				}
			}
		}
		path = path[:len(path)-1]
		state[i] = done
		pb.Order = append(pb.Order, i)
	}
	for i := range pb.Segments {
		if state[i] == 0 {
			visit(i)
		}
	}
}

// naming is a place at which a condition names a segment.
type naming struct {
	entry
	name    string
	segment string // whose condition it is; "" of a journey
}
