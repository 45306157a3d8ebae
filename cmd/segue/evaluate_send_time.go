package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"segue/cmd/segue/curve"
	"segue/cmd/segue/table"
	"segue/processors/model/measure"
	"segue/processors/model/sendtime"
)

type sendTimeEvaluation struct {
	activity, plot       string
	person, time, offset string
	// given says whether a flag was: a column of another name need not be there.
	given func(flag string) bool
	json  bool
}

func newEvaluateSendTimeCommand() *cobra.Command {
	var s sendTimeEvaluation
	cmd := &cobra.Command{
		Use:   "send-time --activity FILE",
		Short: "Say how well the hour at which a person is there is told",
		Long: `Learn at which hours of the week each person is there from the first 70% of
their events, and tell the hours of the rest, beside the hours of everyone.

The file has one event in each row: of whom, when, and by which clock. That is
an offset from UTC in minutes or as +0200, or a zone such as Europe/Berlin; it
may differ from event to event. A time without a zone is UTC, and without an
offset an event is at the clock that its time was written by; where only some
have none, they are counted.`,
		Example: `  segue evaluate send-time --activity clicks.csv.gz
  segue evaluate send-time --activity clicks.parquet --person customer \
    --time clicked_at --offset zone --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.activity, "activity", "", "`FILE` of events, - for standard input")
	flags.StringVar(&s.person, "person", "person", "`COLUMN` of the person")
	flags.StringVar(&s.time, "time", "time", "`COLUMN` of the time, in ISO 8601 or seconds since 1970")
	flags.StringVar(&s.offset, "offset", "offset", "`COLUMN` of the offset from UTC, or of the zone")
	flags.BoolVar(&s.json, "json", false, "one JSON object")
	flags.StringVar(&s.plot, "plot", "", "draw how much the best hours hold into `FILE`, as SVG")
	s.given = flags.Changed
	return cmd
}

type sendTimeReport struct {
	People int `json:"people"`
	// New are people without an event to learn from.
	New    int `json:"new_people"`
	Learnt int `json:"learnt_events"`
	Tested int `json:"test_events"`
	// Unknown are events without an offset where others have one.
	Unknown int `json:"events_without_offset"`
	hoursTold
	Population hoursTold `json:"population"`
	// From is the hour at which the best four of the population begin.
	From    int        `json:"population_best_4h_from"`
	Over    overReport `json:"bits_over_population"`
	Verdict string     `json:"verdict"`
}

// hoursTold is how well hours are told: the mean logarithm, to base 2, of the
// chance of the hour of the week that came; the share of events in the best
// four hours of the day.
type hoursTold struct {
	Bits float64 `json:"bits_per_event"`
	Best float64 `json:"best_4h_share"`
}

func (s *sendTimeEvaluation) run(in io.Reader, out io.Writer) error {
	if s.activity == "" {
		return usageError{errors.New("segue evaluate send-time: want --activity FILE, or - for standard input")}
	}
	people, unknown, err := s.read(in)
	if err != nil {
		return err
	}
	e := sendtime.Evaluate(people)
	if s.plot != "" {
		if err := drawSendTime(s.plot, e); err != nil {
			return err
		}
	}
	r := sendTimeReport{
		People: e.People, New: e.New, Learnt: e.Learnt, Tested: e.Tested, Unknown: unknown,
		hoursTold:  hoursTold{e.Own.Bits, e.Own.Windows[4]},
		Population: hoursTold{e.Population.Bits, e.Population.Windows[4]},
		From:       e.Model.Population.Window(4),
		Over:       overReport{e.Gain, e.Error},
		Verdict:    sendTimeVerdict(e),
	}
	if s.json {
		return writeJSON(out, r)
	}
	return r.print(out)
}

// read reads the instants of each person, in order, in the zone of each, and how
// many have none.
func (s *sendTimeEvaluation) read(in io.Reader) (people [][]time.Time, unknown int, err error) {
	file, err := table.Open(s.activity, in)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	names := []string{s.person, s.time}
	zoned := s.given("offset") || file.Has(s.offset)
	if zoned {
		names = append(names, s.offset)
	}
	columns, err := file.Columns(names...)
	if err != nil {
		return nil, 0, err
	}
	known, zones := map[string]int{}, map[string]*time.Location{}
	for row, err := range file.Rows() {
		if err != nil {
			return nil, 0, err
		}
		person := strings.TrimSpace(row.Text(columns[0]))
		if person == "" {
			return nil, 0, row.Wrong(columns[0], "a person")
		}
		at, err := row.Time(columns[1])
		if err != nil {
			return nil, 0, err
		}
		if zoned {
			switch text := strings.TrimSpace(row.Text(columns[2])); {
			case text == "":
				unknown++
			default:
				zone, is := zones[text]
				if !is {
					if zone, is = zoneOf(text); !is {
						return nil, 0, row.Wrong(columns[2], "minutes from UTC, from -720 to 840, an offset such as +0200, or a zone such as Europe/Berlin")
					}
					zones[strings.Clone(text)] = zone
				}
				at = at.In(zone)
			}
		}
		i, is := known[person]
		if !is {
			i = len(people)
			known[strings.Clone(person)] = i
			people = append(people, nil)
		}
		people[i] = append(people[i], at)
	}
	if len(people) == 0 {
		return nil, 0, fmt.Errorf("%s: got no row, want at least one event", s.activity)
	}
	for _, instants := range people {
		slices.SortStableFunc(instants, time.Time.Compare)
	}
	return people, unknown, nil
}

var clockOffset = regexp.MustCompile(`^[+-]\d\d:?\d\d$`)

// zoneOf is the zone of minutes from UTC, of an offset in hours and minutes, or of
// a name.
func zoneOf(text string) (*time.Location, bool) {
	minutes := 0
	if clockOffset.MatchString(text) {
		at, err := time.Parse("-0700", strings.Replace(text, ":", "", 1))
		if err != nil {
			return nil, false
		}
		_, seconds := at.Zone()
		minutes = seconds / 60
	} else if n, err := strconv.ParseFloat(text, 64); err == nil {
		// Parquet and spreadsheets write whole numbers with a point.
		if minutes = int(n); float64(minutes) != n {
			return nil, false
		}
	} else {
		zone, err := time.LoadLocation(text)
		return zone, err == nil && zone != time.Local
	}
	if minutes < -12*60 || minutes > 14*60 {
		return nil, false
	}
	return time.FixedZone("", 60*minutes), true
}

func sendTimeVerdict(e *sendtime.Evaluation) string {
	more := fmt.Sprintf("%.4f ± %.4f bits an event", e.Gain, 1.96*e.Error)
	switch {
	case e.People < 30:
		return fmt.Sprintf("Do not trust this yet: %d people with later events are too few to tell.", e.People)
	case e.Gain <= 1.96*e.Error:
		return "Do not trust a person's own hours here: they tell no more than those of everyone (" + more + "); send at the hours of everyone."
	default:
		return "A person's own hours can be trusted: they tell more than those of everyone, by " + more + "."
	}
}

func (r sendTimeReport) print(out io.Writer) error {
	fmt.Fprintf(out, "Learnt from %d events, tested on %d later ones of %d people, %d of whom had none before.\n", r.Learnt, r.Tested, r.People, r.New)
	if r.Unknown > 0 {
		fmt.Fprintf(out, "%d events have no offset, and are at the clock their time was written by.\n", r.Unknown)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOURS\tBITS AN EVENT\tIN THE BEST 4 HOURS")
	for _, row := range [...]struct {
		name string
		hoursTold
	}{{"a person's own", r.hoursTold}, {"population", r.Population}} {
		fmt.Fprintf(w, "%s\t%.4f\t%.4f\n", row.name, row.Bits, row.Best)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nBits: the logarithm of the chance that an event's hour of the week had, -7.39\n"+
		"if all were equal. The best four hours of everyone begin at %d:00.\n%s\n", r.From, strings.Join(wrapped(r.Verdict, helpWidth), "\n"))
	return err
}

// drawSendTime draws how much of all events the best hours hold.
func drawSendTime(path string, e *sendtime.Evaluation) error {
	chart := curve.Chart{Title: "Later events in the best hours", X: "share of the hours of a day", Y: "share of events"}
	for _, line := range [...]struct {
		name string
		of   *sendtime.Figures
	}{{"a person's own", &e.Own}, {"population", &e.Population}} {
		var points []measure.Point
		for hours, share := range line.of.Windows {
			points = append(points, measure.Point{X: float64(hours) / 24, Y: share})
		}
		chart.Lines = append(chart.Lines, curve.Line{Name: line.name, Points: points})
	}
	return draw(path, chart)
}
