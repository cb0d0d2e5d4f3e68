package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tests"
)

// allClasses are the classes of façades, by the name of their variable.
func allClasses() map[string]*class {
	return map[string]*class{
		"appClass": appClass, "dbClass": dbClass, "queryClass": queryClass, "expressionClass": expressionClass, "recordClass": recordClass,
		"expandedClass": expandedClass, "collectionClass": collectionClass, "dateTimeClass": dateTimeClass, "jsonRawClass": jsonRawClass,
		"fileClass": fileClass, "settingsClass": settingsClass, "mailClientClass": mailClientClass, "mailClass": mailClass, "messageClass": messageClass,
		"clientClass": clientClass, "middlewareClass": middlewareClass, "formClass": formClass, "validationClass": validationClass,
		"loggerClass": loggerClass, "nullableClass": nullableClass, "eventClass": eventClass, "requestEventClass": requestEventClass,
		"requestInfoClass": requestInfoClass, "requestClass": requestClass, "urlClass": urlClass, "valuesClass": valuesClass,
		"headerClass": headerClass, "bodyClass": bodyClass, "responseClass": responseClass, "recordEventClass": recordEventClass,
		"recordErrorEventClass": recordErrorEventClass, "modelEventClass": modelEventClass, "modelErrorEventClass": modelErrorEventClass,
		"collectionEventClass": collectionEventClass, "collectionErrorEventClass": collectionErrorEventClass, "enrichEventClass": enrichEventClass,
		"mailerEventClass": mailerEventClass, "mailerRecordEventClass": mailerRecordEventClass, "recordRequestClass": recordRequestClass,
		"recordsListClass": recordsListClass, "collectionRequestClass": collectionRequestClass, "collectionsListClass": collectionsListClass,
		"collectionsImportClass": collectionsImportClass, "batchClass": batchClass, "authRequestClass": authRequestClass,
		"authWithPasswordClass": authWithPasswordClass, "authWithOAuth2Class": authWithOAuth2Class, "authRefreshClass": authRefreshClass,
		"authWithOTPClass": authWithOTPClass, "createOTPClass": createOTPClass, "passwordResetClass": passwordResetClass,
		"confirmPasswordResetClass": confirmPasswordResetClass, "verificationClass": verificationClass,
		"confirmVerificationClass": confirmVerificationClass, "emailChangeClass": emailChangeClass, "confirmEmailChangeClass": confirmEmailChangeClass,
		"fileDownloadClass": fileDownloadClass, "fileTokenClass": fileTokenClass, "realtimeConnectClass": realtimeConnectClass,
		"realtimeMessageClass": realtimeMessageClass, "realtimeSubscribeClass": realtimeSubscribeClass,
	}
}

// TestTypes walks what a VM offers and the definitions, each for what the other has.
func TestTypes(t *testing.T) {
	types := string(Types())
	app, err := tests.NewTestApp()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Cleanup()
	e, err := New(Config{App: app})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(e)
	if err != nil {
		t.Fatal(err)
	}

	language := goja.New().GlobalObject().GetOwnPropertyNames()
	offered := slices.DeleteFunc(m.vm.GlobalObject().GetOwnPropertyNames(), func(name string) bool {
		return slices.Contains(language, name) || name[0] == 0
	})
	// Every file has these as parameters of the function around it.
	offered = append(offered, "require", "module", "exports", "__filename", "__dirname")
	var declared []string
	for _, found := range regexp.MustCompile(`(?m)^declare (?:const|function) ([\w$]+)`).FindAllStringSubmatch(types, -1) {
		declared = append(declared, found[1])
	}
	compare(t, "globals", offered, declared)

	for _, name := range offered {
		o, ok := m.vm.Get(name).(*goja.Object)
		if !ok || name[0] != '$' && name != "console" || o.ClassName() != "Object" || unwrap(o) != nil {
			continue
		}
		if _, refused := o.Export().(*refusedNamespace); refused {
			continue
		}
		found := regexp.MustCompile(`(?ms)^declare const ` + regexp.QuoteMeta(name) + `: \{$(.*?)^\}$`).FindStringSubmatch(types)
		if found == nil {
			t.Errorf("%s has no members", name)
			continue
		}
		compare(t, name, o.GetOwnPropertyNames(), members(found[1], "  "))
	}

	interfaces := map[string][]string{}
	for _, found := range regexp.MustCompile(`(?ms)^  interface (\w+)(?: extends (\w+))? \{$(.*?)^  \}$`).FindAllStringSubmatch(types, -1) {
		interfaces[found[1]] = append(members(found[3], "    "), interfaces[found[2]]...)
	}
	delete(interfaces, "ApiError") // an Error of the language
	for variable, c := range allClasses() {
		if variable == "expandedClass" {
			continue
		}
		var names []string
		for k := c; k != nil; k = k.parent {
			names = slices.AppendSeq(names, maps.Keys(k.props))
			names = slices.AppendSeq(names, maps.Keys(k.methods))
		}
		listed, ok := interfaces[c.name]
		if !ok {
			t.Errorf("%s has no definition", c.name)
		}
		compare(t, c.name, names, listed)
		delete(interfaces, c.name)
	}
	for name := range interfaces {
		t.Errorf("%s is defined and is no class", name)
	}
}

// members are the names at one depth of a block.
func members(block, indent string) (names []string) {
	for _, found := range regexp.MustCompile(`(?m)^`+indent+`(?:readonly |get |set )?([A-Za-z]\w*)\??[(:<]`).FindAllStringSubmatch(block, -1) {
		names = append(names, found[1])
	}
	return names
}

func compare(t *testing.T, what string, offered, declared []string) {
	t.Helper()
	for _, name := range offered {
		if !slices.Contains(declared, name) {
			t.Errorf("%s: %s isn't in types.d.ts", what, name)
		}
	}
	for _, name := range declared {
		if !slices.Contains(offered, name) {
			t.Errorf("%s: %s is in types.d.ts only", what, name)
		}
	}
}

// TestAllClasses holds that allClasses has all of them.
func TestAllClasses(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	all, found := allClasses(), 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			vars, ok := d.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			for _, s := range vars.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					if strings.HasSuffix(name.Name, "Class") {
						found++
						if all[name.Name] == nil {
							t.Errorf("%s is missing", name.Name)
						}
					}
				}
			}
		}
	}
	if found != len(all) {
		t.Errorf("%d classes in the source, %d listed", found, len(all))
	}
}

// TestAllHooks holds that every hook point of PocketBase is bound or refused: an upgrade may bring new ones.
func TestAllHooks(t *testing.T) {
	app := reflect.TypeFor[core.App]()
	for i := range app.NumMethod() {
		name := app.Method(i).Name
		if !strings.HasPrefix(name, "On") {
			continue
		}
		js := "o" + name[1:]
		if slices.Contains(hookNames, js) == slices.Contains(refusedHooks, js) {
			t.Errorf("%s must be supported or refused", js)
		}
	}
}
