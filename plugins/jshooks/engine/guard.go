package engine

import (
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"
)

// Bounds of what a native built-in may be given. It can't be interrupted, so
// each of them must be done within a fraction of a second.
const (
	maxArguments   = 50_000
	maxArrayLength = 1_000_000
	maxBuffer      = 8 << 20
	maxSplit       = 1 << 20
	maxSearch      = 1 << 30 // length of text × length of what is searched for
	maxPattern     = 10_000
	maxRegexp      = 500         // milliseconds that a regular expression may take to compile, estimated
	maxCase        = 1 << 20     // text that is made lower, upper or normal
	maxDigits      = 100_000     // text that is read as a number
	maxParsed      = 200_000     // values in a JSON text
	maxMatchWork   = 200_000_000 // length of text × size of the pattern
)

// regexpTimeout is how long one match may backtrack. goja takes a match that gave up for none, so
// one that took about as long ends the call. The clock of the matcher is coarse, and often early.
const (
	regexpTimeout = 500 * time.Millisecond
	regexpSlow    = 350 * time.Millisecond
)

func init() {
	// goja offers no other way. Nothing else in the program uses the package.
	regexp2.DefaultMatchTimeout = regexpTimeout
}

func isNative(source string) bool { return strings.HasSuffix(source, "{ [native code] }") }

// guarded wraps a built-in function: depth, interrupts, and bounds on its operands.
func (m *machine) guarded(fn *goja.Object, path string) *goja.Object {
	raw, ok := fn.Export().(func(goja.FunctionCall) goja.Value)
	if !ok {
		return fn
	}
	check := guardOf(path)
	run := func(call goja.FunctionCall) goja.Value {
		defer m.enter()()
		if check != nil {
			check(m, &call)
		}
		return raw(call)
	}
	if path == "RegExp.prototype.exec" || path == "RegExp.prototype.test" {
		run = m.timed(run)
	}
	wrapper := m.vm.ToValue(run).ToObject(m.vm)
	for _, key := range []string{"name", "length"} {
		_ = wrapper.DefineDataProperty(key, fn.Get(key), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE)
	}
	return wrapper
}

// timed ends a call whose match gave up.
func (m *machine) timed(exec func(goja.FunctionCall) goja.Value) func(goja.FunctionCall) goja.Value {
	return func(call goja.FunctionCall) goja.Value {
		started := time.Now()
		v := exec(call)
		if time.Since(started) >= regexpSlow && m.call != nil {
			file, line := m.here()
			m.call.log("error", "a regular expression took too long", file, line)
			m.call.interrupt(ErrTimeout)
			m.interrupted()
		}
		return v
	}
}

type guard func(m *machine, call *goja.FunctionCall)

func guardOf(path string) guard {
	owner, name, _ := strings.Cut(path, ".prototype.")
	switch {
	case owner == "Array" && name != "":
		if mutates[name] {
			return checkOwnArray
		}
		return checkArray
	case owner == "String" && (name == "toString" || name == "valueOf"):
		return nil // checkString would call them
	case owner == "String" && name != "":
		return checkString(name)
	case owner == "RegExp" && (name == "exec" || name == "test"): // goja's test doesn't call exec
		return checkExec
	case owner == "RegExp" && name != "":
		return checkRegExp(name)
	case path == "JSON.parse":
		return checkJSON
	case takesKeys[path]:
		return func(m *machine, call *goja.FunctionCall) {
			for _, v := range call.Arguments {
				m.fewKeys(v)
			}
		}
	case path == "Object.setPrototypeOf", path == "Reflect.setPrototypeOf":
		return func(m *machine, call *goja.FunctionCall) { m.newPrototype(call.Argument(0)) }
	case path == "valueOf": // of Object.prototype
		return func(m *machine, call *goja.FunctionCall) { m.fewKeys(call.This) }
	case path == "WeakMap.prototype.set", path == "WeakSet.prototype.add":
		return checkWeakKey
	case path == "parseInt", path == "parseFloat", path == "Number.parseInt", path == "Number.parseFloat":
		return func(m *machine, call *goja.FunctionCall) {
			call.Arguments = append([]goja.Value(nil), call.Arguments...)
			m.plain(call, 0)
			m.short(call.Argument(0), maxDigits)
		}
	case strings.HasSuffix(path, "URI"), strings.HasSuffix(path, "URIComponent"), path == "escape", path == "unescape",
		strings.HasPrefix(path, "Object."), strings.HasPrefix(path, "Reflect."), strings.HasPrefix(path, "Number."),
		strings.HasPrefix(path, "Date."), strings.HasPrefix(path, "Symbol."):
		return checkOperands
	case owner == "Uint8Array.__proto__" && name == "join":
		return checkTypedJoin
	case strings.HasPrefix(path, "Uint8Array.__proto__"):
		return func(m *machine, call *goja.FunctionCall) { m.bounded(call.Argument(0)) }
	}
	return nil
}

