// Package customer keeps one profile per customer and decides what to send.
//
//	events → customer → segment-changes, deliveries → sender
//	   ▲        ⇅
//	   │     profiles (state is rebuilt from them)
//	   └──── held, skipped, and anonymous visitors who became known
//
// A record, or an instant that the profile had asked to be woken at, goes
// through the packages below, in this order:
//
//	facts    what the event says, into the profile
//	segment  who entered or left, exact in time
//	journey  what starts, moves, stops; what a due step does
//	limit    when a mail may go out
//
// Advance decides, from its arguments alone; Compose writes the decision as
// records. The packages read no clock and know no disk; the runtime beneath
// (processors/stream) makes each decision count once.
//
// Not obvious: time comes from the log. A step fires at its own due instant,
// before any later record of the customer, also when the station was down at
// that instant; an order one millisecond later cancels it under the same key,
// and the sender reads both before it sends. On a tie the record comes first: an
// order at the very instant that a mail is due prevents it.
//
// Whoever was forgotten keeps a profile that says so and nothing else; it refuses
// what comes, and has every name that brings it forgotten too.
//
// Time zones are the machine's, or else those built in: instances of one group
// should agree on them as they do on the program's version.
package customer
