package playbook

import (
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"

	"segue/schemas/profile"
)

// variable is a name that a condition may use.
type variable struct {
	name string
	kind kind
	of   Aspects
	cart bool // in a cart's journey of that cart, else of the newest
	// product: it is known in where(…) alone, and nothing else is.
	product bool
	// moves: it is compared with a constant alone, see crossing.
	moves bool
	read  func(Facts) (v value, until int64)
}

func tallied(name string, aspect Aspects, of func(*profile.Profile) *profile.Tally) variable {
	return variable{name: name, kind: number, of: aspect, read: func(f Facts) (value, int64) { return value{n: of(f.Profile).Count}, 0 }}
}

func at(name string, aspect Aspects, of func(*profile.Profile) int64) variable {
	return variable{name: name, kind: instant, of: aspect, read: func(f Facts) (value, int64) { return value{n: of(f.Profile)}, 0 }}
}

func said(name string, of func(*profile.Profile) string) variable {
	return variable{name: name, kind: text, of: ofPerson, read: func(f Facts) (value, int64) { return value{s: of(f.Profile)}, 0 }}
}

// variables are all names without arguments.
var variables = slices.Concat(scored(), ofProduct, []variable{
	tallied("orders.count", ofOrders, func(p *profile.Profile) *profile.Tally { return &p.Orders.Tally }),
	{name: "orders.discounted", kind: number, of: ofOrders, read: func(f Facts) (value, int64) { return value{n: f.Profile.Orders.Discounted}, 0 }},
	tallied("views.count", ofViews, func(p *profile.Profile) *profile.Tally { return &p.Views.Tally }),
	tallied("visits.count", ofVisits, func(p *profile.Profile) *profile.Tally { return &p.Visits }),
	tallied("sent.count", ofSent, func(p *profile.Profile) *profile.Tally { return &p.Sent }),
	tallied("opened.count", ofOpened, func(p *profile.Profile) *profile.Tally { return &p.Opened }),
	tallied("clicked.count", ofClicked, func(p *profile.Profile) *profile.Tally { return &p.Clicked }),
	tallied("tickets.count", ofTickets, func(p *profile.Profile) *profile.Tally { return &p.Tickets.Tally }),
	{name: "tickets.open", kind: number, of: ofTickets, read: func(f Facts) (value, int64) { return value{n: int64(len(f.Profile.Tickets.Open))}, 0 }},
	{name: "carts.open", kind: number, of: ofCarts, read: openCarts},
	{name: "orders.value", kind: money, of: ofOrders, read: func(f Facts) (value, int64) { return value{n: f.Profile.Orders.ValueMicros}, 0 }},

	at("first.seen", ofPresence, func(p *profile.Profile) int64 { return p.FirstSeen }),
	at("first.order", ofOrders, func(p *profile.Profile) int64 { return p.Orders.First }),
	at("last.seen", ofPresence, func(p *profile.Profile) int64 { return p.LastSeen }),
	at("last.order", ofOrders, func(p *profile.Profile) int64 { return p.Orders.Last }),
	at("last.view", ofViews, func(p *profile.Profile) int64 { return p.Views.Last }),
	at("last.visit", ofVisits, func(p *profile.Profile) int64 { return p.Visits.Last }),
	at("last.sent", ofSent, func(p *profile.Profile) int64 { return p.Sent.Last }),
	at("last.open", ofOpened, func(p *profile.Profile) int64 { return p.Opened.Last }),
	at("last.click", ofClicked, func(p *profile.Profile) int64 { return p.Clicked.Last }),
	at("last.ticket", ofTickets, func(p *profile.Profile) int64 { return p.Tickets.Last }),

	said("customer.email", func(p *profile.Profile) string { return p.Email }),
	said("customer.first_name", func(p *profile.Profile) string { return p.FirstName }),
	said("customer.last_name", func(p *profile.Profile) string { return p.LastName }),
	said("customer.country", func(p *profile.Profile) string { return p.Country }),
	said("customer.language", func(p *profile.Profile) string { return p.Language }),
	{name: "customer.subscribed", kind: boolean, of: ofPerson, read: func(f Facts) (value, int64) { return truth(f.Profile.Consent == profile.Subscribed), 0 }},

	{name: "cart.value", kind: money, of: ofCarts, cart: true, read: func(f Facts) (value, int64) {
		if f.Cart == nil {
			return value{}, 0
		}
		return value{n: f.Cart.Value()}, 0
	}},
	{name: "cart.size", kind: number, of: ofCarts, cart: true, read: func(f Facts) (value, int64) {
		if f.Cart == nil {
			return value{}, 0
		}
		return value{n: int64(len(f.Cart.Items))}, 0
	}},
	{name: "cart.currency", kind: text, of: ofCarts, cart: true, read: func(f Facts) (value, int64) {
		if f.Cart == nil {
			return value{}, 0
		}
		return value{s: f.Cart.Currency}, 0
	}},
})

