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
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("a").MapKey(), protoreflect.ValueOfString("b"))
		case f.IsList():
			filled(m.Mutable(f).List().AppendMutable().Message())
			filled(m.Mutable(f).List().AppendMutable().Message())
		case f.Kind() == protoreflect.MessageKind:
			filled(m.Mutable(f).Message())
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(string(f.Name())))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOfInt64(7))
		case f.Kind() == protoreflect.Int32Kind:
			m.Set(f, protoreflect.ValueOfInt32(7e6))
		case f.Kind() == protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(true))
		case f.Kind() == protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(1))
		}
	}
}

// glanced returns events of every kind that is read at a glance, with every field
// set.
func glanced() []*schemas.Event {
	all := []*schemas.Event{
		{Body: &schemas.Event_Visit{Visit: &schemas.Visit{}}}, {Body: &schemas.Event_View{View: &schemas.View{}}},
		{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{}}}, {Body: &schemas.Event_Order{Order: &schemas.Order{}}},
		{Body: &schemas.Event_Engagement{Engagement: &schemas.Engagement{}}}, {Body: &schemas.Event_Named{Named: &schemas.Named{}}}}
	for _, e := range all {
		m := e.ProtoReflect()
		filled(m)
		filled(m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))).Message())
	}
	return append(all, &schemas.Event{Id: "x", Body: &schemas.Event_View{View: &schemas.View{Category: "mugs"}}},
		&schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{DiscountMicros: 1}}}, &schemas.Event{Body: &schemas.Event_Order{Order: &schemas.Order{Coupon: "SPRING"}}},
		&schemas.Event{Body: &schemas.Event_Cart{Cart: &schemas.CartChange{Change: schemas.CartChange_REPLACED, Products: []*schemas.Product{{Id: "mug"}, {Id: "jug"}}}}},
		&schemas.Event{Body: &schemas.Event_Engagement{Engagement: &schemas.Engagement{Kind: schemas.Engagement_CLICKED}}})
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
	if x != y || !bytes.Equal(profile.Encode(nil, a), profile.Encode(nil, b)) || g.event.GetId() != whole.GetId() || g.event.GetUserId() != whole.GetUserId() {
		t.Fatalf("at a glance %v, %+v, %+v\nas a whole %v, %+v, %+v", &g.event, x, a, &whole, y, b)
	}
	return true
}

// Whatever field of such an event the fold comes to use, a glance must see.
func TestGlanceSeesWhatIsFolded(t *testing.T) {
	pb := parse(t, shop(t))
	for _, e := range glanced() {
		if !same(t, pb, schemas.Encode(e)) {
			t.Errorf("not read at a glance: %v", e)
		}
	}
	if same(t, pb, encoded(t, "ada identify email=ada@shop.example", monday)) || same(t, pb, []byte(`{"visit":{}}`)) || same(t, pb, nil) {
		t.Error("what is none of them is read as one")
	}
}

func FuzzGlance(f *testing.F) {
	pb := parse(f, shop(f))
	for _, e := range glanced() {
		b := schemas.Encode(e)
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add(encoded(f, "ada cart_add sku=mug price=3", monday))
	f.Add(encoded(f, "ada identify email=ada@shop.example", monday))
	f.Fuzz(func(t *testing.T, value []byte) { same(t, pb, value) })
}
