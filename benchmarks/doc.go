// Package benchmarks says how fast Segue is, and how we know: workloads
// (storefront, workload), the runtime beside Kafka Streams and beside the bare
// limit (compare, with fold and streams), the front door (collector), and the
// path as a whole.
//
//	storefront → collector → events → customer → deliveries → sender → inbox
//	workload → fold · streams → compare → the same answers, at what cost
//
// Not obvious: where a network, a disk and a clock are memory, only the clock's
// time is exact; what a real broker takes, such a run does not say.
package benchmarks