// newest returns the open cart that changed last, and when it lapses; nil: there
// is none.
func newest(f Facts) (cart *profile.Cart, lapses int64) {
	for i := range f.Profile.Carts {
		if k := &f.Profile.Carts[i]; k.ChangedAt+profile.CartLapse > f.Now && (cart == nil || k.ChangedAt >= cart.ChangedAt) {
			cart, lapses = k, k.ChangedAt+profile.CartLapse
		}
	}
	return cart, lapses
}

// ofNewest reads a name of the newest cart.
func ofNewest(v *variable) *variable {
	of := *v
	of.read = func(f Facts) (value, int64) {
		cart, lapses := newest(f)
		f.Cart = cart
		x, _ := v.read(f)
		return x, lapses
	}
	return &of
}

// openCarts counts the carts that have not lapsed.
func openCarts(f Facts) (v value, until int64) {
	for i := range f.Profile.Carts {
		if lapses := f.Profile.Carts[i].ChangedAt + profile.CartLapse; lapses > f.Now {
			v.n++
			until = Sooner(until, lapses)
		}
	}
	return v, until
}

// traits is the one map: the customer's own words. What was never said is "".
const traits = "customer.traits"

// counter is a function that counts happenings, and so asks for a window.
type counter struct {
	name   string
	of     Kind
	filter bool // its first argument is a category, a product or a name
	ever   bool // the window may be left out
	sum    bool // money, not number
	where  bool // its first argument is a question about a product
}

var counters = []counter{
	{name: "orders.within", of: Orders},
	{name: "orders.spent", of: Orders, sum: true},
	{name: "orders.in_category", of: OrdersInCategory, filter: true, ever: true},
	{name: "orders.of_product", of: OrdersOfProduct, filter: true, ever: true},
	{name: "orders.where", of: OrdersWhere, where: true, ever: true},
	{name: "carted.within", of: Carted},
	{name: "carted.in_category", of: CartedInCategory, filter: true, ever: true},
	{name: "carted.of_product", of: CartedOfProduct, filter: true, ever: true},
	{name: "carted.where", of: CartedWhere, where: true, ever: true},
	{name: "views.within", of: Views},
	{name: "views.in_category", of: ViewsInCategory, filter: true, ever: true},
	{name: "views.of_product", of: ViewsOfProduct, filter: true, ever: true},
	{name: "views.where", of: ViewsWhere, where: true, ever: true},
	{name: "visits.within", of: Visits},
	{name: "sent.within", of: Sent},
	{name: "opened.within", of: Opened},
	{name: "clicked.within", of: Clicked},
	{name: "tickets.within", of: Tickets},
	{name: "events.named", of: Named, filter: true, ever: true},
}

