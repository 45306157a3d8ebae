package model_test

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/processors/model/gammagamma"
	"segue/processors/model/history"
)

// data opens a file of real data, which lies beside the repository.
func data(t testing.TB, name string) *os.File {
	t.Helper()
	file, err := os.Open(filepath.Join("../../../shared/data", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// cdnow is the log of the sample of 2,357 customers of CDNOW, who first bought
// in the first quarter of 1997: customer, date, number of CDs, dollars.
func cdnow(t testing.TB) (orders []history.Order) {
	log, err := os.ReadFile(data(t, "cdnow/CDNOW_sample.txt").Name())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		f := strings.Fields(line)
		orders = append(orders, history.Order{Customer: f[1], At: on(t, "20060102", f[2]), Amount: number(t, f[4])})
	}
	return orders
}

// cdnowCohort has 39 weeks of calibration and 39 of what came.
func cdnowCohort(t testing.TB) []history.Customer {
	return history.Cohort(cdnow(t), on(t, time.DateOnly, "1997-09-30"), on(t, time.DateOnly, "1998-06-30"))
}

// reference is a row of what others computed for a customer of CDNOW.
type reference struct {
	history.History
	gammagamma.Spending
	bgAlive, bgExpected, mbgAlive, mbgExpected, paretoAlive, paretoExpected, mean float64
}

func cdnowReference(t testing.TB) (rows []reference) {
	records, err := csv.NewReader(data(t, "cdnow/cdnow_per_customer_reference.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records[1:] {
		n := make([]float64, len(r))
		for i := range r {
			n[i] = number(t, r[i])
		}
		h := history.History{Repeats: int(n[1]), Recency: history.Week.Times(n[2]), Age: history.Week.Times(n[3])}
		rows = append(rows, reference{h, gammagamma.Spending{Repeats: h.Repeats, Mean: n[4]}, n[5], n[6], n[7], n[8], n[9], n[10], n[11]})
	}
	return rows
}

func histories(customers []history.Customer) []history.History {
	all := make([]history.History, len(customers))
	for i, c := range customers {
		all[i] = c.History
	}
	return all
}

func on(t testing.TB, layout, text string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func number(t testing.TB, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
