package engine

import (
	_ "embed"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// Limits of one VM.
const (
	maxCallStack   = 4000
	maxOwnDepth    = 200  // native calls of one call inside of each other: to unwind them takes the square of their number
	maxNativeDepth = 1100 // of all calls: PocketBase enriches the records of a list, up to 1000, one inside of the other
	maxCalls       = 2000 // a VM is replaced after so many, for what goja itself keeps
)

//go:embed prelude.js
var preludeSource string

// machine is one VM with its frozen globals. It runs one call at a time, with
// calls nested into that one.
type machine struct {
	engine *Engine
	vm     *goja.Runtime
	protos map[*class]*goja.Object
	call   *call // the innermost one
	lane   *lane // of the outermost one

	depth int // of native calls
	floor int // the depth at which the innermost call began

	converted int // values, by the toJS under way

	joining []any       // arrays that are being joined
	stop    atomic.Bool // an interrupt is pending; native loops look here
	broken  bool        // was interrupted, panicked or keeps something: not used again
	calls   int

	builtin    map[*goja.Object]bool         // what all calls share
	shared     map[*goja.Object]*goja.Object // façades that can't be frozen, with their prototypes
	noop       goja.Callable                 // notices an interrupt
	descriptor goja.Callable                 // Object.getOwnPropertyDescriptor
	freezer    goja.Callable                 // Object.freeze
	errorNames map[*goja.Object]string
	typeError  *goja.Object
	rangeError *goja.Object
	errorProto *goja.Object
	apiError   map[string]*goja.Object
}

func newMachine(e *Engine) (m *machine, err error) {
	m = &machine{engine: e, vm: goja.New(), protos: map[*class]*goja.Object{}, builtin: map[*goja.Object]bool{}, shared: map[*goja.Object]*goja.Object{}, apiError: map[string]*goja.Object{}}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("make a VM: %v", p)
		}
	}()
	m.vm.SetMaxCallStackSize(maxCallStack)
	m.vm.SetParserOptions(parser.WithDisableSourceMaps)
	m.typeError = m.vm.Get("TypeError").ToObject(m.vm)
	m.rangeError = m.vm.Get("RangeError").ToObject(m.vm)
	m.errorProto = m.vm.Get("Error").ToObject(m.vm).Get("prototype").ToObject(m.vm)
	noop, err := m.vm.RunString("(function () {})")
	if err != nil {
		return nil, fmt.Errorf("make a VM: %w", err)
	}
	m.noop, _ = goja.AssertFunction(noop)
	m.descriptor, _ = goja.AssertFunction(m.vm.Get("Object").ToObject(m.vm).Get("getOwnPropertyDescriptor"))
	m.freezer, _ = goja.AssertFunction(m.vm.Get("Object").ToObject(m.vm).Get("freeze"))
	m.errorNames = map[*goja.Object]string{}
	for _, name := range []string{"Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError", "AggregateError"} {
		m.errorNames[m.vm.Get(name).ToObject(m.vm).Get("prototype").ToObject(m.vm)] = name
	}
	if err := m.prelude(); err != nil {
		return nil, fmt.Errorf("run the prelude: %w", err)
	}
	return m, nil
}

