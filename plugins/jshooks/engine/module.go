package engine

import (
	"encoding/json"
	"errors"
	"path"
	"strings"

	"github.com/dop251/goja"
)

// hooksRoot is what scripts see as __hooks. It names no folder.
const hooksRoot = "/pb_hooks"

// scope is one file with what it set up, in one call.
type scope struct {
	registered []registration
}

// registration is one call of on*, routerAdd, routerUse or cronAdd.
type registration struct {
	info HookInfo
	fn   goja.Callable
	mids []any // goja.Callable, *jsMiddleware or native
}

// modules are the files that a call has required.
type modules map[string]*goja.Object

// load runs an entry file in a new scope.
func (c *call) load(file string) (*scope, error) {
	if s, ok := c.scopes[file]; ok {
		return s, nil
	}
	s := &scope{}
	was := c.registering
	c.registering = s
	defer func() { c.registering = was }()
	if _, err := c.execute(file, c.gen.entries[file], modules{}); err != nil {
		return nil, c.failure(err)
	}
	c.scopes[file] = s
	return s, nil
}

// execute runs a file as a module and returns its module object.
func (c *call) execute(file string, program *goja.Program, loaded modules) (*goja.Object, error) {
	vm := c.m.vm
	c.m.broken = c.m.broken || c.gen.stains
	v, err := vm.RunProgram(program)
	if err != nil {
		return nil, err
	}
	run, ok := goja.AssertFunction(v)
	if !ok {
		return nil, errors.New("the file is not one module")
	}
	module, exports := vm.NewObject(), vm.NewObject()
	_ = module.Set("exports", exports)
	loaded[file] = module
	require := c.m.native("require", func(call goja.FunctionCall) goja.Value {
		return c.require(file, c.m.str(call.Argument(0)), loaded)
	})
	full := hooksRoot + "/" + file
	_, err = run(exports, exports, require, module, vm.ToValue(full), vm.ToValue(path.Dir(full)))
	if err != nil {
		delete(loaded, file)
		return nil, err
	}
	return module, nil
}

// require loads a module of the bundle. There is no other kind.
func (c *call) require(from, name string, loaded modules) goja.Value {
	file, ok := c.gen.resolve(path.Dir(from), name)
	if !ok {
		c.m.throw(&refusedError{name: "require(" + quote(name) + ")", reason: "Only files of the bundle can be required; there is none of this name."})
	}
	if module, ok := loaded[file]; ok {
		return module.Get("exports")
	}
	if raw, ok := c.gen.data[file]; ok {
		return c.m.toJS(raw)
	}
	module, err := c.execute(file, c.gen.modules[file], loaded)
	if err != nil {
		panic(err)
	}
	return module.Get("exports")
}

func quote(s string) string {
	raw, _ := json.Marshal(clip(s))
	return string(raw)
}

// resolve finds the file that a name means, as Node does, but never outside of the bundle.
func (g *Generation) resolve(dir, name string) (string, bool) {
	switch {
	case strings.HasPrefix(name, hooksRoot+"/"):
		return g.find(strings.TrimPrefix(name, hooksRoot))
	case strings.HasPrefix(name, "/"):
		return g.find(name)
	case strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"), name == ".", name == "..":
		return g.find(path.Join("/", dir, name))
	}
	for {
		if file, ok := g.find(path.Join("/", dir, "node_modules", name)); ok {
			return file, true
		}
		if dir == "." || dir == "/" || dir == "" {
			return "", false
		}
		dir = path.Dir(dir)
	}
}

func (g *Generation) find(name string) (string, bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, candidate := range []string{name, name + ".js", name + ".cjs", name + ".json"} {
		if g.has(candidate) {
			return candidate, true
		}
	}
	if pkg, ok := g.data[path.Join(name, "package.json")].(map[string]any); ok {
		if main, ok := pkg["main"].(string); ok && main != "" {
			main = path.Join(name, main)
			for _, candidate := range []string{main, main + ".js", path.Join(main, "index.js")} {
				if g.has(candidate) {
					return candidate, true
				}
			}
		}
	}
	for _, candidate := range []string{"index.js", "index.json"} {
		if candidate = path.Join(name, candidate); g.has(candidate) {
			return candidate, true
		}
	}
	return "", false
}

func (g *Generation) has(file string) bool {
	_, program := g.modules[file]
	_, data := g.data[file]
	return program || data
}
