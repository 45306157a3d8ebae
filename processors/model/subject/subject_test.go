package subject

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestFeatures(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "",
		"Your cart":                          "",
		"{{ customer.name }}, your cart":     "name",
		"*|FNAME|*, hello":                   "name",
		"[FIRST_NAME] hello":                 "name",
		"100 %% off":                         "number",
		"Still thinking it over? \U0001F6D2": "emoji question",
		"Last chance &#x23f0;":               "emoji urgency",
		"THE END of nothing":                 "urgency capitals", // a word is taken as it stands
		"3 days left!":                       "number urgency exclamation",
		"Trending: I knew, I know":           "",
		"SALE – 20% off":                     "number capitals",
		"{% if x > 3 %}Hello!{% endif %}":    "name exclamation",
		"Don’t miss your price":              "urgency",
	} {
		var has []string
		got := Features(line)
		for i, x := range got[1:] {
			if x == 1 {
				has = append(has, Names[i+1])
			} else if x != 0 {
				t.Errorf("%q: %s = %v, want 0 or 1", line, Names[i+1], x)
			}
		}
		if said := strings.Join(has, " "); said != want || len(got) != len(Names) {
			t.Errorf("Features(%q): %q, want %q", line, said, want)
		}
	}
	if got, want := Features("Ås, {{ n }} 12!")[0], math.Log(3); got != want {
		t.Errorf("length of two letters = %v, want %v", got, want)
	}
}

// The lines of a retailer's year, in which others marked emoji and names and
// counted letters.
func TestFeaturesAsOthersMarkedThem(t *testing.T) {
	file, err := os.Open("../../../../shared/data/email_subject_or/model_data.csv")
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
	at := func(name string) int { return slices.Index(rows[0], name) }
	var names, emoji, letters float64
	for _, row := range rows[1:] {
		f := Features(row[at("Subject")])
		if fmt.Sprint(f[1]) == row[at("Personalization")] {
			names++
		}
		if fmt.Sprint(f[2]) == row[at("Emoji")] {
			emoji++
		}
		if fmt.Sprint(math.Round(math.Expm1(f[0]))) == row[at("Letter_Count")] {
			letters++
		}
	}
	n := float64(len(rows) - 1)
	if names != n || emoji < .95*n || letters < .2*n {
		t.Errorf("of %v lines %v agree in names, %v in emoji and %v in letters", n, names, emoji, letters)
	}
}
