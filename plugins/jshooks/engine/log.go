package engine

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// Limits of the log of one call.
const (
	maxLine  = 4 << 10
	maxLines = 100
)

// log writes a line. Beyond maxLines it says so once.
func (c *call) log(level, message, file string, line int) {
	c.logged++
	if c.logged > maxLines {
		if c.logged > maxLines+1 {
			return
		}
		level, message = "warn", fmt.Sprintf("more than %d lines: the rest of this call is left out", maxLines)
	}
	c.engine.cfg.Log(Entry{
		At: time.Now(), Level: level, Message: clip(message), Hook: c.hook, File: file, Line: line,
		Version: c.version(), RequestID: c.requestID,
	})
}

func (c *call) version() string {
	if c.gen == nil {
		return ""
	}
	return c.gen.version
}

// clip shortens text to what one line may hold.
func clip(s string) string {
	if len(s) <= maxLine {
		return s
	}
	s = s[:maxLine]
	for len(s) > 0 && !utf8.ValidString(s[len(s)-1:]) && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return strings.ToValidUTF8(s, "") + "…"
}

// here returns the place in the user's source that runs.
func (m *machine) here() (file string, line int) {
	for _, frame := range m.vm.CaptureCallStack(16, nil) {
		p := frame.Position()
		if strings.HasPrefix(p.Filename, sourceRoot) {
			l, _ := position(p.Line, p.Column)
			return strings.TrimPrefix(p.Filename, sourceRoot), l
		}
	}
	return "", 0
}

// console makes the global of that name.
func (m *machine) console() {
	o := m.vm.NewObject()
	for name, level := range map[string]string{
		"log": "info", "info": "info", "debug": "debug", "trace": "debug", "warn": "warn", "error": "error",
	} {
		m.hidden(o, name, m.native(name, func(call goja.FunctionCall) goja.Value {
			m.print(level, call.Arguments)
			return goja.Undefined()
		}))
	}
	m.freeze(o)
	m.set("console", o)
}

func (m *machine) print(level string, list []goja.Value) {
	c := m.call
	if c == nil || c.logged > maxLines {
		return
	}
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(m.inspect(v))
		if b.Len() > maxLine {
			break
		}
	}
	file, line := m.here()
	c.log(level, b.String(), file, line)
}

// inspect shows a value as console does. It runs no more of the script than toGo.
func (m *machine) inspect(v goja.Value) string {
	o, ok := v.(*goja.Object)
	if !ok {
		if s, ok := v.(goja.String); ok && s.Length() > maxLine {
			return s.Substring(0, maxLine).String()
		}
		return v.String()
	}
	if err, ok := m.goError(o); ok {
		return err.Error()
	}
	if o.ClassName() == "Error" {
		return m.thrown(o)
	}
	if o.ClassName() == "Function" {
		return "[function]"
	}
	if f := unwrap(o); f != nil {
		return m.inspectFacade(f)
	}
	raw, err := marshal(m.toGo(v), 0)
	if err != nil {
		return "[object " + o.ClassName() + "]"
	}
	return string(raw)
}

func (m *machine) inspectFacade(f *facade) string {
	f.alive()
	if show, ok := f.class.method("toJSON"); ok {
		v, err := show(m, f.value, args{m: m})
		if err == nil {
			if raw, err := marshal(v, 0); err == nil {
				return string(raw)
			}
		}
	}
	return "[" + f.class.name + "]"
}

func (c *class) method(name string) (method, bool) {
	for ; c != nil; c = c.parent {
		if fn, ok := c.methods[name]; ok {
			return fn, true
		}
	}
	return nil, false
}
