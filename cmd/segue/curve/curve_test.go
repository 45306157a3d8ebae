package curve

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"segue/processors/model/measure"
)

// A picture is XML that shows every line by its name, and every bin as a dot.
func TestPicture(t *testing.T) {
	bins := []measure.Bin{{Predicted: .1, Observed: .2, Count: 5}, {Predicted: .9, Observed: .8, Count: 5}}
	gain := []measure.Point{{X: 0, Y: 0}, {X: .5, Y: .9}, {X: 1, Y: 1}}
	var b bytes.Buffer
	if err := Write(&b,
		Chart{Title: "Calibration", X: "predicted", Y: "observed", Alike: true, Lines: []Line{Calibration("Pareto/NBD", bins)}},
		Chart{Title: "Gain", X: "of customers", Y: "of buyers", Lines: []Line{{Name: "a < b", Points: gain}, {Name: "recency", Points: gain}}},
	); err != nil {
		t.Fatal(err)
	}
	picture := b.String()
	for decoder := xml.NewDecoder(&b); ; {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
	}
	for part, want := range map[string]int{
		"<circle": 2, "<polyline": 3, "Pareto/NBD": 1, "a &lt; b": 1, "recency": 1, "predicted": 1,
		// A tenth of the way is 30 pixels of 300, and up is less.
		`cx="30.0" cy="240.0"`: 1, "150.0,30.0": 2,
	} {
		if got := strings.Count(picture, part); got != want {
			t.Errorf("picture has %d of %s, want %d:\n%s", got, part, want, picture)
		}
	}
}

// An axis ends with its points, at a round number, and has those below 0.
func TestAxesEndNearTheLastPoint(t *testing.T) {
	for _, tc := range []struct {
		points []measure.Point
		alike  bool
		x, y   []float64
	}{
		{nil, false, []float64{0, 1}, []float64{0, 1}},
		{[]measure.Point{{X: .002, Y: .004}}, false, []float64{0, .002}, []float64{0, .004}},
		{[]measure.Point{{X: 1, Y: 1.13}}, false, []float64{0, 1}, []float64{0, 1.5}},
		{[]measure.Point{{X: 40, Y: .51}}, false, []float64{0, 40}, []float64{0, .6}},
		{[]measure.Point{{X: -.013, Y: -.002}, {X: .09, Y: .3}}, false, []float64{-.05, .1}, []float64{-.1, .3}},
		{[]measure.Point{{X: -.013, Y: -.002}, {X: .09, Y: .3}}, true, []float64{-.1, .3}, []float64{-.1, .3}},
	} {
		x, y := Chart{Alike: tc.alike, Lines: []Line{{Points: tc.points}}}.axes()
		for _, a := range []struct {
			name string
			axis axis
			want []float64
		}{{"x", x, tc.x}, {"y", y, tc.y}} {
			marks := a.axis.marks()
			if got := []float64{a.axis.low, a.axis.high}; math.Abs(got[0]-a.want[0])+math.Abs(got[1]-a.want[1]) > 1e-9 ||
				math.Abs(marks[0]-got[0])+math.Abs(marks[len(marks)-1]-got[1]) > 1e-9 || !slices.Contains(marks, 0) || len(marks) < 2 || len(marks) > 8 {
				t.Errorf("%s of %v (alike: %v) is from %v to %v, with marks at %v; want from %v to %v", a.name, tc.points, tc.alike, got[0], got[1], marks, a.want[0], a.want[1])
			}
		}
	}
}
