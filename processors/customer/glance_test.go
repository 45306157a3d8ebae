package customer

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"segue/processors/customer/facts"
	"segue/schemas"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

// filled sets every field of a message, but those of a oneof.
func filled(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.ContainingOneof() != nil:
		case f.Kind() == protoreflect.MessageKind:
			filled(m.Mutable(f).Message())
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(string(f.Name())))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOfInt64(7))
		case f.Kind() == protoreflect.Int32Kind:
			m.Set(f, protoreflect.ValueOfInt32(7e6))
		}
	}
}

// views returns events of which every field is set.
func views() []*schemas.Event {
	visit := &schemas.Event{Body: &schemas.Event_Visit{Visit: &schemas.Visit{}}}
	view := &schemas.Event{Body: &schemas.Event_View{View: &schemas.View{}}}
	filled(visit.ProtoReflect())
	filled(visit.GetVisit().ProtoReflect())
	filled(view.ProtoReflect())
	filled(view.GetView().ProtoReflect())
	return []*schemas.Event{visit, view, {Id: "x", Body: &schemas.Event_View{View: &schemas.View{Category: "mugs"}}}}
}

// same folds what was glanced at and the whole event, and compares.
func same(t *testing.T, pb *playbook.Playbook, value []byte) (glanced bool) {
	t.Helper()
	var g glance
	if !g.read(value) {
		if !proto.Equal(&g.event, &schemas.Event{}) {
			t.Fatal("an event that is not read is left behind")
		}
		return false
	}
	var whole schemas.Event
	if err := schemas.Decode(value, &whole); err != nil {
		t.Fatalf("read, although it cannot be decoded: %v", err)
	}
	a, b := &profile.Profile{Customer: "ada"}, &profile.Profile{Customer: "ada"}
	x, y := facts.Apply(a, &g.event, monday, pb), facts.Apply(b, &whole, monday, pb)
	x.Event, y.Event = nil, nil
	if x != y || !bytes.Equal(profile.Encode(nil, a), profile.Encode(nil, b)) || g.event.GetId() != whole.GetId() {
		t.Fatalf("at a glance %v, %+v, %+v\nas a whole %v, %+v, %+v", &g.event, x, a, &whole, y, b)
	}
	return true
}

// Whatever field of a view or a visit the fold comes to use, a glance must see.
func TestGlanceSeesWhatIsFolded(t *testing.T) {
	pb := parse(t, shop(t))
	for _, e := range views() {
		if !same(t, pb, schemas.Encode(e)) {
			t.Errorf("not read at a glance: %v", e)
		}
	}
	if same(t, pb, encoded(t, "ada order total=3", monday)) || same(t, pb, []byte(`{"visit":{}}`)) || same(t, pb, nil) {
		t.Error("what is no view is read as one")
	}
}

func FuzzGlance(f *testing.F) {
	pb := parse(f, shop(f))
	for _, e := range views() {
		b := schemas.Encode(e)
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add(encoded(f, "ada cart_add sku=mug price=3", monday))
	f.Fuzz(func(t *testing.T, value []byte) { same(t, pb, value) })
}
