package playbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	celtraits "cel.dev/cel-go/common/types/traits"
	"pgregory.net/rapid"

	"segue/schemas/profile"
)

// rival evaluates conditions as CEL's own interpreter does. To it money, instants
// and lengths are plain numbers, and it knows nothing of when they change.
type rival struct {
	env   *cel.Env
	facts Facts
}

const never = int64(1) << 60 // longer ago than anything

func newRival(t testing.TB) *rival {
	r := &rival{}
	options := []cel.EnvOption{cel.ClearMacros()}
	plain := func(k kind) *cel.Type {
		if k == text || k == boolean {
			return k.celType()
		}
		return cel.IntType
	}
	bind := func(name string, result kind, f func(args ...ref.Val) ref.Val, arguments ...kind) {
		id, list := name, []*cel.Type{}
		for _, a := range arguments {
			id += "/" + plain(a).String()
			list = append(list, plain(a))
		}
		options = append(options, cel.Function(name, cel.Overload(id, list, plain(result), cel.FunctionBinding(f))))
	}
	number64 := func(v ref.Val) int64 { return int64(v.(types.Int)) }
	for op, f := range map[string]func(a, b int64) bool{
		"_<_": func(a, b int64) bool { return a < b }, "_<=_": func(a, b int64) bool { return a <= b },
		"_>_": func(a, b int64) bool { return a > b }, "_>=_": func(a, b int64) bool { return a >= b },
	} {
		bind(op, boolean, func(x ...ref.Val) ref.Val { return types.Bool(f(number64(x[0]), number64(x[1]))) }, number, number)
	}
	for op, sign := range map[string]int64{"_+_": 1, "_-_": -1} {
		bind(op, number, func(x ...ref.Val) ref.Val { return types.Int(number64(x[0]) + sign*number64(x[1])) }, number, number)
	}
	bind("!_", boolean, func(x ...ref.Val) ref.Val { return !x[0].(types.Bool) }, boolean)
	bind("money", money, func(x ...ref.Val) ref.Val { return types.Int(number64(x[0]) * 1e6) }, number)
	bind("since", length, func(x ...ref.Val) ref.Val {
		if at := number64(x[0]); at != 0 {
			return types.Int(r.facts.Now - at)
		}
		return types.Int(never)
	}, instant)
	for name, unit := range lengths {
		bind(name, length, func(x ...ref.Val) ref.Val { return types.Int(number64(x[0]) * unit) }, number)
	}
	options = append(options, cel.Function("@in", cel.Overload("in", []*cel.Type{cel.StringType, cel.ListType(cel.StringType)}, cel.BoolType,
		cel.BinaryBinding(func(x, list ref.Val) ref.Val { return list.(celtraits.Lister).Contains(x) }))))
	for _, op := range []string{"_==_", "_!=_"} {
		for _, k := range []kind{number, text, boolean} {
			options = append(options, cel.Function(op, cel.Overload(op+"/"+k.celType().String()+"/"+k.celType().String(), []*cel.Type{k.celType(), k.celType()}, cel.BoolType)))
		}
	}
	for _, op := range []string{"_&&_", "_||_"} {
		options = append(options, cel.Function(op, cel.Overload(op, []*cel.Type{cel.BoolType, cel.BoolType}, cel.BoolType)))
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, plain(v.kind)))
	}
	// Counters count what the profile remembers, event by event.
	bind("views.within", number, func(x ...ref.Val) ref.Val {
		n := 0
		for _, v := range r.facts.Profile.Views.Recent {
			if r.facts.Now-v.At < number64(x[0]) {
				n++
			}
		}
		return types.Int(n)
	}, length)
	bind("views.in_category", number, func(x ...ref.Val) ref.Val {
		n := 0
		for _, v := range r.facts.Profile.Views.Recent {
			if v.Category == string(x[0].(types.String)) && r.facts.Now-v.At < number64(x[1]) {
				n++
			}
		}
		return types.Int(n)
	}, text, length)
	bind("orders.spent", money, func(x ...ref.Val) ref.Val {
		var sum int64
		for _, o := range r.facts.Profile.Orders.Recent {
			if r.facts.Now-o.At < number64(x[0]) {
				sum += o.ValueMicros
			}
		}
		return types.Int(sum)
	}, length)
	var err error
	if r.env, err = cel.NewCustomEnv(options...); err != nil {
		t.Fatalf("declare the rival: %v", err)
	}
	return r
}

func (r *rival) holds(t *rapid.T, source string, f Facts) bool {
	checked, issues := r.env.Compile(source)
	if issues.Err() != nil {
		t.Fatalf("rival compiles %s: %v", source, issues.Err())
	}
	program, err := r.env.Program(checked)
	if err != nil {
		t.Fatalf("rival plans %s: %v", source, err)
	}
	f.product = new(Product)
	r.facts = f
	values := make(map[string]any)
	for _, v := range variables {
		x, _ := v.read(f)
		switch v.kind {
		case text:
			values[v.name] = x.s
		case boolean:
			values[v.name] = x.n != 0
		default:
			values[v.name] = x.n
		}
	}
	out, _, err := program.Eval(values)
	if err != nil {
		t.Fatalf("rival evaluates %s: %v", source, err)
	}
	return out == types.True
}

