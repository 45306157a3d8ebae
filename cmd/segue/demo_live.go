package main

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
	"strings"

	"segue/schemas/playbook"
)

//go:embed demo_live.html
var livePage string

var liveTemplate = template.Must(template.New("live").Funcs(template.FuncMap{"thousands": thousands}).Parse(livePage))

// drawn is a score of a watched customer as the page draws it, in hundredths of its
// width and height.
type drawn struct {
	Name, Latest, Path string
	Edges              []string
}

// live writes s as a page.
func (s *scene) live(w io.Writer, pb *playbook.Playbook) error {
	type curves struct {
		Customer string
		Scores   []drawn
	}
	type bars struct {
		headcount
		Percent string
	}
	view := struct {
		*scene
		Percent string
		Curves  []curves
		Bars    []bars
	}{scene: s, Percent: hundredths(s.Progress)}
	for _, x := range s.Watched {
		view.Curves = append(view.Curves, curves{x.Customer, []drawn{
			s.draw("churn", x.Churn, 1, pb.Thresholds(playbook.Churn)),
			s.draw("propensity", x.Propensity, propensityTop, pb.Thresholds(playbook.Propensity)),
		}})
	}
	most := 1
	for _, h := range s.Segments {
		most = max(most, h.Members)
	}
	for _, h := range s.Segments {
		view.Bars = append(view.Bars, bars{h, hundredths(float64(h.Members) / float64(most))})
	}
	return liveTemplate.Execute(w, view)
}

// draw draws a score over the whole year, as far as that has come.
func (s *scene) draw(name string, curve []point, top float64, edges []int64) drawn {
	d := drawn{Name: name, Latest: "–"}
	height := func(micros int64) string { return hundredths(1 - min(1, float64(micros)/1e6/top)) }
	for _, edge := range edges {
		d.Edges = append(d.Edges, height(edge))
	}
	if v, ok := latest(curve); ok {
		d.Latest = fmt.Sprintf("%.2f", v)
	}
	from, year := float64(s.Start.UnixMilli()), max(1, float64(s.Now.Sub(s.Start).Milliseconds()))/max(s.Progress, 1e-6)
	var path strings.Builder
	for _, p := range curve {
		fmt.Fprintf(&path, "%c%s %s", "ML"[min(path.Len(), 1)], hundredths((float64(p.at)-from)/year), height(p.micros))
	}
	d.Path = path.String()
	return d
}

func hundredths(share float64) string { return fmt.Sprintf("%.2f", share*100) }