// lengths are the functions that make a constant length of time.
var lengths = map[string]int64{"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}

// Names returns every name of the language, sorted: what a condition can ask.
func Names() []string {
	var names []string
	for _, v := range variables {
		names = append(names, v.name)
	}
	for _, c := range counters {
		names = append(names, c.name)
	}
	names = append(names, traits, "since", "until", "money", "contains", "in", "entered", "sequence", "happened", "nothing")
	for name := range steps {
		names = append(names, name)
	}
	for name := range lengths {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// celType says how CEL's checker calls a kind. Money, instants and lengths are
// types of their own: mixing them up is an error at load.
func (k kind) celType() *cel.Type {
	switch k {
	case number:
		return cel.IntType
	case money:
		return cel.OpaqueType("money")
	case text:
		return cel.StringType
	case instant:
		return cel.OpaqueType("instant")
	case length:
		return cel.OpaqueType("length of time")
	case fraction:
		return cel.DoubleType
	}
	return cel.BoolType
}

// environment is the language as CEL checks it: no standard library, no macros,
// only what can say when it changes.
var environment = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{cel.ClearMacros(), cel.ParserExpressionSizeLimit(maxCondition), cel.ParserRecursionLimit(32)}
	function := func(name string, result kind, arguments ...kind) {
		id, types := name, []*cel.Type{}
		for _, a := range arguments {
			id += "/" + a.celType().String()
			types = append(types, a.celType())
		}
		options = append(options, cel.Function(name, cel.Overload(id, types, result.celType())))
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.kind.celType()))
	}
	texts := cel.MapType(cel.StringType, cel.StringType)
	options = append(options, cel.Variable(traits, texts),
		cel.Function("_[_]", cel.Overload("trait", []*cel.Type{texts, cel.StringType}, cel.StringType)),
		cel.Function("@in", cel.Overload("in", []*cel.Type{cel.StringType, cel.ListType(cel.StringType)}, cel.BoolType)),
		cel.Function("money", cel.Overload("money/double", []*cel.Type{cel.DoubleType}, money.celType())))
	function("money", money, number)
	happening := cel.OpaqueType("step")
	for name, of := range steps {
		overloads := []cel.FunctionOpt{cel.Overload(name, nil, happening)}
		if of.products {
			overloads = append(overloads, cel.Overload(name+"/id", []*cel.Type{cel.StringType}, happening), cel.Overload(name+"/where", []*cel.Type{cel.BoolType}, happening))
		}
		options = append(options, cel.Function(name, overloads...))
	}
	options = append(options,
		cel.Function("happened", cel.Overload("happened", []*cel.Type{cel.StringType}, happening)),
		cel.Function("nothing", cel.Overload("nothing", []*cel.Type{length.celType()}, happening)),
		cel.Function("sequence", cel.Overload("sequence", []*cel.Type{cel.ListType(happening), length.celType()}, cel.BoolType)),
		cel.Function("contains", cel.MemberOverload("contains", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType)))
	function(inWord, boolean, text)
	function("entered", instant, text)
	function("since", length, instant)
	function("until", length, instant)
	for name := range lengths {
		function(name, length, number)
	}
	for _, c := range counters {
		result := number
		if c.sum {
			result = money
		}
		var arguments []kind
		if c.filter {
			arguments = append(arguments, text)
		}
		if c.where {
			arguments = append(arguments, boolean)
		}
		function(c.name, result, append(arguments, length)...)
		if c.ever {
			function(c.name, result, arguments...)
		}
	}
	for _, op := range []string{"_<_", "_<=_", "_>_", "_>=_"} {
		for _, k := range []kind{number, money, instant, length, fraction} {
			function(op, boolean, k, k)
		}
	}
	for _, op := range []string{"_==_", "_!=_"} {
		for _, k := range []kind{number, money, text, boolean} {
			function(op, boolean, k, k)
		}
	}
	for _, op := range []string{"_+_", "_-_"} {
		for _, k := range []kind{number, money} {
			function(op, k, k, k)
		}
	}
	function("_&&_", boolean, boolean, boolean)
	function("_||_", boolean, boolean, boolean)
	function("!_", boolean, boolean)
	env, err := cel.NewCustomEnv(options...)
	if err != nil {
		panic("declare the language of conditions: " + err.Error()) // the tables above contradict each other
	}
	return env
})

// operator returns an operator as it is written: "_>=_" is ">=".
// Other functions keep their name.
func operator(function string) string {
	if function == inWord {
		return "in"
	}
	if !strings.ContainsAny(function[:1], "_@!-") {
		return function
	}
	return strings.NewReplacer("@", "", "_", "").Replace(function)
}
