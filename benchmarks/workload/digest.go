package workload

import "github.com/cespare/xxhash/v2"

// Answers is what a run is judged by: for every customer all outputs in their
// order, and the last state.
type Answers struct {
	outputs []uint64
	states  []uint64
	Outputs int
	States  int
}

// NewAnswers is for that many customers.
func NewAnswers(customers int) *Answers {
	return &Answers{outputs: make([]uint64, customers), states: make([]uint64, customers)}
}

// Output adds the customer's next output.
func (a *Answers) Output(customer int, value []byte) {
	a.outputs[customer] = (a.outputs[customer] ^ xxhash.Sum64(value)) * multiplier
	a.Outputs++
}

// State sets the customer's state so far.
func (a *Answers) State(customer int, value []byte) {
	if a.states[customer] == 0 {
		a.States++
	}
	a.states[customer] = xxhash.Sum64(value)
}

// Digest is two numbers that are equal when all answers are.
func (a *Answers) Digest() (outputs, states uint64) { return sum(a.outputs), sum(a.states) }

func sum(hashes []uint64) uint64 {
	var total uint64
	for customer, h := range hashes {
		total = (total ^ h ^ uint64(customer)) * multiplier
	}
	return total
}
