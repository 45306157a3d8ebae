package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"segue/processors/collector"
	"segue/processors/collector/returns"
	"segue/processors/customer"
	"segue/processors/ranks"
	"segue/processors/sender"
	"segue/schemas"
)

// An expression about a metric that is not there finds nothing, for ever, and
// looks like peace.
func TestExpressionsAreAboutWhatIsMeasured(t *testing.T) {
	known, code := measured(t), sources(t)
	for where, expr := range expressions(t) {
		parsed, err := metricsql.Parse(grafana.Replace(expr))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		metricsql.VisitAll(parsed, func(e metricsql.Expr) {
			switch e := e.(type) {
			case *metricsql.MetricExpr:
				for _, wrong := range unmeasured(e, known, code) {
					t.Errorf("%s: %s", where, wrong)
				}
			case *metricsql.FuncExpr:
				if metricsql.IsRollupFunc(e.Name) && !strings.Contains(string(e.AppendString(nil)), "[") {
					t.Errorf("%s: %s wants a range, as [5m]", where, e.AppendString(nil))
				}
			}
		})
	}
}

// grafana stands in for what the dashboard fills in.
var grafana = strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")

// unmeasured says what of a selector no process of ours measures.
func unmeasured(e *metricsql.MetricExpr, known map[string][]string, code string) (wrong []string) {
	for _, filters := range e.LabelFilterss {
		name := filters[0].Value
		labels, ok := known[name]
		if !ok {
			return []string{fmt.Sprintf("nothing measures %s", name)}
		}
		for _, f := range filters[1:] {
			if !slices.Contains(labels, f.Label) {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s, but %q", name, f.Label, labels))
			}
			for value := range strings.SplitSeq(f.Value, "|") {
				if !said(f, value, code) {
					wrong = append(wrong, fmt.Sprintf("no %s has the %s %q", name, f.Label, value))
				}
			}
		}
	}
	return wrong
}

// said reports whether a value of one of our labels can be. Others come from Prometheus.
func said(f metricsql.LabelFilter, value, code string) bool {
	switch f.Label {
	case "outcome":
		_, ok := schemas.Outcome_Kind_value[strings.ToUpper(strings.ReplaceAll(value, "-", "_"))]
		return ok
	case "phase", "result", "what":
		return strings.Contains(code, strconv.Quote(value))
	}
	return true
}

// expressions are all that Prometheus is asked for, by where that is.
func expressions(t *testing.T) map[string]string {
	all := map[string]string{}
	for _, a := range alerts(t) {
		all["alert "+a.Alert] = a.Expr
	}
	for _, p := range panels(t) {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, query %d", p.Title, i+1)] = target.Expr
		}
	}
	return all
}

type panel struct {
	Title, Description string
	Targets            []struct{ Expr string }
}

// What is measured and shown nowhere is found by nobody.
func TestEveryMetricHasItsPanel(t *testing.T) {
	var shown strings.Builder
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			fmt.Fprintln(&shown, target.Expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed(t))) {
		if strings.HasPrefix(name, "segue_") && !regexp.MustCompile(`\b`+name+`(_bucket)?\b`).MatchString(shown.String()) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// Whoever is woken finds the panel by the alert's name.
func TestEveryAlertHasItsPanel(t *testing.T) {
	var named []string
	for _, p := range panels(t) {
		named = append(named, regexp.MustCompile(`Segue\w+`).FindAllString(p.Description, -1)...)
	}
	for _, a := range alerts(t) {
		if !slices.Contains(named, a.Alert) {
			t.Errorf("no panel's description names %s", a.Alert)
		}
		named = slices.DeleteFunc(named, func(name string) bool { return name == a.Alert })
	}
	for _, name := range named {
		t.Errorf("a panel's description names %s, but there is no such alert", name)
	}
}

func panels(t *testing.T) []panel {
	t.Helper()
	var dashboard struct{ Panels []panel }
	text, err := os.ReadFile("grafana/segue.json")
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	read(t, "prometheus/alerts.yaml", &file)
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// measured is every series of a process that Prometheus can be asked for, with its labels.
func measured(t *testing.T) map[string][]string {
	known := map[string][]string{"up": {"job", "instance"}}
	for name, labels := range listed(t) {
		labels = append(labels, "job", "instance", "station")
		known[name] = labels
		for _, series := range []string{"_bucket", "_sum", "_count"} {
			known[name+series] = append(slices.Clip(labels), "le")
		}
	}
	return known
}

// listed is every metric of a process, with its own labels.
func listed(t *testing.T) list {
	t.Helper()
	listed := list{}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		listed.MustRegister(c)
	}
	dir := t.TempDir()
	_, errCollector := collector.New(collector.Config{Listen: "127.0.0.1:0", Metrics: listed})
	_, errCustomer := customer.New(customer.Config{Instance: "a", Dir: dir, Metrics: listed})
	_, errSender := sender.New(sender.Config{Instance: "a", SMTP: sender.SMTP{Addr: "127.0.0.1:25"}, PublicURL: "https://t.shop.example", Metrics: listed})
	_, errRanks := ranks.New(ranks.Config{Metrics: listed})
	_, errReturns := returns.New(returns.Config{Metrics: listed})
	for _, err := range []error{errCollector, errCustomer, errSender, errRanks, errReturns} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listed["segue_ready"] = nil // of the process, not of a station
	return listed
}

// list is a registry that only notes what it is given: a counter with labels
// shows nothing before it has counted.
type list map[string][]string

var described = regexp.MustCompile(`fqName: "(\w+)".* constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

func (l list) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc)
	go func() {
		c.Describe(all)
		close(all)
	}()
	for d := range all {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			return fmt.Errorf("read what %v describes", d)
		}
		var labels []string
		for label := range strings.SplitSeq(m[2]+","+m[3], ",") {
			name, _, _ := strings.Cut(label, "=")
			labels = append(labels, name)
		}
		l[m[1]] = labels
	}
	return nil
}

func (l list) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := l.Register(c); err != nil {
			panic(err)
		}
	}
}

func (l list) Unregister(prometheus.Collector) bool { return false }

// Whoever is woken by an alert finds what it means, and no section is about an
// alert that was renamed.
func TestEveryAlertHasItsSection(t *testing.T) {
	text, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (Segue\w+)$`).FindAllSubmatch(text, -1) {
		sections[string(m[1])] = true
	}
	for _, a := range alerts(t) {
		if !sections[a.Alert] {
			t.Errorf("runbook.md has no section ### %s", a.Alert)
		}
		delete(sections, a.Alert)
		if got, want := a.Annotations["runbook_url"], "deploy/runbook.md#"+strings.ToLower(a.Alert); got != want {
			t.Errorf("%s: runbook_url: got %q, want %q", a.Alert, got, want)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s: want a summary and a description", a.Alert)
		}
		if severity := a.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s: severity: got %q, want page or ticket", a.Alert, severity)
		}
	}
	for section := range sections {
		t.Errorf("runbook.md has a section %s, but there is no such alert", section)
	}
}

