package engine

import (
	"errors"
	"fmt"
	"math/big"
	"path"
	"reflect"
	"sort"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
)

// Limits of a bundle. goja's parser and compiler recurse, take time in the square of the depth, and
// can't be stopped; a stack overflow of Go ends the process.
const (
	MaxFileSize   = 512 << 10
	MaxBundleSize = 8 << 20
	maxBrackets   = 500
	maxArrows     = 200
	maxLabels     = 1000
	maxNodes      = 400
	maxRegexps    = 2000 // milliseconds that the regular expressions of a file may take, estimated
)

const (
	sourceRoot   = "hooks:"
	modulePrefix = "(function (exports, require, module, __filename, __dirname) {"
	moduleSuffix = "\n})"
)

// position corrects a place for the prefix that makes a function of the file.
func position(line, column int) (int, int) {
	if line == 1 {
		column = max(column-len(modulePrefix), 1)
	}
	return line, column
}

// compile makes a program of a file, or says what is wrong with it. It reports too whether the program may leave
// something in the VM.
func compile(name string, source []byte, strict bool) (program *goja.Program, stains bool, found []Problem) {
	text := string(source)
	if problem := tooComplex(name, text); problem != nil {
		return nil, false, []Problem{*problem}
	}
	// Alone first: the prefix must not make valid what isn't.
	tree, err := parser.ParseFile(nil, sourceRoot+name, text, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, false, problems(name, err, false)
	}
	if problem := inspect(name, tree); problem != nil {
		return nil, false, []Problem{*problem}
	}
	tree, err = parser.ParseFile(nil, sourceRoot+name, modulePrefix+text+moduleSuffix, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, false, problems(name, err, true)
	}
	rewrite(tree, strict)
	stains = stamps(tree)
	program, err = goja.CompileAST(tree, strict)
	if err != nil {
		return nil, false, problems(name, err, true)
	}
	return program, stains, nil
}

// tooComplex looks for nesting before the parser does. It may count brackets in
// strings; nobody has that many.
func tooComplex(name, text string) *Problem {
	if len(text) > MaxFileSize {
		return &Problem{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d KB", MaxFileSize>>10)}
	}
	depth, arrows, colons, line, start := 0, 0, 0, 1, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n':
			line, start = line+1, i+1
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth = max(depth-1, 0)
		case '>':
			if i > 0 && text[i-1] == '=' {
				arrows++
			}
		case ':':
			colons++
		}
		switch text[i] {
		case ';', '{', '}', ',':
			arrows, colons = 0, 0
		case '?':
			colons = 0
		}
		if depth > maxBrackets || arrows > maxArrows || colons > maxLabels {
			return &Problem{File: name, Line: line, Column: i - start + 1, Message: "the code is nested too deeply"}
		}
	}
	return nil
}

var fileType = reflect.TypeFor[*file.File]()

// inspect refuses trees that the compiler would take too long for; BigInt literals, whose arithmetic
// can't be bounded; and with, which would come between a script and what rewrite calls.
func inspect(name string, tree *ast.Program) *Problem {
	type item struct {
		v     reflect.Value
		depth int
		at    file.Idx
	}
	fail := func(at file.Idx, message string) *Problem {
		p := tree.File.Position(int(at) - tree.File.Base())
		return &Problem{File: name, Line: p.Line, Column: p.Column, Message: message}
	}
	regexps := 0
	todo := []item{{v: reflect.ValueOf(tree.Body)}}
	for len(todo) > 0 {
		it := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		v := it.v
		for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
			if v.IsNil() || v.Type() == fileType {
				v = reflect.Value{}
				break
			}
			if v.Kind() == reflect.Pointer {
				if node, ok := v.Interface().(ast.Node); ok {
					it.depth++
					it.at = idxOf(node, it.at)
				}
				switch n := v.Interface().(type) {
				case *ast.NumberLiteral:
					if _, ok := n.Value.(*big.Int); ok {
						return fail(it.at, "BigInt isn't available in hooks; use numbers, or text")
					}
				case *ast.RegExpLiteral:
					cost := regexpCost(n.Pattern, n.Flags)
					if regexps += cost; cost > maxRegexp || regexps > maxRegexps {
						return fail(it.at, "the regular expressions are too complex")
					}
				case *ast.WithStatement:
					return fail(it.at, "with isn't available in hooks")
				}
			}
			v = v.Elem()
		}
		if it.depth > maxNodes {
			return fail(it.at, "the code is nested too deeply")
		}
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				todo = append(todo, item{v.Index(i), it.depth, it.at})
			}
		case reflect.Struct:
			for i := range v.NumField() {
				f := v.Type().Field(i)
				// Declarations are listed again for the compiler.
				if f.IsExported() && f.Name != "DeclarationList" {
					todo = append(todo, item{v.Field(i), it.depth, it.at})
				}
			}
		}
	}
	return nil
}

// idxOf asks a node where it is; some panic when a part is missing.
func idxOf(n ast.Node, otherwise file.Idx) (at file.Idx) {
	defer func() {
		if recover() != nil {
			at = otherwise
		}
	}()
	switch n.(type) {
	case *ast.BinaryExpression, *ast.DotExpression, *ast.CallExpression, *ast.BracketExpression,
		*ast.AssignExpression, *ast.ConditionalExpression, *ast.SequenceExpression, *ast.ExpressionStatement:
		// These ask their first part, which for a long chain would be quadratic.
		return otherwise
	}
	return n.Idx0()
}

// problems lists what the parser or the compiler found.
func problems(name string, err error, wrapped bool) []Problem {
	at := func(line, column int, message string) Problem {
		if wrapped {
			line, column = position(line, column)
		}
		return Problem{File: name, Line: line, Column: column, Message: message}
	}
	var list parser.ErrorList
	if errors.As(err, &list) {
		var found []Problem
		for _, e := range list {
			found = append(found, at(e.Position.Line, e.Position.Column, e.Message))
			if len(found) == 10 {
				break
			}
		}
		return found
	}
	var syntax *goja.CompilerSyntaxError
	if errors.As(err, &syntax) && syntax.File != nil {
		p := syntax.File.Position(syntax.Offset)
		return []Problem{at(p.Line, p.Column, syntax.Message)}
	}
	return []Problem{at(1, 1, err.Error())}
}

// entries returns the names of the entry files, in the order in which they run.
func entryFiles(b Bundle) []string {
	var names []string
	for name := range b {
		if ok, _ := path.Match("*.pb.js", name); ok {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func isModule(name string) bool {
	return !strings.HasSuffix(name, ".pb.js") && (strings.HasSuffix(name, ".js") || strings.HasSuffix(name, ".cjs"))
}
