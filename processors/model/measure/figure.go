package measure

import (
	"encoding/json"
	"math"
)

// Figure is a measure that may have no value, null in JSON: an AUC where all did
// the same.
type Figure float64

// MarshalJSON writes a number, or null.
func (f Figure) MarshalJSON() ([]byte, error) {
	if v := float64(f); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}