// takesKeys are the functions that look at each property of an object.
var takesKeys = map[string]bool{
	"Object.assign": true, "Object.keys": true, "Object.values": true, "Object.entries": true, "Object.getOwnPropertyNames": true,
	"Object.getOwnPropertyDescriptors": true, "Object.getOwnPropertySymbols": true, "Object.freeze": true, "Object.seal": true,
	"Object.isFrozen": true, "Object.isSealed": true, "Object.defineProperties": true, "Object.create": true,
	"Reflect.ownKeys": true,
}

// newPrototype refuses what must keep its prototype: what all calls share, and texts as objects, whose
// check is inherited (see rewrite).
func (m *machine) newPrototype(v goja.Value) {
	m.fewKeys(v)
	if o, ok := v.(*goja.Object); ok && m.builtin[o] {
		m.throwType("the built-in objects are frozen")
	}
}

// checkWeakKey refuses the built-in objects: goja has something to clean up for each weak key and map until the key is
// gone, which these never are.
func checkWeakKey(m *machine, call *goja.FunctionCall) {
	if o, ok := call.Argument(0).(*goja.Object); ok && m.builtin[o] {
		m.throwType("a built-in object can't be a weak key")
	}
}

var mutates = map[string]bool{
	"push": true, "pop": true, "shift": true, "unshift": true, "splice": true,
	"reverse": true, "fill": true, "copyWithin": true,
}

// bounded refuses an object whose length a native loop could not walk: a sparse array, or
// a getter that answers something else the second time.
func (m *machine) bounded(v goja.Value) {
	o, ok := v.(*goja.Object)
	if !ok {
		return
	}
	if o.ClassName() != "Array" {
		if d := m.ownLength(o); d {
			m.throwType("this function takes arrays; use Array.from first")
		}
		return
	}
	if o.Get("length").ToInteger() > maxArrayLength {
		m.throwRange("the array is too long")
	}
}

// ownLength reports whether an object that is no array says that it has a length.
func (m *machine) ownLength(o *goja.Object) bool {
	switch o.ClassName() {
	case "Arguments", "String", "Function", "ArrayBuffer":
		return false
	}
	return o.Get("length") != nil && o.Get("BYTES_PER_ELEMENT") == nil
}

func checkOwnArray(m *machine, call *goja.FunctionCall) {
	if o, ok := call.This.(*goja.Object); !ok || o.ClassName() != "Array" {
		m.throwType("this function changes arrays only")
	}
	checkArray(m, call)
}

func checkTypedJoin(m *machine, call *goja.FunctionCall) {
	call.Arguments = append([]goja.Value(nil), call.Arguments...)
	m.plain(call, 0)
	if o, ok := call.This.(*goja.Object); ok {
		if n := o.Get("length"); n != nil {
			between := m.short(call.Argument(0), maxString)
			m.product(between+1, n.ToFloat())
		}
	}
}

