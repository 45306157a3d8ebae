// Package curve draws how good a model is.
//
//	measure's bins and curves → charts → one SVG picture
//
// A picture needs nothing but a browser: no script, no font, no style sheet.
package curve

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"

	"segue/processors/model/measure"
)

// Chart is one square diagram. Its axes have 0, and end where the lines do.
type Chart struct {
	Title string
	X, Y  string
	// Alike is set where both axes measure the same: one is as long as the other.
	Alike bool
	Lines []Line
}

// Line is one curve of a chart.
type Line struct {
	Name   string
	Points []measure.Point
	// Dots marks each point.
	Dots bool
}

// Calibration is the line of what was predicted against what happened; on the
// diagonal they are the same.
func Calibration(name string, bins []measure.Bin) Line {
	line := Line{Name: name, Dots: true}
	for _, b := range bins {
		line.Points = append(line.Points, measure.Point{X: b.Predicted, Y: b.Observed})
	}
	return line
}

const (
	side, left, top = 300, 60, 50 // of a diagram, and what surrounds it, in pixels
	right, bottom   = 30, 60
	legend          = 18 // of a line's name
)

// dark enough on white, and told apart by those who see no red.
var colours = [...]string{"#1f6f8b", "#c2571a", "#7a7a7a", "#6b4c9a", "#2e8540"}

// Write draws charts side by side, with the diagonal in each.
func Write(w io.Writer, charts ...Chart) error {
	most := 0
	for _, c := range charts {
		most = max(most, len(c.Lines))
	}
	const column = left + side + right
	var s bytes.Buffer
	fmt.Fprintf(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\">\n",
		column*len(charts), top+side+bottom+legend*most)
	s.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n")
	for i, c := range charts {
		fmt.Fprintf(&s, "<g transform=\"translate(%d,%d)\">\n", i*column+left, top)
		c.draw(&s)
		s.WriteString("</g>\n")
	}
	s.WriteString("</svg>\n")
	_, err := w.Write(s.Bytes())
	return err
}

func (c Chart) draw(s *bytes.Buffer) {
	x, y := c.axes()
	px := func(at float64) float64 { return side * x.part(at) }
	py := func(at float64) float64 { return side - side*y.part(at) }
	text := func(x, y float64, anchor, what string) {
		fmt.Fprintf(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(what))
	}
	text(0, -25, "start", c.Title)
	text(0, -8, "start", c.Y)
	text(side/2, side+40, "middle", c.X)
	for _, at := range x.marks() {
		fmt.Fprintf(s, "<path d=\"M%.1f 0V%d\" stroke=\"#ddd\"/>\n", px(at), side)
		text(px(at), side+20, "middle", fmt.Sprintf("%.3g", at))
	}
	for _, at := range y.marks() {
		fmt.Fprintf(s, "<path d=\"M0 %.1fH%d\" stroke=\"#ddd\"/>\n", py(at), side)
		text(-8, py(at)+4, "end", fmt.Sprintf("%.3g", at))
	}
	from, to := max(x.low, y.low), min(x.high, y.high)
	fmt.Fprintf(s, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#aaa\" stroke-dasharray=\"4\"/>\n", px(from), py(from), px(to), py(to))
	for i, line := range c.Lines {
		colour := colours[i%len(colours)]
		fmt.Fprintf(s, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour)
		for _, p := range line.Points {
			fmt.Fprintf(s, "%.1f,%.1f ", px(p.X), py(p.Y))
		}
		s.WriteString("\"/>\n")
		if line.Dots {
			for _, p := range line.Points {
				fmt.Fprintf(s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", px(p.X), py(p.Y), colour)
			}
		}
		y := side + bottom + legend*float64(i)
		fmt.Fprintf(s, "<rect x=\"0\" y=\"%.1f\" width=\"12\" height=\"4\" fill=\"%s\"/>\n", y-6, colour)
		text(18, y, "start", line.Name)
	}
}

// axis is from low, which is 0 or less, to high, in steps that are round.
type axis struct{ low, high, step float64 }

// axes are as long as the points are far out.
func (c Chart) axes() (x, y axis) {
	for _, line := range c.Lines {
		for _, p := range line.Points {
			x.low, x.high = min(x.low, p.X), max(x.high, p.X)
			y.low, y.high = min(y.low, p.Y), max(y.high, p.Y)
		}
	}
	if c.Alike {
		x = axis{low: min(x.low, y.low), high: max(x.high, y.high)}
		y = x
	}
	return x.rounded(), y.rounded()
}

// rounded is a, to the next steps, of which it has five or so.
func (a axis) rounded() axis {
	if a.high == a.low {
		a.high = a.low + 1
	}
	unit := math.Pow(10, math.Floor(math.Log10((a.high-a.low)/5)))
	for _, n := range [...]float64{1, 2, 5, 10} {
		a.step = n * unit
		if (a.high-a.low)/a.step <= 5+1e-9 {
			break
		}
	}
	const last = 1e-9 // 0.3/0.1 is a little more than 3, or less
	a.low, a.high = a.step*math.Floor(a.low/a.step+last), a.step*math.Ceil(a.high/a.step-last)
	return a
}

// part is how far along the axis v is, from 0 to 1.
func (a axis) part(v float64) float64 { return (v - a.low) / (a.high - a.low) }

// marks are the numbers that stand at the axis.
func (a axis) marks() (all []float64) {
	first := math.Round(a.low / a.step)
	for i := range int(math.Round((a.high-a.low)/a.step)) + 1 {
		all = append(all, (first+float64(i))*a.step)
	}
	return all
}
