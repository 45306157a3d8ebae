package stream

import (
	"cmp"
	"slices"
	"time"
)

// modelGroup is a consumer group of the classic protocol, cooperative and with
// static members. A rebalance: all join (who does not in time is out), the
// generation rises, the leader assigns, each syncs. What goes to another is
// first left by its owner, who then joins again.
type modelGroup struct {
	b          *modelBroker
	partitions int32
	state      groupState
	generation int
	deadline   time.Time // for joining
	members    []*modelMember
	lastMember int
	offsets    map[int32]heldOffset
	lastOffset int

	sessionTimeout, rebalanceTimeout time.Duration
}

type groupState int

const (
	stable groupState = iota
	joining
	assigning
)

// heldOffset is an offset with its place in the log of commits: what a marker
// makes count late does not undo what was committed since.
type heldOffset struct {
	offset
	number int
}

type modelMember struct {
	id         int
	instance   string
	session    *modelSession
	generation int // as the client knows it
	joined     bool
	synced     bool
	target     []int32 // by the leader
	heard      time.Time
}

func newModelGroup(b *modelBroker, partitions int32) modelGroup {
	return modelGroup{b: b, partitions: partitions, offsets: map[int32]heldOffset{}, sessionTimeout: 12 * time.Second, rebalanceTimeout: 20 * time.Second}
}

func (g *modelGroup) number(o offset) heldOffset {
	g.lastOffset++
	return heldOffset{o, g.lastOffset}
}

func (g *modelGroup) hold(offsets []heldOffset) {
	for _, o := range offsets {
		if g.offsets[o.partition].number < o.number {
			g.offsets[o.partition] = o
		}
	}
}

func (g *modelGroup) fetch(partition int32) fetched {
	if o, ok := g.offsets[partition]; ok {
		return fetched{o.at, o.metadata}
	}
	return fetched{offset: -1}
}

func (g *modelGroup) member(id int) *modelMember {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// admits says whether a member of a generation may commit offsets. While all
// join again it may: that is what a hand-over lives from.
func (g *modelGroup) admits(id, generation int) error {
	switch {
	case g.member(id) == nil:
		return errMember
	case generation != g.generation:
		return errGeneration
	case g.state == assigning:
		return errRebalancing
	}
	return nil
}

// commit is OffsetCommit, outside of transactions.
func (g *modelGroup) commit(id, generation int, offsets []offset) error {
	if err := g.admits(id, generation); err != nil {
		return err
	}
	for _, o := range offsets {
		g.hold([]heldOffset{g.number(o)})
	}
	return nil
}

// join adds a member. A known instance takes the place of its former life,
// which is out from now on; if all is quiet nobody else notices.
func (g *modelGroup) join(instance string, s *modelSession) int {
	g.lastMember++
	m := &modelMember{id: g.lastMember, instance: instance, session: s, heard: time.Now()}
	for i, former := range g.members {
		if former.instance != instance {
			continue
		}
		m.target = former.target
		g.members[i] = m
		// A real group would let nobody own what the former life was about to give:
		// the next rebalance heals that, and comes at once here.
		leaves := slices.ContainsFunc(former.session.owned, func(p int32) bool { return !slices.Contains(former.target, p) })
		if g.state == stable && !leaves {
			m.generation, m.joined = g.generation, true
		} else {
			g.rebalance()
		}
		return m.id
	}
	g.members = append(g.members, m)
	slices.SortFunc(g.members, func(a, b *modelMember) int { return cmp.Compare(a.instance, b.instance) })
	g.rebalance()
	return m.id
}

// remove is a member whose session timed out, or that an operator removed.
func (g *modelGroup) remove(m *modelMember) {
	g.members = slices.DeleteFunc(g.members, func(o *modelMember) bool { return o == m })
	g.rebalance()
}

func (g *modelGroup) rebalance() {
	g.state, g.deadline = joining, time.Now().Add(g.rebalanceTimeout)
	for _, m := range g.members {
		m.joined = false
	}
}

// expire removes who was not heard of.
func (g *modelGroup) expire() {
	for _, m := range slices.Clone(g.members) {
		if m.session.reachable() {
			m.heard = time.Now()
		} else if time.Since(m.heard) > g.sessionTimeout {
			g.remove(m)
		}
	}
	if g.state == joining && time.Now().After(g.deadline) {
		for _, m := range slices.Clone(g.members) {
			if !m.joined {
				g.remove(m)
			}
		}
		g.assign()
	}
}

// step is one thing that the group or the clients of its members do by
// themselves. moved: something happened.
func (g *modelGroup) step() (moved bool) {
	if len(g.members) == 0 {
		return false
	}
	if g.state == assigning {
		g.state = stable
		return true
	}
	first := g.b.rng.IntN(len(g.members))
	for i := range g.members {
		m := g.members[(first+i)%len(g.members)]
		switch {
		case g.state == joining && !m.joined && m.session.rejoins():
			m.joined = true
			if !slices.ContainsFunc(g.members, func(m *modelMember) bool { return !m.joined }) {
				g.assign()
			}
			return true
		case g.state == stable && !m.synced && m.session.reachable():
			m.synced = true
			m.session.sync(m.target)
			return true
		}
	}
	return false
}

// assign is the leader's: balanced, mostly sticky, and what somebody still
// owns goes to nobody else in this generation.
func (g *modelGroup) assign() {
	g.generation++
	g.state = assigning
	owner := map[int32]*modelMember{}
	for _, m := range g.members {
		m.generation, m.synced, m.target = g.generation, false, nil
		for _, p := range m.session.owned {
			owner[p] = m
		}
	}
	if len(g.members) == 0 {
		g.state = stable
		return
	}
	shuffle := g.b.rng.IntN(3) == 0
	load := map[*modelMember]int{}
	most := (int(g.partitions) + len(g.members) - 1) / len(g.members)
	for i := range g.partitions {
		m := owner[i]
		if m == nil || load[m] >= most || shuffle {
			m = g.least(load)
		}
		load[m]++
		if owner[i] == nil || owner[i] == m {
			m.target = append(m.target, i)
		}
	}
}

// least has the fewest partitions; a draw among equals.
func (g *modelGroup) least(load map[*modelMember]int) *modelMember {
	first := g.b.rng.IntN(len(g.members))
	best := g.members[first]
	for i := range g.members {
		if m := g.members[(first+i)%len(g.members)]; load[m] < load[best] {
			best = m
		}
	}
	return best
}
