package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"time"

	"github.com/dop251/goja"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/filesystem"
	"github.com/pocketbase/pocketbase/tools/types"
)

// Values that cross between Go and a script are copied. These bound a copy, because
// both directions recurse and neither can be interrupted.
const (
	maxDepth  = 64
	maxValues = 200_000
	maxString = 8 << 20

	maxByteList = 256 << 10 // bytes that become a list of numbers, and not an ArrayBuffer
)

var (
	facadeType = reflect.TypeFor[*facade]()
	timeType   = reflect.TypeFor[time.Time]()

	exportable = map[reflect.Type]bool{
		reflect.TypeFor[goja.ArrayBuffer](): true,
		reflect.TypeFor[[]byte]():           true,
		reflect.TypeFor[string]():           true,
		reflect.TypeFor[int64]():            true,
		reflect.TypeFor[float64]():          true,
		reflect.TypeFor[bool]():             true,
	}
)

// wrapped is a Go value that becomes a façade of a named class.
type wrapped struct {
	class *class
	value any
}

// toJS converts what a façade answers. A type that it does not know becomes
// undefined: nothing gets out by accident.
func (m *machine) toJS(v any) goja.Value {
	was := m.converted
	defer func() { m.converted = was }()
	m.converted = 0
	return m.toJSAt(v, 0)
}

func (m *machine) toJSAt(v any, depth int) goja.Value {
	if m.converted++; depth > maxDepth || m.converted > maxValues {
		m.throwRange("the value is too large or nested too deeply")
	}
	switch v := v.(type) {
	case nil:
		return goja.Null()
	case goja.Value:
		return v
	case undefined:
		return goja.Undefined()
	case wrapped:
		return m.wrap(v.class, v.value)
	case bool, string, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return m.vm.ToValue(v)
	case *core.Record:
		if v == nil {
			return goja.Null()
		}
		return m.wrap(recordClass, v)
	case []*core.Record:
		return array(m, v, depth)
	case *core.Collection:
		if v == nil {
			return goja.Null()
		}
		return m.wrap(collectionClass, v)
	case []*core.Collection:
		return array(m, v, depth)
	case types.DateTime:
		return m.wrap(dateTimeClass, &v)
	case *types.DateTime:
		return m.wrap(dateTimeClass, v)
	case time.Time:
		return m.wrap(dateTimeClass, dateTime(v))
	case time.Duration:
		return m.vm.ToValue(int64(v))
	case types.GeoPoint:
		return m.object(map[string]any{"lon": v.Lon, "lat": v.Lat}, depth)
	case types.JSONRaw:
		return m.wrap(jsonRawClass, v)
	case *filesystem.File:
		return m.wrap(fileClass, v)
	case []*filesystem.File:
		return array(m, v, depth)
	case []byte:
		// A list of numbers costs much more than its bytes.
		if len(v) > maxByteList {
			return m.vm.ToValue(m.vm.NewArrayBuffer(v))
		}
		list := make([]any, len(v))
		for i, b := range v {
			list[i] = int64(b)
		}
		return m.vm.NewArray(list...)
	case []string:
		return array(m, v, depth)
	case types.JSONArray[string]:
		return array(m, v, depth)
	case types.JSONArray[any]:
		return array(m, v, depth)
	case []any:
		return array(m, v, depth)
	case []map[string]any:
		return array(m, v, depth)
	case map[string]any:
		return m.object(v, depth)
	case types.JSONMap[any]:
		return m.object(v, depth)
	case map[string]string:
		return m.object(generic(v), depth)
	case map[string][]string:
		return m.object(generic(v), depth)
	case error:
		return m.errorValue(v)
	}
	return goja.Undefined()
}

type undefined struct{}

func generic[T any](from map[string]T) map[string]any {
	to := make(map[string]any, len(from))
	for k, v := range from {
		to[k] = v
	}
	return to
}

func array[T any](m *machine, list []T, depth int) goja.Value {
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = m.toJSAt(v, depth+1)
	}
	return m.vm.NewArray(values...)
}

