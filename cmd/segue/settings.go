package main

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configFile is read when it is there and nothing else is named.
const configFile = "segue.yaml"

// setting is one leaf of Config.
type setting struct {
	key    string
	index  []int // of the field within Config
	typ    reflect.Type
	secret bool
}

// env is the variable that sets it.
func (s setting) env() string {
	return "SEGUE_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// in returns the setting's field of c.
func (s setting) in(c *Config) reflect.Value {
	return reflect.ValueOf(c).Elem().FieldByIndex(s.index)
}

// settings are the leaves of Config in its order.
var settings = leaves(reflect.TypeFor[Config](), "", nil)

func leaves(t reflect.Type, prefix string, index []int) (all []setting) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, at := prefix+f.Tag.Get("koanf"), append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct {
			all = append(all, leaves(f.Type, key+".", at)...)
			continue
		}
		all = append(all, setting{key, at, f.Type, f.Tag.Get("secret") != ""})
	}
	return all
}

func settingNamed(key string) (setting, bool) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return settings[i], true
}

// given is a value that somebody set, and where: "segue.yaml:12",
// "SEGUE_PREFIX", "--prefix".
type given struct {
	key   string
	value any
	from  string
}

// loaded is the effective configuration and where each value came from.
type loaded struct {
	Config
	from map[string]string
}

// load puts together what holds for a command: defaults, then the file, then
// the environment, then flags. The error names everything that is wrong.
func load(cmd *cobra.Command) (*loaded, error) {
	path, named := os.Getenv("SEGUE_CONFIG"), true
	if f := cmd.Flags().Lookup("config"); f.Changed {
		path = f.Value.String()
	}
	if path == "" {
		path, named = configFile, false
	}
	file, err := fileLayer(path, named)
	if err != nil {
		return nil, err
	}
	env, err := envLayer(os.Environ())
	if err != nil {
		return nil, err
	}
	return merge(file, env, flagLayer(cmd.Flags()))
}

// merge lays later layers over earlier ones, and all over the defaults.
func merge(layers ...[]given) (*loaded, error) {
	k := koanf.New(".")
	l := &loaded{Config: DefaultConfig(), from: map[string]string{}}
	for _, layer := range layers {
		for _, g := range layer {
			k.Delete(g.key) // a map is replaced, not joined
			if err := k.Load(confmap.Provider(map[string]any{g.key: g.value}, "."), nil); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", g.from, g.key, err)
			}
			l.from[g.key] = g.from
		}
	}
	var errs []error
	for _, s := range settings {
		if l.from[s.key] == "" {
			l.from[s.key] = "default"
			continue
		}
		if v := k.Get(s.key); !decode(v, s.in(&l.Config)) {
			errs = append(errs, l.wrong(invalid{s.key, s.show(v), want(s.typ)}))
		}
	}
	if len(errs) == 0 {
		for _, w := range l.Validate() {
			errs = append(errs, l.wrong(w))
		}
	}
	return l, errors.Join(errs...)
}

// wrong says what w is and, if it was set, where.
func (l *loaded) wrong(w invalid) error {
	at := l.from[w.key] + ": "
	if l.from[w.key] == "default" {
		at = ""
	}
	return fmt.Errorf("%s%s: got %s, want %s", at, w.key, w.got, w.want)
}

// decode reads a value of YAML, or the text of a variable or flag, into field.
func decode(value any, field reflect.Value) bool {
	into := reflect.New(field.Type())
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: into.Interface(),
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
			textToMap,
			mapstructure.StringToWeakSliceHookFunc(","),
			mapstructure.StringToBasicTypeHookFunc(),
		),
	})
	if err != nil || d.Decode(value) != nil {
		return false
	}
	field.Set(into.Elem())
	return true
}

// textToMap reads "a=1,b=2".
func textToMap(from, to reflect.Type, value any) (any, error) {
	text, ok := value.(string)
	if !ok || to.Kind() != reflect.Map {
		return value, nil
	}
	m := map[string]any{}
	for pair := range strings.SplitSeq(text, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok && text != "" {
			return nil, fmt.Errorf("%q has no =", pair)
		}
		if ok {
			m[k] = v
		}
	}
	return m, nil
}

// want says in words what a setting of type t takes.
func want(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 30s"
	case t == reflect.TypeFor[Size]():
		return "a size such as 256MiB"
	case t == reflect.TypeFor[Share]():
		return "a share such as 0.3%"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "one of debug, info, warn, error"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "names and values"
	}
	return "a whole number"
}

