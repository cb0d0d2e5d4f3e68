// Package internal_test holds the import rule of docs/ARCHITECTURE.md.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/picobase/picobase/"

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	// TestImports and XTestImports count too: a test is code.
	TestImports, XTestImports []string
}

// leaves may be imported by everything and import none of the rest.
var leaves = []string{"apierr", "apikey", "backupzip", "child", "config", "disk", "envfile", "event", "exitfile", "guard", "hookfiles", "httpapi", "objectstore", "routertest", "routes", "scope", "secret", "token", "watch", "worker"}

func TestImportRule(t *testing.T) {
	t.Parallel()
	packages := list(t)
	if len(packages) < 15 {
		t.Fatalf("found only %d packages", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range append(append(p.Imports, p.TestImports...), p.XTestImports...) {
			if why := forbidden(name, imported); why != "" {
				t.Errorf("%s imports %s: %s", name, imported, why)
			}
		}
		for _, dep := range p.Deps {
			if why := forbiddenDeep(name, dep); why != "" {
				t.Errorf("%s depends on %s: %s", name, dep, why)
			}
		}
	}
}

// forbidden judges a direct import.
func forbidden(name, imported string) string {
	own, isOwn := strings.CutPrefix(imported, module)
	switch {
	case !isOwn:
		return ""
	case isPlugin(name) && isPlugin(own) && folder(name) != folder(own):
		return "plugins never import each other; they meet in internal/tenant"
	case isPlugin(name) && !isLeaf(own) && !isPlugin(own) && own != "migrations":
		return "plugins import leaves only"
	case isLeaf(name) && !isLeaf(own):
		return "a leaf imports nothing but leaves"
	case within(name, "internal/router") && !isLeaf(own) && !within(own, "internal/router"):
		return "the router imports leaves only"
	case name == "hooks" && !isLeaf(own):
		return "hooks import leaves only"
	case driverOf(name) != "" && driverOf(own) != "" && driverOf(name) != driverOf(own):
		return "drivers never import each other"
	case own == "internal/tenant" && name != "" && name != strings.TrimSuffix(module, "/") && name != "internal/platform":
		return "only main and the platform build tenants"
	case own == "internal/platform" && name != "" && name != strings.TrimSuffix(module, "/"):
		return "only main builds the platform"
	}
	return ""
}

// forbiddenDeep judges everything that ends up in the package.
func forbiddenDeep(name, dep string) string {
	thin := within(name, "internal/router") || within(name, "internal/cli") || within(name, "internal/platform/driver") ||
		within(name, "internal/platform/feed") || within(name, "internal/platform/fleet") || within(name, "internal/platform/sign") ||
		name == "internal/apierr" || name == "internal/scope" || name == "internal/config"
	if thin && strings.HasPrefix(dep, "github.com/pocketbase/") {
		return "it must not need PocketBase"
	}
	return ""
}

// within reports whether name is the package dir or one below it.
func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// driverOf names the driver that a package belongs to, if it does to one.
func driverOf(name string) string {
	rest, ok := strings.CutPrefix(name, "internal/platform/driver/")
	if first, _, _ := strings.Cut(rest, "/"); ok && first != "drivertest" {
		return first
	}
	return ""
}

func isPlugin(name string) bool { return strings.HasPrefix(name, "plugins/") }

func folder(name string) string { return strings.Split(name, "/")[1] }

func isLeaf(name string) bool {
	for _, leaf := range leaves {
		if within(name, "internal/"+leaf) {
			return true
		}
	}
	return false
}

func list(t *testing.T) (packages []goPackage) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports", "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
