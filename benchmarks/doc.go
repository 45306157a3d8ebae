// Package benchmarks says how fast Segue is, and how we know: the workload
// (storefront), measurements across stations, and the path as a whole.
//
//	storefront → collector → events → customer → deliveries → sender → inbox
//
// Not obvious: where a network, a disk and a clock are memory, only the clock's
// time is exact; what a real broker takes, such a run does not say.
package benchmarks
