package engine

import (
	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
)

// A class describes what scripts see of one kind of Go value. What it does not
// name does not exist: this, and not a list of what to hide, is the guard.
type class struct {
	name    string
	parent  *class
	props   map[string]prop
	methods map[string]method
}

type prop struct {
	hidden bool // from those who list the properties
	get    func(m *machine, v any) any
	set    func(m *machine, v any, to goja.Value)
}

// A method returns a Go value, which is converted by machine.toJS, and an
// error, which is thrown.
type method func(m *machine, v any, args args) (any, error)

// args are the arguments of a native call.
type args struct {
	m    *machine
	list []goja.Value
}

func (a args) at(i int) goja.Value {
	if i < len(a.list) {
		return a.list[i]
	}
	return goja.Undefined()
}

func (a args) str(i int) string {
	v := a.at(i)
	if absent(v) {
		return ""
	}
	return a.m.str(v)
}

func (a args) int(i int) int64 {
	v := a.at(i)
	if absent(v) {
		return 0
	}
	return v.ToInteger()
}

// value is an argument as data, field one that goes into a Go value: see toGo and toField.
func (a args) value(i int) any { return a.m.toGo(a.at(i)) }

func (a args) field(i int) any { return a.m.toField(a.at(i)) }

func (a args) strs(from int) []string {
	var list []string
	c := &copying{m: a.m}
	for i := from; i < len(a.list); i++ {
		list = append(list, c.strings(a.at(i))...)
	}
	return list
}

func absent(v goja.Value) bool { return v == nil || goja.IsUndefined(v) || goja.IsNull(v) }

// facade is the object behind what a script holds. goja hands it out to Go only.
type facade struct {
	m     *machine
	class *class
	value any

	// call is the call that the façade belongs to; it is dead after that.
	call *call
}

func (c *class) prop(name string) (prop, bool) {
	for ; c != nil; c = c.parent {
		if p, ok := c.props[name]; ok {
			return p, true
		}
	}
	return prop{}, false
}

func (c *class) is(other *class) bool {
	for ; c != nil; c = c.parent {
		if c == other {
			return true
		}
	}
	return false
}

// alive panics with an error in the script when the façade outlived its call.
func (f *facade) alive() {
	if r, ok := f.value.(*core.Record); ok && r == nil {
		f.m.throwType("the record is empty: fill it with one(record), or make it with new Record(collection)")
	}
	if f.call != nil && f.call.done {
		f.m.throwType(f.class.name + " was used after the call that it belongs to had ended")
	}
}

func (f *facade) Get(key string) goja.Value {
	p, ok := f.class.prop(key)
	if !ok || p.get == nil {
		return nil
	}
	f.alive()
	return f.m.toJS(p.get(f.m, f.value))
}

func (f *facade) Set(key string, to goja.Value) bool {
	p, ok := f.class.prop(key)
	if !ok || p.set == nil {
		return false
	}
	f.alive()
	p.set(f.m, f.value, to)
	return true
}

func (f *facade) Has(key string) bool {
	_, ok := f.class.prop(key)
	return ok
}

func (f *facade) Delete(string) bool { return false }

func (f *facade) Keys() []string {
	var keys []string
	for c := f.class; c != nil; c = c.parent {
		for name, p := range c.props {
			if !p.hidden {
				keys = append(keys, name)
			}
		}
	}
	return keys
}

// wrap returns the object that stands for v.
func (m *machine) wrap(c *class, v any) *goja.Object {
	o := m.vm.NewDynamicObject(&facade{m: m, class: c, value: v, call: m.call})
	if err := o.SetPrototype(m.prototype(c)); err != nil {
		panic(err)
	}
	return o
}

// unwrap returns the façade behind a value, or nil.
func unwrap(v goja.Value) *facade {
	o, ok := v.(*goja.Object)
	if !ok || o.ExportType() != facadeType {
		return nil
	}
	f, _ := o.Export().(*facade)
	return f
}

// prototype returns the frozen object with the methods of a class.
func (m *machine) prototype(c *class) *goja.Object {
	if p, ok := m.protos[c]; ok {
		return p
	}
	p := m.vm.NewObject()
	if c.parent != nil {
		_ = p.SetPrototype(m.prototype(c.parent))
	}
	for name, fn := range c.methods {
		o := m.native(name, func(call goja.FunctionCall) goja.Value {
			f := unwrap(call.This)
			if f == nil || !f.class.is(c) {
				m.throwType(c.name + "." + name + " was called on something else")
			}
			f.alive()
			v, err := fn(m, f.value, args{m: m, list: call.Arguments})
			if err != nil {
				m.throw(err)
			}
			return m.toJS(v)
		})
		m.builtin[o] = true
		_ = p.DefineDataProperty(name, o, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	}
	m.freeze(p)
	m.protos[c], m.builtin[p] = p, true
	return p
}

// refusal makes methods that throw; reason says what to use instead.
func refusals(reason string, names ...string) map[string]method {
	list := map[string]method{}
	for _, name := range names {
		list[name] = func(*machine, any, args) (any, error) {
			return nil, &refusedError{name: name, reason: reason}
		}
	}
	return list
}

func merge(maps ...map[string]method) map[string]method {
	all := map[string]method{}
	for _, list := range maps {
		for name, fn := range list {
			all[name] = fn
		}
	}
	return all
}
