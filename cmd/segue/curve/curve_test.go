package curve

import (
	"bytes"
	"encoding/xml"
	"io"
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
		Chart{Title: "Calibration", X: "predicted", Y: "observed", Lines: []Line{Calibration("Pareto/NBD", bins)}},
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

// Where all is rare the axes end early.
func TestAxesEndNearTheLastPoint(t *testing.T) {
	for _, tc := range []struct{ most, want float64 }{{0, 1}, {.004, .01}, {.15, .2}, {.5, .5}, {.51, 1}, {1, 1}, {2.5, 3}} {
		c := Chart{Lines: []Line{{Points: []measure.Point{{X: tc.most / 2, Y: tc.most}}}}}
		if got := c.end(); got != tc.want {
			t.Errorf("axes of points up to %v end at %v, want %v", tc.most, got, tc.want)
		}
	}
}
