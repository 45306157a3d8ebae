// Package benchmarks says how fast Segue is, and how we know: the workload
// (storefront), measurements across stations, and the path as a whole.
//
//	storefront → collector → events → customer → deliveries → sender → inbox
package benchmarks