// checkExec bounds matches that can't time out: those of Go's own engine, which take time in
// proportion to the text and to the pattern with its counted repetitions written out.
func checkExec(m *machine, call *goja.FunctionCall) {
	call.Arguments = append([]goja.Value(nil), call.Arguments...)
	m.plain(call, 0)
	n := m.short(call.Argument(0), maxSplit)
	if o, ok := call.This.(*goja.Object); ok && n > 1000 && o.ClassName() == "RegExp" {
		source := o.Get("source").String()
		if n*(len(source)+1000*strings.Count(source, "{")) > maxMatchWork {
			m.throwRange("the text is too long for this regular expression")
		}
	}
}

func checkRegExp(name string) guard {
	return func(m *machine, call *goja.FunctionCall) {
		call.Arguments = append([]goja.Value(nil), call.Arguments...)
		switch {
		case name == "compile":
			m.short(call.Argument(0), maxPattern)
		case strings.Contains(name, "Symbol."):
			m.plain(call, 0)
			m.short(call.Argument(0), maxSplit)
		default:
			checkOperands(m, call)
		}
	}
}

// constructor wraps one whose argument says how much to allocate.
func (m *machine) constructor(name string, original *goja.Object) *goja.Object {
	construct, _ := goja.AssertConstructor(original)
	var wrapper *goja.Object
	wrapper = m.vm.ToValue(func(call goja.ConstructorCall) *goja.Object {
		defer m.enter()()
		first := call.Argument(0)
		switch o, isObject := first.(*goja.Object); {
		case name == "RegExp":
			call.Arguments = append([]goja.Value(nil), call.Arguments...)
			m.pattern(&call)
		case isObject:
			m.bounded(o)
		case first.ToFloat() > maxBuffer/8:
			m.throwRange("the buffer is too large")
		}
		m.allocating()
		target := call.NewTarget
		if target == wrapper {
			target = nil
		}
		o, err := construct(target, call.Arguments...)
		if err != nil {
			panic(err)
		}
		return o
	}).ToObject(m.vm)
	_ = wrapper.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	return wrapper
}

// pattern bounds a new regular expression. What would become text does so now.
func (m *machine) pattern(call *goja.ConstructorCall) {
	for i, v := range call.Arguments {
		if o, ok := v.(*goja.Object); ok && o.ClassName() != "RegExp" {
			call.Arguments[i] = text(o)
		}
	}
	source := call.Argument(0)
	if o, ok := source.(*goja.Object); ok {
		source = o.Get("source")
	}
	s, isText := source.(goja.String)
	flags, _ := call.Argument(1).(goja.String)
	if !isText || flags == nil {
		return
	}
	m.short(s, maxPattern)
	if m.short(flags, 100); regexpCost(s.String(), flags.String()) > maxRegexp {
		m.throwRange("the regular expression is too complex")
	}
}

func checkArray(m *machine, call *goja.FunctionCall) {
	o, ok := call.This.(*goja.Object)
	if !ok {
		// As an array, because a callback is handed the object that it would become.
		if s, ok := call.This.(goja.String); ok {
			m.short(s, maxKeys)
			call.This = m.snapshot(s.ToObject(m.vm))
		}
		return
	}
	if o.ClassName() == "Array" {
		if o.Get("length").ToInteger() > maxArrayLength {
			m.throwRange("the array is too long")
		}
		return
	}
	call.This = m.snapshot(o)
}

// snapshot copies something like an array into one, so that a native loop sees a length that
// it can't change.
func (m *machine) snapshot(o *goja.Object) goja.Value {
	n := int64(0)
	if v := o.Get("length"); v != nil {
		n = v.ToInteger()
	}
	if n > maxArguments {
		m.throwRange("the list is too long; use Array.from first")
	}
	list := make([]any, max(n, 0))
	for i := range list {
		v := o.Get(itoa(i))
		if v == nil {
			v = goja.Undefined()
		}
		list[i] = v
	}
	return m.vm.NewArray(list...)
}

func checkOperands(m *machine, call *goja.FunctionCall) {
	m.short(call.This, maxString)
	for _, v := range call.Arguments {
		m.short(v, maxString)
	}
}

