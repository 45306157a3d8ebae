package models

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"segue/schemas"
)

// hash is the first 12 hex digits of the SHA-256 of what a set was written in.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:12]
}

// YAML returns what the set was written in.
func (s *Set) YAML() []byte { return s.yaml }

// Write writes the set for Parse, as people can read and edit it.
func (s *Set) Write() ([]byte, error) {
	text, err := yaml.MarshalWithOptions(s, yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("write models: %w", err)
	}
	return text, nil
}

// ranked ends the ids of sets with ranks that a station worked out.
const ranked = "-ranked"

// Ranked returns the set with other ranks, under an id that says so.
func (s *Set) Ranked(ranks []float64, of string) (*Set, error) {
	other := *s
	id := strings.TrimSuffix(s.ID, ranked)
	other.ID = id[:min(len(id), schemas.LongestName-len(ranked))] + ranked
	other.Value.Ranks, other.Value.RanksOf = ranks, of
	text, err := other.Write()
	if err != nil {
		return nil, err
	}
	return Parse(other.ID, text)
}

// KeepRanks returns the set, if it has no ranks of its own, Ranked by those of the one
// that it takes over from; kept says whether it had to.
func (s *Set) KeepRanks(from *Set) (set *Set, kept bool, err error) {
	if len(s.Value.Ranks) > 0 || len(from.Value.Ranks) == 0 {
		return s, false, nil
	}
	set, err = s.Ranked(from.Value.Ranks, from.Value.RanksOf)
	return set, true, err
}

// IsRanked reports whether Ranked made the set of this version.
func IsRanked(version string) bool {
	id, _, _ := strings.Cut(version, "@")
	return strings.HasSuffix(id, ranked)
}

// Message returns the set as the topic models carries it, under the key Version.
func (s *Set) Message() *schemas.ModelsVersion {
	_, version, _ := strings.Cut(s.Version, "@")
	return &schemas.ModelsVersion{Id: s.ID, Version: version, Yaml: s.yaml}
}

// InForce returns what every partition of events is told when the set is put in
// force.
func (s *Set) InForce() *schemas.Event {
	return &schemas.Event{Body: &schemas.Event_Models{Models: &schemas.ModelsInForce{Version: s.Version}}}
}

// Decode returns the set of a version that a record of the topic models carries.
func Decode(version string, value []byte) (*Set, error) {
	var m schemas.ModelsVersion
	if err := schemas.Decode(value, &m); err != nil {
		return nil, fmt.Errorf("decode models %s: %w", version, err)
	}
	return FromMessage(&m)
}

// FromMessage returns the set that a record of the topic models carries.
func FromMessage(m *schemas.ModelsVersion) (*Set, error) {
	key := m.GetId() + "@" + m.GetVersion()
	s, err := Parse(key, m.GetYaml())
	if err != nil {
		return nil, fmt.Errorf("models %s: %w", key, err)
	}
	if s.Version != key {
		return nil, fmt.Errorf("models %s: got the content of %s, want its own", key, s.Version)
	}
	return s, nil
}
