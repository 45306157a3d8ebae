package stream

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Nothing but control records may lie where records are folded one at a time:
// then the one that kills is looked for further on, at each death.
func TestKillerFarBeyondTheCommit(t *testing.T) {
	fs := vfs.NewMem()
	const m, span, killer = 100, 20, 250
	for lives := 1; ; lives++ {
		d, err := openDeaths("", fs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.took(0, m, span); err != nil {
			t.Fatal(err)
		}
		if d.isolated(0, killer) {
			if lives < deathsAllowed {
				t.Errorf("isolated in life %d", lives)
			}
			return
		}
		if lives > 10 {
			t.Fatalf("after %d deaths the record at %d is not isolated, records up to %d are", lives, killer, d.now[0].Until)
		}
	}
}