// short refuses long text. Objects that become text do it in a call of their own.
func (m *machine) short(v goja.Value, limit int) int {
	s, ok := v.(goja.String)
	if !ok {
		return 0
	}
	if s.Length() > limit {
		m.throwRange("the text is too long for this function")
	}
	return s.Length()
}

func checkString(name string) guard {
	return func(m *machine, call *goja.FunctionCall) {
		// Text made by toString in the middle would not be checked.
		if o, ok := call.This.(*goja.Object); ok {
			call.This = text(o)
		}
		if len(call.Arguments) > 0 {
			call.Arguments = append([]goja.Value(nil), call.Arguments...)
		}
		checkOperands(m, call)
		n := m.short(call.This, maxString)
		switch name {
		case "repeat":
			m.product(n, number(call, 0))
		case "padStart", "padEnd":
			m.product(1, number(call, 0))
			m.plain(call, 1)
		case "normalize", "toLowerCase", "toUpperCase", "toLocaleLowerCase", "toLocaleUpperCase", "localeCompare":
			m.short(call.This, maxCase)
		case "split", "match", "matchAll", "search":
			m.short(call.This, maxSplit)
			m.searched(call, n)
		case "indexOf", "lastIndexOf", "includes", "startsWith", "endsWith":
			m.plain(call, 0)
			m.searched(call, n)
		case "replace", "replaceAll":
			m.searched(call, n)
			m.replacement(call, n)
		}
	}
}

// plain makes text of an argument now, so that what is checked is what is used.
func (m *machine) plain(call *goja.FunctionCall, i int) {
	if i < len(call.Arguments) {
		if o, ok := call.Arguments[i].(*goja.Object); ok && o.ClassName() != "RegExp" {
			call.Arguments[i] = text(o)
			m.short(call.Arguments[i], maxString)
		}
	}
}

func text(o *goja.Object) goja.Value { return o.ToString() }

func number(call *goja.FunctionCall, i int) float64 {
	if i >= len(call.Arguments) {
		return 0
	}
	call.Arguments[i] = call.Arguments[i].ToNumber()
	return call.Arguments[i].ToFloat()
}

func (m *machine) product(n int, times float64) {
	if times*float64(n) > maxString {
		m.throwRange("the text would be too long")
	}
}

func (m *machine) searched(call *goja.FunctionCall, n int) {
	if s, ok := call.Argument(0).(goja.String); ok && s.Length()*n > maxSearch {
		m.throwRange("the text is too long for this function")
	}
}

// replacement bounds what "$1" and its like may grow to.
func (m *machine) replacement(call *goja.FunctionCall, n int) {
	if o, ok := call.Argument(1).(*goja.Object); ok {
		if _, isFunction := goja.AssertFunction(o); isFunction {
			return
		}
		m.plain(call, 1)
	}
	with := call.Argument(1).String()
	matches := n + 1 // a pattern may match everywhere
	if s, ok := call.Argument(0).(goja.String); ok && s.Length() > 0 {
		matches = n/s.Length() + 1
	}
	size := float64(matches)*float64(len(with)) + float64(strings.Count(with, "$"))*float64(n)
	if strings.Contains(with, "$`") || strings.Contains(with, "$'") {
		size += float64(matches) * float64(n)
	}
	if size > 16*maxString {
		m.throwRange("the text would be too long; use a function to replace with")
	}
}

func checkJSON(m *machine, call *goja.FunctionCall) {
	if len(call.Arguments) == 0 {
		return
	}
	call.Arguments = append([]goja.Value(nil), call.Arguments...)
	if o, ok := call.Arguments[0].(*goja.Object); ok {
		call.Arguments[0] = text(o)
	}
	m.short(call.Arguments[0], maxString)
	depth, values := sizeOf(call.Arguments[0].String())
	if depth > 500 {
		m.throwRange("the text is nested too deeply")
	}
	if values > maxParsed {
		m.throwRange("the text holds too many values")
	}
}

// sizeOf returns how deep the brackets of a JSON text are nested, and about how many values it holds.
func sizeOf(s string) (deepest, values int) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			values++
		case c == '[' || c == '{':
			values++
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest, values
}
