// Package sender hands deliveries to a mail server, and says what became of
// each.
//
//	deliveries → sender → SMTP
//	               ⇅ attempts: what was handed over, what came of it
//	             events: one outcome for each delivery
//
// SMTP knows no transactions, so a mail cannot be both sent and recorded in one
// step. What is promised instead: a mail is handed over at most once, every
// delivery ends in exactly one outcome, and only what was in hand when a process
// died ends as in-doubt. Per partition of deliveries:
//
//  1. The owner, whom the consumer group chose, takes the partition's producer id.
//     That decides what its predecessor left open, and refuses whatever it may
//     still want to write.
//  2. It then reads the partition's attempts to their end. Nobody else can add to
//     them now, so it knows all that was ever handed over.
//  3. It reads deliveries from the group's offset. What has an outcome is passed
//     over; what has a note and no outcome is in doubt, and never sent.
//  4. A second reader, the lookout, runs ahead for cancellations. Before a first or
//     a further attempt it must have reached what was the end when asked for.
//  5. A note is committed before the mail is handed over. Who was replaced cannot
//     commit one, and so cannot send.
//  6. The server's answer becomes an outcome in attempts and in events, in one
//     transaction. A refusal for now withdraws the note (a tombstone), since
//     nothing is in doubt about it, and the delivery waits for its next try.
//  7. The group's offset moves up to the oldest delivery without an outcome. It
//     saves reading and is no part of the promise.
//  8. A transaction that is not known to be committed, and any other error, ends
//     the session: the next begins at 1 and forgets all else. One path for
//     everything.
//  9. What the server said of a note, and no transaction has recorded, outlives the
//     session in memory. The next one of this process, at 3, takes it for the
//     answer if that very record is still the last word in attempts; of a dead
//     process nobody knows it, and the mail is in doubt.
//
// A mail sets out when the gate has a place (SMTP.Connections) and the pace of
// its domain allows it; it has no note before that, so that waiting leaves nothing
// in doubt. Relays take over for each other before the last byte, never after it.
//
// Who is not to get mail yet (DryRun, OnlyTo) is shadowed: the delivery becomes a
// mail, so that what is wrong with it shows, and ends without a place, a note or a
// connection. To the fold nothing went out.
//
// What is paused waits, too: a journey, or all, by the topic pauses, which every
// sender reads to its end before a mail is noted. A mail that is noted while a
// pause is written does not set out if the pause is known by then, and its note is
// taken back. Of a partition's paused mails the first 500 stay in memory; those
// after them are in the log alone, so that other journeys' go on behind them. The
// group's offset stays before them, and when they are resumed, or the time of one
// is over (looked for every ten minutes), the session ends and the next reads all
// of it again: a cursor of their own would have to know what has ended since, which
// is what a session knows when it begins. Until then nothing is said of those that
// are called back, or whose time is over.
//
// Mails of which too many come back are paused by the circuit breaker, which runs
// beside the owner of partition 0 and reads the outcomes of all.
//
// A stop finishes what is in hand, and ends after Patience and a quarter of it even
// if neither Kafka nor a mail server answers: then every client is cut off, and
// what was handed over and is not recorded is in doubt to the next process.
//
// One transaction carries the notes and outcomes of all mails that are ready
// then; transactions are CommitSpacing apart.
//
// Not obvious: a cancellation that is appended after the lookout's question and
// before the mail is handed over comes too late; that window is a few
// milliseconds, and as long as the server takes: what still waits for a
// connection by then is not handed over. A replaced owner that slept between
// note and hand-over still hands that one mail over: its successor has called it
// in-doubt by then, and does not send it. A session that broke waits up to 20 s
// for the answers to what is in hand; what comes later is not heard, and in
// doubt. What is in hand is bounded by SMTP.Connections, so that a crash leaves
// few in doubt. An answer that is lost after the mail's last byte leaves it in
// doubt too: the server may have taken it. Outcomes in attempts become
// tombstones when a session begins whose log has dropped their deliveries: so
// long can an operator set the group's offset back, and nothing is sent again. A
// partition holds as many waiting deliveries as its window in memory (1,000, not
// counting what is paused beyond 500), and reads no further: a domain that is
// slowed to a crawl and fills it holds up the others of that partition until its
// mails give up.
package sender