// someParts draws one comparison of a condition.
var someParts = rapid.Custom(func(t *rapid.T) string {
	op := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op")
	order := rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "order")
	n := rapid.IntRange(0, 5).Draw(t, "n")
	hours := rapid.IntRange(1, 4).Draw(t, "hours")
	return rapid.SampledFrom([]string{
		fmt.Sprintf("orders.count %s %d", op, n),
		fmt.Sprintf("views.within(hours(%d)) %s %d", hours, op, n),
		fmt.Sprintf("%d %s views.within(hours(%d))", n, op, hours),
		fmt.Sprintf(`views.in_category("mugs", hours(%d)) %s %d`, hours, op, n),
		fmt.Sprintf(`views.within(hours(%d)) - views.in_category("mugs", hours(%d)) %s %d`, hours, hours, op, n),
		fmt.Sprintf(`views.within(hours(%d)) %s carts.open + views.in_category("mugs", hours(2)) - %d`, hours, op, n),
		fmt.Sprintf("orders.spent(hours(%d)) %s money(%d)", hours, op, n),
		fmt.Sprintf("since(last.view) %s hours(%d)", order, hours),
		fmt.Sprintf("hours(%d) %s since(last.open)", hours, order),
		fmt.Sprintf("since(last.order) %s minutes(%d)", order, n+1),
		fmt.Sprintf("carts.open %s %d", op, n),
		"last.view " + order + " last.order",
		`customer.country in ["GB", "IE"]`,
		"customer.subscribed == false",
	}).Draw(t, "part")
})

func someCondition(t *rapid.T) string {
	s := someParts.Draw(t, "first")
	for range rapid.IntRange(0, 3).Draw(t, "more") {
		s += rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "logic") + someParts.Draw(t, "next")
		if rapid.Bool().Draw(t, "negate") {
			s = "!(" + s + ")"
		}
	}
	return s
}

// What a condition says is what CEL says; and the instant at which it says that
// it turns is the first one at which CEL says otherwise.
func TestHoldsAgreesWithCELAndIsExact(t *testing.T) {
	r := newRival(t)
	rapid.Check(t, func(t *rapid.T) {
		source := someCondition(t)
		c, err := compile(source, false)
		if err != nil {
			t.Fatalf("compile %s: %v", source, err)
		}
		pb := withNeeds(c)
		p := &profile.Profile{Customer: "ada", Country: rapid.SampledFrom([]string{"", "GB"}).Draw(t, "country")}
		now := noon
		var instants []int64
		for range rapid.IntRange(0, 12).Draw(t, "events") {
			now += rapid.Int64Range(0, 40*minute).Draw(t, "pause")
			at := now - rapid.SampledFrom([]int64{0, 0, 0, 30 * minute}).Draw(t, "behind")
			instants = append(instants, at)
			switch rapid.IntRange(0, 3).Draw(t, "event") {
			case 0:
				o := profile.Order{At: at, ValueMicros: rapid.SampledFrom([]int64{1e6, 2e6, -1e6}).Draw(t, "value")}
				p.Orders.Count++
				p.Orders.Last = max(p.Orders.Last, at)
				p.Orders.Recent = append(p.Orders.Recent, o)
				pb.RecordOrder(p, o, now)
			case 1:
				p.Carts = append(p.Carts, profile.Cart{StartedAt: at, ChangedAt: at - rapid.SampledFrom([]int64{0, profile.CartLapse - hour}).Draw(t, "idle")})
			default:
				v := profile.View{At: at, Category: rapid.SampledFrom([]string{"mugs", "pots"}).Draw(t, "category")}
				p.Views.Last = max(p.Views.Last, at)
				p.Views.Recent = append(p.Views.Recent, v)
				pb.RecordView(p, v, "", now)
			}
		}
		var turns []int64 // every instant at which anything can
		for _, at := range instants {
			for m := int64(1); m <= 6; m++ {
				turns = append(turns, at+m*minute, at+m*minute+1)
			}
			for h := int64(1); h <= 4; h++ {
				turns = append(turns, at+h*hour, at+h*hour+1)
			}
		}
		for _, k := range p.Carts {
			turns = append(turns, k.ChangedAt+profile.CartLapse)
		}
		slices.Sort(turns)

		holds, next := c.Holds(Facts{Profile: p, Now: now})
		if want := r.holds(t, source, Facts{Profile: p, Now: now}); holds != want {
			t.Fatalf("%s: got %v, CEL says %v", c.Why(Facts{Profile: p, Now: now}), holds, want)
		}
		want := int64(0)
		for _, at := range turns {
			if at > now && r.holds(t, source, Facts{Profile: p, Now: at}) != holds {
				want = at
				break
			}
		}
		if next != want {
			t.Fatalf("%s: got next %+d ms, want %+d ms", c.Why(Facts{Profile: p, Now: now}), next-now, want-now)
		}
		if why := c.Why(Facts{Profile: p, Now: now}); !strings.Contains(why, "(") {
			t.Fatalf("Why of %s: %s, want values", source, why)
		}
	})
}
