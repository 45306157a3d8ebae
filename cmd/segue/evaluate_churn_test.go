package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// evaluated is the part of evaluate churn's JSON that a reader builds on.
type evaluated struct {
	Customers    int
	ActualOrders int `json:"actual_orders"`
	Models       map[string]struct {
		Parameters      map[string]any
		LogLikelihood   float64 `json:"log_likelihood"`
		PredictedOrders float64 `json:"predicted_orders"`
		MAE, RMSE       float64
		AUCAlive        float64 `json:"auc_p_alive"`
		AUCExpected     float64 `json:"auc_expected"`
	}
	GammaGamma *struct {
		Parameters    map[string]float64
		LogLikelihood float64 `json:"log_likelihood"`
	} `json:"gamma_gamma"`
	Shown struct {
		Model            string
		AUC              *float64
		CalibrationError float64 `json:"calibration_error"`
	}
	Live struct {
		Customers int
		Mean, AUC float64
		Unseen    *float64 `json:"auc_unseen"`
	}
	Baselines map[string]struct {
		AUC *float64
		MAE *float64
	}
}

// The orders of CDNOW as a shop would hand them over give what was published,
// whatever the format, and a picture.
func TestEvaluateChurnOfCDNOW(t *testing.T) {
	log, err := os.ReadFile("../../../shared/data/cdnow/CDNOW_sample.txt")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%v: the data lie beside the repository, in shared/data", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	type order struct {
		Customer string    `parquet:"customer"`
		Date     time.Time `parquet:"date,timestamp(millisecond)"`
		Amount   float64   `parquet:"amount"`
	}
	var orders []order
	text := "customer,date,amount\n"
	for line := range strings.Lines(string(log)) {
		f := strings.Fields(line)
		at, err1 := time.Parse("20060102", f[2])
		amount, err2 := strconv.ParseFloat(f[4], 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		orders = append(orders, order{f[1], at, amount})
		text += fmt.Sprintf("%s,%s,%s\n", f[1], at.Format(time.DateOnly), f[4])
	}
	var zipped, columns bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(text))
	zip.Close()
	if err := parquet.Write(&columns, orders); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	picture := filepath.Join(dir, "churn.svg")
	var first string
	for _, content := range []string{text, zipped.String(), columns.String()} {
		path := filepath.Join(dir, "orders")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if code := execute(context.Background(), []string{
			"evaluate", "churn", "--orders", path, "--json", "--plot", picture,
			"--calibrate-until", "1997-09-30", "--evaluate-until", "1998-06-30", "--unit", "week",
		}, strings.NewReader(""), &out, &errs); code != 0 {
			t.Fatalf("exit code %d: %s", code, &errs)
		}
		if first == "" {
			first = out.String()
		} else if out.String() != first {
			t.Errorf("another format, another answer:\n%s\n%s", first, &out)
		}
	}
	var got evaluated
	if err := json.Unmarshal([]byte(first), &got); err != nil {
		t.Fatal(err)
	}
	if got.Customers != 2357 || got.ActualOrders != 1882 {
		t.Errorf("%d customers and %d orders, want 2357 and 1882", got.Customers, got.ActualOrders)
	}
	for name, want := range map[string]struct {
		parameters                           map[string]float64
		likelihood, orders, mae, alive, aucs float64
	}{
		"pareto_nbd": {map[string]float64{"r": .55328, "alpha": 10.5777, "s": .60624, "beta": 11.6687}, -9594.99, 1665.5, .76, .7262, .7787},
		"bg_nbd":     {map[string]float64{"r": .2426, "alpha": 4.4136, "a": .7929, "b": 2.4259}, -9582.44, 1653.4, .79, .3158, .7725},
		"mbg_nbd":    {map[string]float64{"r": .525, "alpha": 6.183, "a": .891, "b": 1.614}, -9582.2, 1576.7, .77, .6866, .7728},
	} {
		m := got.Models[name]
		for parameter, value := range want.parameters {
			if g, _ := m.Parameters[parameter].(float64); math.Abs(g/value-1) > .01 {
				t.Errorf("%s: %s = %v, want %v", name, parameter, g, value)
			}
		}
		if m.Parameters["unit"] != "week" || m.LogLikelihood < want.likelihood || m.MAE > want.mae ||
			math.Abs(m.PredictedOrders-want.orders) > .1 || math.Abs(m.AUCAlive-want.alive) > 1e-4 || math.Abs(m.AUCExpected-want.aucs) > 1e-4 {
			t.Errorf("%s: got %+v, want %+v", name, m, want)
		}
	}
	if g := got.GammaGamma; g == nil || math.Abs(g.Parameters["p"]/6.25-1) > .01 || g.LogLikelihood < -4055.93 {
		t.Errorf("gamma_gamma: got %+v", g)
	}
	if got.Shown.AUC == nil || *got.Shown.AUC < .72 || got.Shown.CalibrationError > .06 || got.Shown.Model == "bg_nbd" {
		t.Errorf("shown: got %+v", got.Shown)
	}
	// With orders alone the score that segments read is 1 - P(alive), to the hour.
	if l := got.Live; l.Customers != 2357 || l.AUC < .72 || math.Abs(l.AUC-got.Models["pareto_nbd"].AUCAlive) > .002 || l.Mean < .5 || l.Mean > .7 || l.Unseen != nil {
		t.Errorf("live: got %+v", l)
	}
	if r, f := got.Baselines["recency"], got.Baselines["frequency"]; r.AUC == nil || f.AUC == nil || f.MAE == nil || r.MAE != nil {
		t.Errorf("baselines: got %+v", got.Baselines)
	}
	svg, err := os.ReadFile(picture)
	if err != nil || !strings.HasPrefix(string(svg), "<svg") || !strings.Contains(string(svg), "recency alone") {
		t.Errorf("picture: %v, %.80s", err, svg)
	}
}
