// Package schemas says what flows: every topic, in path order, and the values
// that its records carry. The .proto files are the contract with those
// downstream; the Go types beside them are generated (make generate).
//
//	events → customer → segment-changes, deliveries, profiles
//	deliveries → sender → attempts, events
//
// Instants in Go are milliseconds since the Unix epoch, as in Kafka records.
// Money is in millionths of the currency's unit.
//
// Not obvious: a value that starts with "{" is JSON of the same message, and
// one that starts with a zero byte carries a Schema Registry frame, which is
// skipped; no Protobuf message starts with either.
package schemas
