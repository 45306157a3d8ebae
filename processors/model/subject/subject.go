// Package subject is what can be said of a subject line before anybody saw it.
//
//	a line → Features → bandit, which weighs them by past tests
//
// Not obvious: what counts is whether a line does something, not how often, since
// a line has few words. Words of urgency are English; in another language that
// feature is always 0 and weighs nothing.
package subject

import (
	"html"
	"math"
	"regexp"
	"strings"
	"unicode"
)

// Names are those of the features, in order.
var Names = []string{"length", "name", "emoji", "question", "number", "urgency", "exclamation", "capitals"}

var (
	// placeholder is where a template puts what it knows of a person.
	placeholder = regexp.MustCompile(`\{\{.*?\}\}|\{%.*?%\}|%%\w+%%|\*\|\w+\|\*|\[\[?\w*(?i:name)\w*\]?\]`)
	urgent      = regexp.MustCompile(`(?i)\b(now|today|tonight|hurry|quick|urgent|last chance|final (hours?|days?|call)|ends?|ending|expires?|expiring|don['’]t miss|only \d+ (hours?|days?|left)|(hours?|days?) left|before it['’]s (too late|gone))\b`)
)

// Features of a line: the logarithm of its length in letters, and 1 for what it
// has.
func Features(line string) []float64 {
	line = html.UnescapeString(line)
	read := placeholder.ReplaceAllString(line, "")
	has := map[bool]float64{true: 1}
	letters := 0
	var emoji, number, capitals bool
	for _, r := range read {
		if unicode.IsLetter(r) {
			letters++
		}
		emoji = emoji || unicode.Is(unicode.So, r) && r > 0x2000
		number = number || unicode.IsDigit(r)
	}
	for word := range strings.FieldsFuncSeq(read, func(r rune) bool { return !unicode.IsLetter(r) }) {
		capitals = capitals || len([]rune(word)) > 2 && strings.ToUpper(word) == word && strings.ToLower(word) != word
	}
	return []float64{
		math.Log1p(float64(letters)),
		has[read != line],
		has[emoji],
		has[strings.Contains(read, "?")],
		has[number],
		has[urgent.MatchString(read)],
		has[strings.Contains(read, "!")],
		has[capitals],
	}
}
