package model_test

import (
	"encoding/csv"
	"math"
	"testing"
	"time"

	"segue/processors/model/bgnbd"
	"segue/processors/model/history"
)

// lifetimes documents this fit of its example transactions, in days, up to the
// end of 2014.
func TestFitOfExampleTransactions(t *testing.T) {
	records, err := csv.NewReader(data(t, "example_transactions/example_transactions.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var orders []history.Order
	for _, r := range records[1:] {
		orders = append(orders, history.Order{Customer: r[1], At: on(t, time.DateTime, r[0])})
	}
	end := on(t, time.DateOnly, "2014-12-31")
	customers := history.Cohort(orders, end, end)
	fitted, err := bgnbd.Fit(histories(customers), history.Day)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d customers: %+v", len(customers), fitted)
	// The documentation shows two decimals.
	for name, v := range map[string][2]float64{
		"r": {fitted.Parameters.R, .16}, "alpha": {fitted.Parameters.Alpha, 1.86}, "a": {fitted.Parameters.A, 1.85}, "b": {fitted.Parameters.B, 3.18},
	} {
		if math.Abs(v[0]-v[1]) > .005 {
			t.Errorf("%s = %.5f, want %v", name, v[0], v[1])
		}
	}
}