// show writes a value for people; a secret only as being there.
func (s setting) show(v any) string {
	text := fmt.Sprint(v)
	switch {
	case text == "" || text == "[]" || text == "map[]":
		return `""`
	case s.secret:
		return "(secret)"
	case s.typ.Kind() == reflect.Slice:
		return strings.Trim(text, "[]")
	}
	return text
}

// fileLayer is what a YAML file sets. One that nobody named may be missing.
func fileLayer(path string, named bool) ([]given, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlError(path, err)
	}
	var layer []given
	var errs []error
	for _, doc := range file.Docs {
		collect(doc.Body, "", filepath.Base(path), &layer, &errs)
	}
	return layer, errors.Join(errs...)
}

// collect walks a mapping down to settings.
func collect(n ast.Node, prefix, file string, layer *[]given, errs *[]error) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		*errs = append(*errs, fmt.Errorf("%s:%d: %s: got %s, want settings below it", file, n.GetToken().Position.Line, strings.TrimSuffix(prefix, "."), n))
		return
	}
	for _, p := range pairs {
		token := p.Key.GetToken()
		key, at := prefix+token.Value, fmt.Sprintf("%s:%d", file, token.Position.Line)
		if s, ok := settingNamed(key); ok {
			var value any
			if err := yaml.NodeToValue(p.Value, &value); err != nil {
				*errs = append(*errs, fmt.Errorf("%s: %s: %w", at, key, err))
			}
			if value == nil {
				value = reflect.Zero(s.typ).Interface()
			}
			*layer = append(*layer, given{key, value, at})
			continue
		}
		isGroup := func(s setting) bool { return strings.HasPrefix(s.key, key+".") }
		if !slices.ContainsFunc(settings, isGroup) {
			*errs = append(*errs, fmt.Errorf("%s: unknown setting %q%s", at, key, didYouMean(key, names(setting.name))))
			continue
		}
		collect(p.Value, key+".", file, layer, errs)
	}
}

func (s setting) name() string { return s.key }

// names are all settings, as spelt says.
func names(spelt func(setting) string) []string {
	var all []string
	for _, s := range settings {
		all = append(all, spelt(s))
	}
	return all
}

// yamlError puts file:line:column before what the parser found.
func yamlError(path string, err error) error {
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		at := syntax.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", filepath.Base(path), at.Line, at.Column, syntax.GetMessage())
	}
	return fmt.Errorf("%s: %w", filepath.Base(path), err)
}

// envLayer is what variables that start with SEGUE_ set.
func envLayer(environ []string) ([]given, error) {
	var layer []given
	var errs []error
	slices.Sort(environ)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "SEGUE_") || name == "SEGUE_CONFIG" || strings.HasPrefix(name, "SEGUE_TEST_") {
			continue
		}
		i := slices.IndexFunc(settings, func(s setting) bool { return s.env() == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("unknown variable %s%s", name, didYouMean(name, names(setting.env))))
			continue
		}
		layer = append(layer, given{settings[i].key, value, name})
	}
	return layer, errors.Join(errs...)
}

// flagSetting is the annotation of a flag that sets a setting.
const flagSetting = "setting"

// settingFlag gives a command a flag for the setting key. It takes what the
// variable takes.
func settingFlag(flags *pflag.FlagSet, name, key, usage string) {
	s, ok := settingNamed(key)
	if !ok {
		panic("no setting " + key)
	}
	defaults := DefaultConfig()
	value := settingValue{typ: s.typ, text: strings.Trim(fmt.Sprint(s.in(&defaults).Interface()), "[]")}
	f := flags.VarPF(&value, name, "", usage)
	if s.typ.Kind() == reflect.Bool {
		f.NoOptDefVal = "true"
	}
	f.Annotations = map[string][]string{flagSetting: {key}}
}

// settingValue is the text that a flag was given; merge reads it.
type settingValue struct {
	text string
	typ  reflect.Type
}

func (v *settingValue) String() string        { return v.text }
func (v *settingValue) Set(text string) error { v.text = text; return nil }
func (v *settingValue) Type() string          { return v.typ.Kind().String() }

// flagLayer is what flags set.
func flagLayer(flags *pflag.FlagSet) (layer []given) {
	flags.Visit(func(f *pflag.Flag) {
		if key := f.Annotations[flagSetting]; key != nil {
			layer = append(layer, given{key[0], f.Value.String(), "--" + f.Name})
		}
	})
	return layer
}

// addConfigFlags are the flags that every command has.
func addConfigFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "configuration `FILE` (default "+configFile+" if it is there)")
	settingFlag(flags, "brokers", "kafka.brokers", "`HOST:PORT,…` of Kafka")
	settingFlag(flags, "prefix", "prefix", "`TEXT` before all topics and groups")
}
