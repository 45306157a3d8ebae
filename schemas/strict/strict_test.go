package strict

import "testing"

func TestWhatIsWrongAndWhere(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"name: a\nnames: [b]\n", ""},
		{"name: a\nnmae: b\n", `file.yaml:2:1: unknown field "nmae"`},
		{"name: a\nnames: b\n", "file.yaml:2:8: string was used where sequence is expected"},
		{"name: [a\n", "file.yaml:1:7: sequence end token ']' not found"},
		{"name: a\nnames: ! ", "file.yaml: got what the parser cannot read, want YAML"}, // it panics
	} {
		var v struct {
			Name  string
			Names []string
		}
		got := ""
		if err := Unmarshal("file.yaml", []byte(x.text), &v); err != nil {
			got = err.Error()
		}
		if got != x.want {
			t.Errorf("%q: got %q, want %q", x.text, got, x.want)
		}
	}
}
