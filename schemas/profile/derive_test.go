package profile

import "testing"

func TestDerive(t *testing.T) {
	if got, want := Derive("delivery", "ada"), "59cd90a55316c79c5e0574b3"; got != want {
		t.Errorf("Derive = %s, want %s: ids of what is on its way would change", got, want)
	}
	if Derive("ab", "c") == Derive("a", "bc") {
		t.Error("Derive runs its parts together")
	}
}

func TestDraw(t *testing.T) {
	below := 0
	for i := range 10_000 {
		x := Draw("salt", string(rune(i)))
		if x < 0 || x >= 1 {
			t.Fatalf("Draw = %v, want [0, 1)", x)
		}
		if x < 0.05 {
			below++
		}
	}
	if below < 400 || below > 600 {
		t.Errorf("%d of 10,000 draws are below 0.05, want about 500", below)
	}
}
