package feature

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shop has, in each of a hundred visits, an amount, a flag, a month, a name that
// differs in all, a column that is always the same, and one with nothing in it.
func shop() (names []string, rows [][]string, bought []bool) {
	names = []string{"amount", "weekend", "month", "name", "same", "nothing"}
	for i := range 100 {
		month := []string{"Nov", "Feb", "May", "June"}[i%4]
		if i < 4 {
			month = "Leap"
		}
		rows = append(rows, []string{fmt.Sprint(i), []string{"TRUE", "FALSE"}[i%2], month, fmt.Sprintf("visitor %d", i), "EUR", ""})
		bought = append(bought, month == "Nov" || month == "May" && i%8 == 2)
	}
	rows[7][0], rows[8][0], rows[9][2] = "n/a", "12 pieces", " "
	return names, rows, bought
}

func TestSpace(t *testing.T) {
	names, rows, bought := shop()
	s := Learn(names, rows, bought)
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	// June and Feb, in which nobody bought, of which June has a row more to say so;
	// then the rare, then May, then Nov.
	if got, want := fmt.Sprint(s.Columns[2]), "{month true [Feb June May Nov] [1 0 3 4] 2}"; got != want {
		t.Errorf("month = %v, want %v", got, want)
	}
	for _, tc := range []struct {
		values string
		want   string
	}{
		{"3.5,TRUE,Nov,visitor 3,EUR,1", "[3.5 1 4 0 1 1]"},
		{" 7 ,no,Leap,nobody,USD,x", "[7 0 2 0 0 NaN]"},
		{"12 pieces,0, Feb ,NULL,NA,?", "[NaN 0 1 NaN NaN NaN]"},
		{"-Inf,maybe,Sol,,,", "[-Inf NaN 2 NaN NaN NaN]"},
		{"1e999,1,nan,,,", "[+Inf 1 NaN NaN NaN NaN]"},
	} {
		row := make([]float64, len(names))
		s.Encode(strings.Split(tc.values, ","), row)
		if got := fmt.Sprint(row); got != tc.want {
			t.Errorf("Encode(%q) = %s, want %s", tc.values, got, tc.want)
		}
	}
}

// A space that was written and read encodes as before.
func TestWrittenSpace(t *testing.T) {
	names, rows, bought := shop()
	s := Learn(names, rows, bought)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read Space
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"Nov", "Feb", "TRUE", "", "NaN", "EUR"})), len(names), len(names)).Draw(t, "values")
		before, after := make([]float64, len(names)), make([]float64, len(names))
		s.Encode(values, before)
		read.Encode(values, after)
		for i := range before {
			if math.Float64bits(before[i]) != math.Float64bits(after[i]) {
				t.Fatalf("%s: read, it encodes %q as %v, before as %v", names[i], values[i], after[i], before[i])
			}
		}
	})
	read.Columns[2].Codes = nil
	if read.Check() == nil {
		t.Error("Check of levels without codes: got nil, want an error")
	}
}
