package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"

	"segue/benchmarks/workload"
)

// line is what a chart shows of one engine: y by x.
type line struct {
	name string
	x, y []float64
}

func (l *line) add(x, y float64) { l.x, l.y = append(l.x, x), append(l.y, y) }

// chart writes lines as an SVG picture, x by its logarithm and y from zero.
func (b *bench) chart(file, title, xName, yName string, lines ...line) error {
	const width, height, left, right, top, bottom = 720, 420, 70, 150, 50, 60
	least, most, highest := math.Inf(1), math.Inf(-1), 0.0
	for _, l := range lines {
		for i := range l.x {
			least, most, highest = min(least, l.x[i]), max(most, l.x[i]), max(highest, l.y[i])
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(highest/2)))
	for highest/step > 6 {
		step *= 2
	}
	highest = step * math.Ceil(highest/step)
	px := func(x float64) float64 {
		return left + (width-left-right)*(math.Log(x)-math.Log(least))/max(math.Log(most)-math.Log(least), 1e-9)
	}
	py := func(y float64) float64 { return height - bottom - (height-top-bottom)*y/highest }

	var s strings.Builder
	text := func(x, y float64, anchor, what string) {
		fmt.Fprintf(&s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, html.EscapeString(what))
	}
	fmt.Fprintf(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", width, height)
	text(left, 20, "start", title)
	text((left+width-right)/2, height-15, "middle", xName)
	text(left, top-10, "start", yName)
	for y := 0.0; y <= highest*1.001; y += step {
		fmt.Fprintf(&s, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", left, width-right, py(y), py(y))
		text(left-8, py(y)+4, "end", fmt.Sprintf("%.4g", y))
	}
	colours := [...]string{"#1f6f8b", "#c2571a", "#7a7a7a"}
	for i, l := range lines {
		colour := colours[i%len(colours)]
		var points []string
		for j := range l.x {
			x, y := px(l.x[j]), py(l.y[j])
			points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
			fmt.Fprintf(&s, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x, y, colour)
			if i == 0 {
				text(x, height-bottom+20, "middle", workload.Count(int(l.x[j])))
			}
		}
		fmt.Fprintf(&s, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.Join(points, " "), colour)
		last := len(l.x) - 1
		fmt.Fprintf(&s, "<g fill=\"%s\">", colour)
		text(px(l.x[last])+10, py(l.y[last])+4, "start", l.name)
		s.WriteString("</g>\n")
	}
	s.WriteString("</svg>\n")
	path := filepath.Join(b.pictures, file)
	if err := os.WriteFile(path, []byte(s.String()), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "Picture: %s\n\n", path)
	return nil
}
