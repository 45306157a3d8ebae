package playbook

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// test is a condition as a question about levels: whether a term is at one from low
// to before high, or what other tests say.
type test struct {
	op          string // && || !; "": of a term
	left, right *test  // of ! left alone
	term        int32
	low, high   int32
}

func (t *test) holds(levels []int32) bool {
	switch t.op {
	case "&&":
		return t.left.holds(levels) && t.right.holds(levels)
	case "||":
		return t.left.holds(levels) || t.right.holds(levels)
	case "!":
		return !t.left.holds(levels)
	}
	level := levels[t.term]
	return t.low <= level && level < t.high
}

// index is what leads from what happens to the segments that it can turn.
type index struct {
	terms []term
	// The terms that read a need, by its place in Needs; a membership, by the
	// segment's place in Order; and an aspect, by its bit.
	ofNeed, ofMember [][]int32
	ofAspect         [aspects][]int32
	// moving are scores. They move all the time.
	moving []int32
	// silent are sequences that end with a silence. Whoever is seen can end it, where
	// one is awaited or there.
	silent []int32
}

// indexed builds the index of pb, and the tests of its segments' conditions.
func (pb *Playbook) indexed() index {
	x := indexing{named: make(map[string]int32)}
	place := make([]int, len(pb.Segments))
	for at, i := range pb.Order {
		s := &pb.Segments[i]
		place[i], x.asking = at, int32(at)
		s.Enter.test = x.test(s.Enter.root)
		if s.Leave != nil {
			s.Leave.test = x.test(s.Leave.root)
		}
		if s.Stay > 0 { // the end of it may let a member leave
			x.compared(&elapsed{since: enteredAt{s.Name}}, greater|equal, s.Stay)
		}
	}
	x.settle()
	made := index{terms: x.terms, ofNeed: make([][]int32, len(pb.Needs)), ofMember: make([][]int32, len(pb.Segments))}
	for i := range x.terms {
		note := func(all *[]int32) {
			if !slices.Contains(*all, int32(i)) {
				*all = append(*all, int32(i))
			}
		}
		if _, moves := x.terms[i].of.(*crossing); moves {
			made.moving = append(made.moving, int32(i))
			continue
		}
		visit(x.terms[i].of, func(n node) {
			switch n := n.(type) {
			case *count:
				at, _ := slices.BinarySearchFunc(pb.Needs, n.need.ID, func(n Need, id uint64) int { return cmp.Compare(n.ID, id) })
				note(&made.ofNeed[at])
			case *sequence:
				if n.silence > 0 {
					note(&made.silent)
				}
			case member:
				note(&made.ofMember[place[pb.segment(n.segment)]])
			case enteredAt:
				note(&made.ofMember[place[pb.segment(n.segment)]])
			}
			for bit, read := 0, reads(n); read != 0; bit, read = bit+1, read>>1 {
				if read&1 != 0 {
					note(&made.ofAspect[bit])
				}
			}
		})
	}
	return made
}

// segment returns the place of a segment in pb.Segments.
func (pb *Playbook) segment(name string) int {
	at, _ := slices.BinarySearchFunc(pb.Segments, name, func(s Segment, name string) int { return strings.Compare(s.Name, name) })
	return at
}

// indexing gathers terms and their edges, and then what lies between them.
type indexing struct {
	terms  []term
	named  map[string]int32
	leaves []leaf
	asking int32 // the segment whose conditions are read, by its place in Order
}

// leaf is a test of a term, whose edges are not all known yet.
type leaf struct {
	*test
	op     relation
	than   int64
	word   *string // instead of than
	asking int32
}

// term returns what reads n, the same for all that read the same.
func (x *indexing) term(n node) int32 {
	w := writer{bare: true}
	switch n := n.(type) {
	case *count:
		w.text(strconv.FormatUint(n.need.ID, 16), strconv.FormatBool(n.money))
	case *elapsed:
		w.text("since ")
		n.since.write(&w, 0)
	case *ahead:
		w.text("until ")
		n.of.write(&w, 0)
	case *crossing:
		n.score.write(&w, 0)
	default:
		n.write(&w, 0)
	}
	at, known := x.named[string(w.out)]
	if !known {
		at = int32(len(x.terms))
		x.terms = append(x.terms, term{of: n})
		x.named[string(w.out)] = at
	}
	return at
}

// compared is a test whether n stands in a relation to a number.
func (x *indexing) compared(n node, op relation, than int64) *test {
	t := &test{term: x.term(n)}
	of := &x.terms[t.term]
	of.edges = append(of.edges, op.edges(than)...)
	x.leaves = append(x.leaves, leaf{test: t, op: op, than: than, asking: x.asking})
	if op == less|greater {
		return &test{op: "!", left: t}
	}
	return t
}

