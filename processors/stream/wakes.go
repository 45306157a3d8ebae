package stream

// wakes is a heap of the wake-ups of entries that are newer than the store. A
// slot may be too early, since most wake-ups only ever move on: it is put right
// when it comes up.
type wakes[S any] []slot[S]

type slot[S any] struct {
	due int64
	e   *entry[S]
}

func (p slot[S]) less(o slot[S]) bool {
	return p.due < o.due || p.due == o.due && p.e.key < o.e.key
}

// add makes sure that e has a slot at due, or before.
func (h *wakes[S]) add(e *entry[S], due int64) {
	if due == 0 || e.queued != 0 && e.queued <= due {
		return
	}
	e.queued = due
	*h = append(*h, slot[S]{due, e})
	h.up(len(*h) - 1)
}

// again puts the first slot right: its entry is due at another instant.
func (h *wakes[S]) again(due int64) {
	s := (*h)[0]
	h.pop()
	if s.e.queued == s.due { // else the entry has an earlier slot
		s.e.queued = 0
		h.add(s.e, due)
	}
}

func (h *wakes[S]) pop() {
	s := *h
	last := len(s) - 1
	s[0], s[last] = s[last], slot[S]{}
	*h = s[:last]
	h.down(0)
}

func (h wakes[S]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].less(h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (h wakes[S]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].less(h[child]) {
			child = right
		}
		if !h[child].less(h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
