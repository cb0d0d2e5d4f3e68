package railway_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/Khan/genqlient/generate"

	"github.com/picobase/picobase/internal/platform/driver/railway/railwaytest"
)

func TestGeneratedIsCurrent(t *testing.T) {
	t.Parallel()
	config, err := generate.ReadAndValidateConfig("genqlient.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate.Generate(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is old (%v): run go generate ./internal/platform/driver/railway", path, err)
		}
	}
	if len(files) == 0 {
		t.Error("nothing is generated")
	}
}

// The test server must refuse what Railway would.
func TestSchemaIsEnforced(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query     string
		variables map[string]any
		isValid   bool
	}{
		"valid":                   {`query q($id: String!) { service(id: $id) { name } }`, map[string]any{"id": "a"}, true},
		"unknown field":           {`query q { service(id: "a") { colour } }`, nil, false},
		"unknown argument":        {`query q { service(id: "a", colour: "red") { name } }`, nil, false},
		"unknown input field":     {`mutation m { serviceUpdate(id: "a", input: { colour: "red" }) { id } }`, nil, false},
		"missing variable":        {`query q($id: String!) { service(id: $id) { name } }`, nil, false},
		"null for a variable":     {`query q($id: String!) { service(id: $id) { name } }`, map[string]any{"id": nil}, false},
		"undeclared variable":     {`query q { service(id: "a") { name } }`, map[string]any{"id": "a"}, false},
		"variable of other type":  {`query q($id: Int!) { service(id: $id) { name } }`, map[string]any{"id": 1.0}, false},
		"value of other type":     {`query q($n: Int!) { environment(id: "a") { serviceInstances(first: $n) { edges { cursor } } } }`, map[string]any{"n": "x"}, false},
		"object without a choice": {`query q { service(id: "a") }`, nil, false},
		"unknown enum value": {
			`mutation m { serviceInstanceUpdate(serviceId: "a", input: { restartPolicyType: SOMETIMES }) }`, nil, false,
		},
		"deprecated field": {`query q { service(id: "a") { deployments { edges { cursor } } } }`, nil, false},
	} {
		if err := railwaytest.Check(tt.query, tt.variables); (err == nil) != tt.isValid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