// is a test whether a text is a word.
func (x *indexing) is(n node, word string) *test {
	t := &test{term: x.term(n)}
	of := &x.terms[t.term]
	of.texts = append(of.texts, word)
	x.leaves = append(x.leaves, leaf{test: t, word: &word, asking: x.asking})
	return t
}

// test is what a condition's part says, as a test. What compares nothing with a
// written value is a term itself, false or true.
func (x *indexing) test(n node) *test {
	switch n := n.(type) {
	case *logic:
		return &test{op: n.op, left: x.test(n.left), right: x.test(n.right)}
	case not:
		return &test{op: "!", left: x.test(n.of)}
	case *threshold:
		return x.compared(n.count, n.op, n.than.value.n)
	case *elapsed:
		return x.compared(n, n.op, n.length)
	case *ahead:
		return x.compared(n, n.op, n.length)
	case *crossing:
		return x.compared(n, n.op, n.than.value.n)
	case *oneOf:
		if len(n.list) == 0 {
			break
		}
		any := x.is(n.text, n.list[0])
		for _, word := range n.list[1:] {
			any = &test{op: "||", left: any, right: x.is(n.text, word)}
		}
		return any
	case *comparison:
		than, fixed := n.right.(*constant)
		switch {
		case n.left.kind() == boolean:
			l, r := x.test(n.left), x.test(n.right)
			same := &test{op: "||", left: &test{op: "&&", left: l, right: r}, right: &test{op: "!", left: &test{op: "||", left: l, right: r}}}
			if n.op == equal {
				return same
			}
			return &test{op: "!", left: same}
		case !fixed:
		case n.left.kind() != text:
			return x.compared(n.left, n.op, than.value.n)
		case n.op == equal:
			return x.is(n.left, than.value.s)
		default:
			return &test{op: "!", left: x.is(n.left, than.value.s)}
		}
	}
	return x.compared(n, greater|equal, 1)
}

// settle gives each leaf its levels, now that all edges are known, and notes at the
// edges whom to ask.
func (x *indexing) settle() {
	for i := range x.terms {
		t := &x.terms[i]
		slices.Sort(t.edges)
		slices.Sort(t.texts)
		t.edges, t.texts = slices.Compact(t.edges), slices.Compact(t.texts)
		t.asks = make([][]int32, len(t.edges)+len(t.texts)+1)
	}
	for _, l := range x.leaves {
		t := &x.terms[l.term]
		above := func(edge int64) int32 {
			at, _ := slices.BinarySearch(t.edges, edge)
			return int32(at) + 1
		}
		l.low, l.high = 0, math.MaxInt32
		switch {
		case l.word != nil:
			at, _ := slices.BinarySearch(t.texts, *l.word)
			l.low, l.high = int32(at)+1, int32(at)+2
		case l.op == less:
			l.high = above(l.than)
		case l.op == less|equal:
			l.high = above(l.than + 1)
		case l.op == greater:
			l.low = above(l.than + 1)
		case l.op == greater|equal:
			l.low = above(l.than)
		default: // == and !=
			l.low, l.high = above(l.than), above(l.than+1)
		}
		for _, level := range []int32{l.low, l.high} {
			if level > 0 && int(level) < len(t.asks) && !slices.Contains(t.asks[level], l.asking) {
				t.asks[level] = append(t.asks[level], l.asking)
			}
		}
	}
}

// visit calls see with n and all of its parts.
func visit(n node, see func(node)) {
	see(n)
	switch n := n.(type) {
	case *elapsed:
		visit(n.since, see)
	case *ahead:
		visit(n.of, see)
	case *comparison:
		visit(n.left, see)
		visit(n.right, see)
	case *balance:
		visit(&n.comparison, see)
	case *sum:
		visit(n.left, see)
		visit(n.right, see)
	case *logic:
		visit(n.left, see)
		visit(n.right, see)
	case not:
		visit(n.of, see)
	case *threshold:
		visit(n.count, see)
	case *crossing:
		visit(n.score, see)
	case *oneOf:
		visit(n.text, see)
	case *contains:
		visit(n.text, see)
	case *sequence:
		for i := range n.steps {
			visit(&n.steps[i].count, see)
		}
	}
}

// reads is which sides of a customer n reads itself, its windows and memberships
// apart.
func reads(n node) Aspects {
	switch n := n.(type) {
	case read:
		return n.variable.of
	case trait:
		return ofPerson
	}
	return 0
}