func (m *machine) prelude() error {
	program, err := m.engine.preludeProgram()
	if err != nil {
		return err
	}
	v, err := m.vm.RunProgram(program)
	if err != nil {
		return err
	}
	run, ok := goja.AssertFunction(v)
	if !ok {
		return errors.New("the prelude is not a function")
	}
	text, _ := goja.AssertFunction(m.vm.Get("Function").ToObject(m.vm).Get("prototype").ToObject(m.vm).Get("toString"))
	var freeze goja.Callable
	tools := m.vm.NewObject()
	for name, fn := range map[string]func(goja.FunctionCall) goja.Value{
		"refuse": func(c goja.FunctionCall) goja.Value {
			return m.refusal(c.Argument(0).String(), c.Argument(1).String())
		},
		"native": func(c goja.FunctionCall) goja.Value {
			source, err := text(c.Argument(0))
			return m.vm.ToValue(err == nil && isNative(source.String()))
		},
		"wrap": func(c goja.FunctionCall) goja.Value {
			return m.guarded(c.Argument(0).ToObject(m.vm), c.Argument(1).String())
		},
		"constructor": func(c goja.FunctionCall) goja.Value {
			return m.constructor(c.Argument(0).String(), c.Argument(1).ToObject(m.vm))
		},
		"checkArgs": func(c goja.FunctionCall) goja.Value {
			if c.Argument(0).ToInteger() > maxArguments {
				m.throwRange("too many arguments")
			}
			return nil
		},
		"checkText": func(c goja.FunctionCall) goja.Value {
			if c.Argument(0).ToInteger() > maxString {
				m.throwRange("the text is too long")
			}
			return nil
		},
		"checkObject": func(c goja.FunctionCall) goja.Value {
			m.fewKeys(c.Argument(0))
			return nil
		},
		"builtin": func(c goja.FunctionCall) goja.Value {
			m.builtin[c.Argument(0).ToObject(m.vm)] = true
			return nil
		},
		"taint": func(goja.FunctionCall) goja.Value {
			m.broken = true
			return nil
		},
		"enter": func(c goja.FunctionCall) goja.Value {
			for _, open := range m.joining {
				if open == any(c.Argument(0)) {
					return m.vm.ToValue(true)
				}
			}
			if len(m.joining) > maxNativeDepth {
				m.throwRange("the array is nested too deeply")
			}
			m.joining = append(m.joining, c.Argument(0))
			return m.vm.ToValue(false)
		},
		"leave": func(goja.FunctionCall) goja.Value {
			m.joining = m.joining[:max(len(m.joining)-1, 0)]
			return nil
		},
		"finish": func(c goja.FunctionCall) goja.Value {
			freeze, _ = goja.AssertFunction(c.Argument(0))
			return nil
		},
	} {
		_ = tools.Set(name, fn)
	}
	bigint, err := m.vm.RunString("Object.getPrototypeOf(0n)")
	if err != nil {
		return err
	}
	_ = tools.Set("bigIntPrototype", bigint)
	if _, err := run(goja.Undefined(), tools); err != nil {
		return err
	}
	m.globals()
	m.rewritten()
	if _, err := freeze(goja.Undefined()); err != nil {
		return err
	}
	m.freeze(m.vm.GlobalObject())
	return nil
}

// native makes a function of Go that scripts can call. Every one of them goes
// through here, as every built-in one goes through guarded: see enter.
func (m *machine) native(name string, fn func(goja.FunctionCall) goja.Value) *goja.Object {
	o := m.vm.ToValue(func(call goja.FunctionCall) goja.Value {
		defer m.enter()()
		return fn(call)
	}).ToObject(m.vm)
	_ = o.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE)
	m.freeze(o)
	return o
}

// enter bounds the depth of native calls, which goja doesn't count and whose stack would
// overflow for the whole process, and stops native loops.
func (m *machine) enter() (leave func()) {
	if m.stop.Load() {
		m.interrupted()
	}
	if m.depth-m.floor >= maxOwnDepth || m.depth >= maxNativeDepth {
		m.throwRange("too many nested calls")
	}
	m.depth++
	return m.leave
}

func (m *machine) leave() { m.depth-- }

// interrupted unwinds the VM by running something in it.
func (m *machine) interrupted() {
	if _, err := m.noop(goja.Undefined()); err != nil {
		// goja takes the interrupt for done when its stack is empty, as it is while it
		// closes the iterators of a script that was stopped.
		m.vm.Interrupt(ErrTimeout)
		panic(err)
	}
}

// allocating stops the call at once when the heap has grown too much. The watchdog alone would be late for
// what allocates a lot in one instruction.
func (m *machine) allocating() {
	if m.call != nil && m.engine.watch.exceeded() {
		m.call.interrupt(ErrMemory)
		m.interrupted()
	}
}

// set makes a global.
func (m *machine) set(name string, v any) {
	value := m.vm.ToValue(v)
	if o, ok := value.(*goja.Object); ok {
		m.builtin[o] = true
		if o.ExportType() != nil && o.ExportType().Kind() == reflect.Pointer && o.ClassName() == "Object" {
			m.shared[o] = o.Prototype()
		}
	}
	_ = m.vm.GlobalObject().DefineDataProperty(name, value, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_TRUE)
}

func (m *machine) freeze(o *goja.Object) {
	if m.call == nil {
		m.builtin[o] = true
	}
	if _, err := m.freezer(goja.Undefined(), o); err != nil {
		panic(err)
	}
}

// refusal is a function that throws, called or constructed.
func (m *machine) refusal(name, reason string) *goja.Object {
	return m.vm.ToValue(func(goja.ConstructorCall) *goja.Object {
		m.throw(&refusedError{name: name, reason: reason})
		return nil
	}).ToObject(m.vm)
}

func (m *machine) throwType(message string)  { m.throwOf(m.typeError, message) }
func (m *machine) throwRange(message string) { m.throwOf(m.rangeError, message) }

func (m *machine) throwOf(kind *goja.Object, message string) {
	o, err := m.vm.New(kind, m.vm.ToValue(message))
	if err != nil {
		panic(err)
	}
	panic(m.vm.ToValue(o))
}
