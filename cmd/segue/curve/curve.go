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

// Chart is one square diagram, from 0 on both axes.
type Chart struct {
	Title string
	X, Y  string
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
	end := c.end()
	px := func(x float64) float64 { return side * x / end }
	py := func(y float64) float64 { return side - side*y/end }
	text := func(x, y float64, anchor, what string) {
		fmt.Fprintf(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(what))
	}
	text(0, -25, "start", c.Title)
	text(0, -8, "start", c.Y)
	text(side/2, side+40, "middle", c.X)
	const grid = 5
	for i := range grid + 1 {
		at := end * float64(i) / grid
		fmt.Fprintf(s, "<path d=\"M0 %.1fH%d M%.1f 0V%d\" stroke=\"#ddd\"/>\n", py(at), side, px(at), side)
		text(-8, py(at)+4, "end", fmt.Sprintf("%.3g", at))
		text(px(at), side+20, "middle", fmt.Sprintf("%.3g", at))
	}
	fmt.Fprintf(s, "<path d=\"M0 %dL%d 0\" stroke=\"#aaa\" stroke-dasharray=\"4\"/>\n", side, side)
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

// end is where both axes end: 1, or less if all points lie well below.
func (c Chart) end() float64 {
	most := 0.0
	for _, line := range c.Lines {
		for _, p := range line.Points {
			most = max(most, p.X, p.Y)
		}
	}
	for _, end := range [...]float64{.01, .02, .05, .1, .2, .5} {
		if most > 0 && most <= end {
			return end
		}
	}
	return max(1, math.Ceil(most))
}
