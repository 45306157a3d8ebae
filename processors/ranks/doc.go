// Package ranks works out how much more somebody is worth than the others, for the
// score value_rank.
//
//	profiles → ranks → models, and events: in force from here
//	    ▲                              │
//	    └────────── customer ◀─────────┘
//
// What is global and decides reaches the fold as a version alone. The station keeps
// what each customer is worth, counts that in a sketch, and holds the breakpoints in
// force against it. When more than a point (1%) of all customers is on the wrong side
// of one, it puts the set of models that is in force, with new breakpoints, in force
// again: as segue models apply does, by the same [stream.Turn].
//
// All are those who are worth anything: who bought. A visitor who never did has rank
// 0, and does not lift the others by being there.
//
// Not obvious:
//   - It reads the scores in profiles, which are what the topic scores had last.
//     scores itself is forgotten after 30 days, and does not say who was forgotten, or
//     became another; a rank among all needs both. What is 30 s old is new enough.
//   - What somebody is worth falls while they are silent, and their profile does not
//     say so until something touches them: they count with what they were worth then.
//     So breakpoints are rather too high where many have left, and ranks too low.
//   - It keeps nothing of its own, on disk or in Kafka: what it knows is in profiles,
//     read again at every start (24 bytes and a bit for each who bought), and when it
//     last put ranks in force is when that record of models was written.
//   - Several may run. Each takes the turn before it reads which set is in force, and
//     whoever takes it later, a person or another instance, undoes what is not
//     committed: no set is ever overruled by one that was made of an older. The second
//     finds ranks that are right, and is silent. A group would add nothing.
//   - A set that a person applies with ranks is ranked at once, whatever the interval:
//     until then all ranks are by what it brought. One without takes over those in
//     force, or who is in a segment because of a rank would leave it and come back;
//     they are as old as they were, and looked at again after the interval.
//   - Each version wakes all customers, which is what the interval is for.
package ranks
