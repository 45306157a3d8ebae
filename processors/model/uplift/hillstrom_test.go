package uplift

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func table(t *testing.T, name string) [][]string {
	t.Helper()
	file, err := os.Open(filepath.Join("../../../../shared/data/hillstrom", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// On the very rows that scikit-uplift's guide holds back of a real experiment it is
// found whom the mail for women moves.
func TestHillstromAsOthersSplitIt(t *testing.T) {
	if testing.Short() {
		t.Skip("two models of ten thousand customers each take seconds")
	}
	rows := table(t, "hillstrom.csv")
	segment, visit := slices.Index(rows[0], "segment"), slices.Index(rows[0], "visit")
	out := map[string]bool{}
	for _, row := range table(t, "sklift_womens_val_rows.csv")[1:] {
		out[row[0]] = true
	}
	x := Experiment{}
	var keep []int
	for i, name := range rows[0] {
		if i != segment && i != visit {
			keep, x.Names = append(keep, i), append(x.Names, name)
		}
	}
	var held []bool
	for i, row := range rows[1:] {
		if row[segment] == "Mens E-Mail" {
			continue
		}
		values := make([]string, len(keep))
		for k, column := range keep {
			values[k] = row[column]
		}
		x.Rows, x.Treated, x.Happened = append(x.Rows, values), append(x.Treated, row[segment] == "Womens E-Mail"), append(x.Happened, row[visit] == "1")
		held = append(held, out[strconv.Itoa(i)])
	}
	e, err := Evaluate(x, held)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("uplift %.4f ± %.4f at 30%%, Qini %.4f, calibration error %.4f, %s", e.UpliftAt30, e.UpliftAt30Error, e.Qini, e.CalibrationError, e.Model)
	if e.TestRows != 21_347 || !(e.UpliftAt30 >= .06 && e.Qini >= .04) {
		t.Errorf("of %d rows: uplift %.4f at 30%%, Qini %.4f; want 21347, at least .06 and .04", e.TestRows, e.UpliftAt30, e.Qini)
	}
}