// What the runbook quotes is what the stations say and what panels are called,
// and its links lead somewhere.
func TestRunbookIsTrue(t *testing.T) {
	runbook, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(runbook), "| it says |")
	rows, _, _ = strings.Cut(rows, "\n\n")
	said := sources(t)
	for _, quoted := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(rows, -1) {
		for part := range strings.SplitSeq(quoted[1], "…") {
			if !strings.Contains(said, part) {
				t.Errorf("runbook.md quotes %q, which nothing says", part)
			}
		}
	}
	for _, quoted := range regexp.MustCompile(`"([A-Z][^"]+)"`).FindAllStringSubmatch(string(runbook), -1) {
		if !slices.ContainsFunc(panels(t), func(p panel) bool { return strings.HasPrefix(p.Title, quoted[1]) }) {
			t.Errorf("runbook.md: no panel is called %q", quoted[1])
		}
	}
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile("(?m)^#+ (.+)$").FindAllStringSubmatch(string(runbook), -1) {
		anchors[strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")] = true
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(string(runbook), -1) {
		if !anchors[link[1]] {
			t.Errorf("runbook.md: #%s leads nowhere", link[1])
		}
	}
}

// sources is the code that runs, as one text.
func sources(t *testing.T) string {
	var all strings.Builder
	for _, pattern := range []string{"../processors/*/*.go", "../processors/*/*/*.go", "../state/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// What compose.yaml names is there: settings, files, services, volumes.
func TestComposeFitsTogether(t *testing.T) {
	type service struct {
		Command     any
		Environment map[string]any
		Volumes     []string
		DependsOn   map[string]any `yaml:"depends_on"`
		Build       struct{ Context, Dockerfile string }
	}
	var compose struct {
		Services map[string]service
		Volumes  map[string]any
	}
	read(t, "compose.yaml", &compose)
	var scraped struct {
		Configs []struct {
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus/prometheus.yaml", &scraped)
	targets := scraped.Configs[0].Static[0].Targets

	settings := variables(t)
	for _, name := range slices.Sorted(maps.Keys(compose.Services)) {
		s := compose.Services[name]
		for variable := range s.Environment {
			if strings.HasPrefix(variable, "SEGUE_") && !settings[variable] {
				t.Errorf("%s: %s sets nothing", name, variable)
			}
		}
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			_, declared := compose.Volumes[from]
			if _, err := os.Stat(from); !declared && err != nil {
				t.Errorf("%s: volume %s is neither declared nor a file", name, from)
			}
		}
		for other := range s.DependsOn {
			if _, ok := compose.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		runs := strings.HasPrefix(fmt.Sprint(s.Command), "[run ")
		if scrapes := slices.Contains(targets, name+":9090"); scrapes != runs {
			t.Errorf("%s: Prometheus asks it: %v; it runs a station: %v", name, scrapes, runs)
		}
	}
	if len(targets) < 4 {
		t.Errorf("Prometheus asks %q, want a process for every station", targets)
	}
}

// variables are the settings of segue.yaml as the environment spells them.
func variables(t *testing.T) map[string]bool {
	var settings map[string]any
	read(t, "segue.yaml", &settings)
	all := map[string]bool{}
	var walk func(prefix string, group map[string]any)
	walk = func(prefix string, group map[string]any) {
		for name, value := range group {
			name = prefix + "_" + strings.ToUpper(name)
			all[name] = true
			if inner, ok := value.(map[string]any); ok {
				walk(name, inner)
			}
		}
	}
	walk("SEGUE", settings)
	return all
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.UnmarshalWithOptions(text, into, yaml.AllowDuplicateMapKey()) // what a merge brings is overridden
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
