package table

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestLines(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"a,b\nc\nd,e,f\n", "[[a b] [c] [d e f]] true <nil>"},
		{"basket,product\n1,a\n1,b\n2,c,d\n", "[[basket product] [1 a] [1 b] [2 c d]] false <nil>"},
		{"", "[] false <nil>"},
		{"PAR1,a\nb\nc\n", "[] false <nil>"},
		{"a,b\nc\n\"d\nx", "[] false FILE:4: extraneous or missing \" in quoted-field"},
	} {
		t.Chdir(t.TempDir())
		path := filepath.Base("FILE")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		lines, ok, err := Lines(path)
		if got := fmt.Sprint(lines, " ", ok, " ", err); got != tc.want {
			t.Errorf("Lines of %q = %s, want %s", tc.text, got, tc.want)
		}
	}
}
