package schemas

// LateAfter is how far, in milliseconds, an event may lie behind its record
// and still start something. What is later informs only.
const LateAfter = 15 * 60 * 1000

// WorthMicros is what an order comes to: its total, or the sum of its products where it
// has none and is not free.
func (o *Order) WorthMicros() int64 {
	worth := o.GetTotalMicros()
	if worth == 0 && !o.GetFree() {
		for _, x := range o.GetProducts() {
			worth += x.GetPriceMicros() * max(1, x.GetQuantity())
		}
	}
	return worth
}