func (m *machine) object(from map[string]any, depth int) goja.Value {
	o := m.vm.NewObject()
	keys := make([]string, 0, len(from))
	for k := range from {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		_ = o.DefineDataProperty(k, m.toJSAt(from[k], depth+1), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
	}
	return o
}

// toGo copies a value out of the VM, as data: maps, lists, texts, numbers and bytes, all of which may be encoded.
// Getters and toString of the script may run meanwhile; what they throw passes through.
func (m *machine) toGo(v goja.Value) any { return (&copying{m: m}).value(v, 0) }

// toField is toGo for what goes into records and other Go values: records, files and errors in it stay what they are.
// It must not be encoded or printed: what is behind a façade would get out.
func (m *machine) toField(v goja.Value) any { return (&copying{m: m, keep: true}).value(v, 0) }

// copying is one copy out of the VM.
type copying struct {
	m      *machine
	keep   bool
	values int
	bytes  int
}

// text takes a text into account.
func (c *copying) text(v goja.Value) string {
	s := c.m.str(v)
	c.size(len(s))
	return s
}

func (c *copying) size(n int) {
	if c.bytes += n; c.bytes > 2*maxString {
		c.m.throwRange("the value is too large")
	}
}

func (c *copying) value(v goja.Value, depth int) any {
	c.values++
	if depth > maxDepth || c.values > maxValues {
		c.m.throwRange("the value is too large or nested too deeply")
	}
	if absent(v) {
		return nil
	}
	o, ok := v.(*goja.Object)
	if !ok {
		if s, ok := v.(goja.String); ok {
			return c.text(s)
		}
		if _, ok := v.(*goja.Symbol); ok {
			return nil
		}
		return v.Export()
	}
	if f := unwrap(v); f != nil {
		return c.facade(f)
	}
	switch {
	case o.ExportType() == timeType:
		if t, ok := o.Export().(time.Time); ok {
			return *dateTime(t)
		}
		return nil
	case o.ClassName() == "Array":
		n := c.m.length(o)
		list := make([]any, 0, min(n, 1024))
		for i := range n {
			list = append(list, c.value(o.Get(itoa(i)), depth+1))
		}
		return list
	}
	if err, ok := c.m.goError(o); ok {
		if c.keep {
			return err
		}
		return map[string]any{}
	}
	if _, ok := goja.AssertFunction(o); ok {
		return nil
	}
	// Export of anything else copies without a bound.
	if exportable[o.ExportType()] {
		switch v := o.Export().(type) {
		case goja.ArrayBuffer:
			c.size(len(v.Bytes()))
			return bytes.Clone(v.Bytes())
		case []byte:
			c.size(len(v))
			return bytes.Clone(v)
		case string:
			c.size(len(v))
			return v
		default:
			return v
		}
	}
	to := map[string]any{}
	for _, k := range o.Keys() {
		c.size(len(k))
		to[k] = c.value(o.Get(k), depth+1)
	}
	return to
}

// facade returns what may leave of a façade: the Go value itself where that is plain, else what it shows as JSON.
func (c *copying) facade(f *facade) any {
	f.alive()
	switch v := f.value.(type) {
	case *types.DateTime:
		return *v
	case types.JSONRaw:
		c.size(len(v))
		return v
	case *nullable, *form:
		return v
	case *core.Record, *filesystem.File, validation.Error, *expression:
		if c.keep {
			return v
		}
	}
	show, ok := f.class.method("toJSON")
	if !ok {
		return map[string]any{}
	}
	v, err := show(c.m, f.value, args{m: c.m})
	if err != nil {
		return nil
	}
	c.size(weigh(v))
	// Encoded here, so that it holds nothing but data.
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return types.JSONRaw(raw)
}

// str converts to a string of a bounded length.
func (m *machine) str(v goja.Value) string {
	if s, ok := v.(goja.String); ok && s.Length() > maxString {
		m.throwRange("the text is too long")
	}
	s := v.String()
	if len(s) > 4*maxString {
		m.throwRange("the text is too long")
	}
	return s
}

func (m *machine) strings(v goja.Value) []string {
	return (&copying{m: m}).strings(v)
}

func (c *copying) strings(v goja.Value) []string {
	if absent(v) {
		return nil
	}
	if o, ok := v.(*goja.Object); ok && o.ClassName() == "Array" {
		var list []string
		for i := range c.m.length(o) {
			list = append(list, c.text(o.Get(itoa(i))))
		}
		return list
	}
	return []string{c.text(v)}
}

func (m *machine) mapOf(v goja.Value) map[string]any {
	to, _ := m.toGo(v).(map[string]any)
	return to
}

// fieldsOf is mapOf for toField.
func (m *machine) fieldsOf(v goja.Value) map[string]any {
	to, _ := m.toField(v).(map[string]any)
	return to
}

func (m *machine) length(o *goja.Object) int {
	n := o.Get("length").ToInteger()
	if n > maxValues {
		m.throwRange("the array is too long")
	}
	return int(max(n, 0))
}

// decode parses JSON, within what toJS takes.
func decode(raw []byte, v any) error {
	if depth, values := sizeOf(string(raw)); depth > maxDepth || values > maxValues {
		return errors.New("the JSON is too large or nested too deeply")
	}
	return json.Unmarshal(raw, v)
}

// weigh tells about how large a value is as JSON, before anybody makes that. A text that is in it a thousand times is
// in memory once.
func weigh(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case types.JSONRaw:
		return len(v)
	case *core.Record:
		if v == nil {
			return 0
		}
		return weigh(v.PublicExport())
	case []*core.Record:
		return weighList(v)
	case []any:
		return weighList(v)
	case []string:
		return weighList(v)
	case map[string]any:
		n := 2
		for k, item := range v {
			n += len(k) + weigh(item)
		}
		return n
	}
	return 8
}

func weighList[T any](list []T) int {
	n := 2
	for _, v := range list {
		n += weigh(v)
	}
	return n
}

// fill copies data into an object or an array of the script.
func (m *machine) fill(v goja.Value, data any) {
	o, ok := v.(*goja.Object)
	if !ok {
		m.throwType("the result goes into an object or an array")
	}
	if list, ok := data.([]any); ok {
		for i, item := range list {
			_ = o.Set(itoa(i), m.toJS(item))
		}
		_ = o.Set("length", len(list))
		return
	}
	if fields, ok := data.(map[string]any); ok {
		for k, item := range fields {
			_ = o.Set(k, m.toJS(item))
		}
	}
}

// marshal encodes what toGo gave, within a bound.
func marshal(v any, limit int64) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if limit > 0 && int64(len(raw)) > limit {
		return nil, fmt.Errorf("the result of %d bytes is larger than the allowed %d", len(raw), limit)
	}
	return raw, nil
}

func itoa(i int) string { return strconv.Itoa(i) }

func dateTime(t time.Time) *types.DateTime {
	d, _ := types.ParseDateTime(t)
	return &d
}
