package engine

import (
	"reflect"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/token"
	"github.com/dop251/goja/unistring"
)

// Names of what rewritten code calls. No source can say them, because a name in JavaScript holds no zero
// byte; and nothing is lost when a script finds them, because they only check.
const (
	joinName   = "\x00join"   // joins the parts of a template literal
	spreadName = "\x00spread" // checks what is spread into an object
	restName   = "\x00rest"   // a property of everything: checks what is taken apart with a rest
)

// maxJoined is how many values of a template literal are left to the VM, which joins all of them at once and
// can't be stopped meanwhile.
const maxJoined = 3

// maxKeys is how long a text may be to be taken for an object. Each character is a property then, which
// is slow and large, and one instruction for the VM.
const maxKeys = 10_000

// rewrite puts checks before the three instructions of the VM that take time and memory without a bound:
//
//	`${a}${b}${c}${d}`     becomes  "\0join"("", a, "", b, …)
//	({ ...a })             becomes  ({ ..."\0spread"(a) })
//	const { ...rest } = a  becomes  const { "\0rest": {} = 0, ...rest } = a
//	this                   becomes  "\0spread"(this), where it may be a text that was made an object
func rewrite(tree *ast.Program, strict bool) {
	checked := map[*ast.ThisExpression]bool{}
	visit(reflect.ValueOf(tree.Body), func(slot reflect.Value) {
		switch n := slot.Interface().(type) {
		case *ast.TemplateLiteral:
			if n.Tag == nil && len(n.Expressions) > maxJoined && slot.CanSet() {
				slot.Set(reflect.ValueOf(joined(n)))
			}
		case *ast.ThisExpression:
			if !strict && !checked[n] && slot.CanSet() {
				checked[n] = true
				slot.Set(reflect.ValueOf(callOf(spreadName, n.Idx, n)))
			}
		case *ast.ObjectLiteral:
			for _, p := range n.Value {
				if spread, ok := p.(*ast.SpreadElement); ok {
					spread.Expression = callOf(spreadName, spread.Idx0(), spread.Expression)
				}
			}
		case *ast.ObjectPattern:
			if n.Rest != nil {
				n.Properties = append([]ast.Property{checkedRest(n.LeftBrace)}, n.Properties...)
			}
		}
	})
}

func callOf(name string, at file.Idx, args ...ast.Expression) *ast.CallExpression {
	return &ast.CallExpression{
		Callee: &ast.Identifier{Name: unistring.String(name), Idx: at}, LeftParenthesis: at, ArgumentList: args, RightParenthesis: at,
	}
}

func joined(n *ast.TemplateLiteral) ast.Expression {
	var parts []ast.Expression
	for i, e := range n.Elements {
		parts = append(parts, &ast.StringLiteral{Idx: n.OpenQuote, Value: e.Parsed})
		if i < len(n.Expressions) {
			parts = append(parts, n.Expressions[i])
		}
	}
	return callOf(joinName, n.OpenQuote, parts...)
}

func checkedRest(at file.Idx) ast.Property {
	return &ast.PropertyKeyed{
		Key: &ast.StringLiteral{Idx: at, Value: restName}, Kind: ast.PropertyKindValue,
		Value: &ast.AssignExpression{
			Operator: token.ASSIGN, Left: &ast.ObjectPattern{LeftBrace: at, RightBrace: at}, Right: &ast.NumberLiteral{Idx: at, Value: int64(0)},
		},
	}
}

// visit calls fn for every place in the tree that holds a node. fn may replace the node.
func visit(from reflect.Value, fn func(slot reflect.Value)) {
	todo := []reflect.Value{from}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
			if v.IsNil() || v.Type() == fileType {
				v = reflect.Value{}
				break
			}
			if v.Kind() == reflect.Interface || v.CanInterface() {
				fn(v)
			}
			if v.Kind() == reflect.Interface {
				// The pointer in it is the same node.
				v = v.Elem()
				if v.Kind() != reflect.Pointer {
					break
				}
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				todo = append(todo, v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && f.Name != "DeclarationList" {
					todo = append(todo, v.Field(i))
				}
			}
		}
	}
}

// stamps reports whether a class with private members extends another. The other one's constructor may return any
// object, which gets the members then, and a built-in one would keep them beyond the call.
func stamps(tree *ast.Program) (found bool) {
	visit(reflect.ValueOf(tree.Body), func(slot reflect.Value) {
		class, ok := slot.Interface().(*ast.ClassLiteral)
		if !ok || class.SuperClass == nil {
			return
		}
		for _, element := range class.Body {
			var key ast.Expression
			switch e := element.(type) {
			case *ast.FieldDefinition:
				key = e.Key
			case *ast.MethodDefinition:
				key = e.Key
			}
			if _, ok := key.(*ast.PrivateIdentifier); ok {
				found = true
			}
		}
	})
	return found
}

// rewritten sets what rewritten code calls.
func (m *machine) rewritten() {
	m.set(joinName, m.native("join", func(call goja.FunctionCall) goja.Value {
		parts, size := make([]goja.String, len(call.Arguments)), 0
		for i, v := range call.Arguments {
			if _, ok := v.(*goja.Symbol); ok {
				m.throwType("Cannot convert a Symbol value to a string")
			}
			parts[i] = m.textOf(v)
			if size += parts[i].Length(); size > maxString {
				m.throwRange("the text is too long")
			}
		}
		var b goja.StringBuilder
		for _, s := range parts {
			b.WriteString(s)
		}
		return b.String()
	}))
	m.set(spreadName, m.native("spread", func(call goja.FunctionCall) goja.Value {
		m.fewKeys(call.Argument(0))
		return call.Argument(0)
	}))
}

// textOf is ToString of the language.
func (m *machine) textOf(v goja.Value) goja.String {
	v = v.ToString()
	if s, ok := v.(goja.String); ok {
		return s
	}
	return m.vm.ToValue(v.String()).(goja.String)
}

// fewKeys refuses a long text where an object is meant.
func (m *machine) fewKeys(v goja.Value) {
	n := 0
	switch v := v.(type) {
	case goja.String:
		n = v.Length()
	case *goja.Object:
		if v.ClassName() == "String" {
			n = textLength(v)
		}
	}
	if n > maxKeys {
		m.throwRange("the text is too long to be used as an object")
	}
}

// textLength asks a String object for its own length, which no script can change.
func textLength(o *goja.Object) int {
	if n := o.Get("length"); n != nil {
		return int(n.ToInteger())
	}
	return 0
}

// regexpCost estimates how long a regular expression takes to compile, in milliseconds. Without regard
// to case, the engine that knows lookaheads writes all the letters out that a range stands for.
func regexpCost(pattern, flags string) int {
	cost := len(pattern) / 1000
	if strings.Contains(flags, "i") {
		cost += 40*strings.Count(pattern, `\W`) + 2*strings.Count(pattern, "-")
		if strings.Contains(flags, "u") {
			cost += 30 * strings.Count(pattern, `\u{`)
		}
	}
	return cost
}
