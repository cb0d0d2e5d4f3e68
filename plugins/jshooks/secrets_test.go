package jshooks

import (
	"net/http"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push("onRecordCreate((e) => { e.record.set('slug', $secrets.get('STRIPE_KEY')); e.next() }, 'posts')\n")
	const value = "sk_live_do_not_show"
	if got := f.call(http.MethodPut, "/api/v1/hooks/secrets/STRIPE_KEY", map[string]string{"value": value}); got.status != http.StatusNoContent {
		t.Fatalf("%+v", got)
	}
	if got := f.slug(); got != value {
		t.Errorf("the hook read %q", got)
	}
	listed := f.call(http.MethodGet, "/api/v1/hooks/secrets", nil)
	if !strings.Contains(listed.text, `"name":"STRIPE_KEY"`) || !strings.Contains(listed.text, `"updatedBy":"cli:ann"`) {
		t.Errorf("list %+v", listed)
	}
	for _, path := range []string{"/api/v1/hooks/secrets", "/api/v1/hooks/secrets/STRIPE_KEY", "/api/v1/hooks", "/api/v1/hooks/logs", "/api/v1/hooks/1"} {
		if got := f.call(http.MethodGet, path, nil); strings.Contains(got.text, value) {
			t.Errorf("%s shows the value", path)
		}
	}
	if got := f.recorded(); strings.Contains(got, value) || !strings.Contains(got, "hook_secret.set hook_secret STRIPE_KEY") {
		t.Errorf("audit trail:\n%s", got)
	}

	f.call(http.MethodPut, "/api/v1/hooks/secrets/STRIPE_KEY", map[string]string{"value": "rolled"})
	if got := f.slug(); got != "rolled" {
		t.Errorf("after a change the hook read %q", got)
	}
	f.again()
	if got := f.slug(); got != "rolled" {
		t.Errorf("after a start the hook read %q", got)
	}
	if got := f.call(http.MethodDelete, "/api/v1/hooks/secrets/STRIPE_KEY", nil); got.status != http.StatusNoContent {
		t.Errorf("delete: %+v", got)
	}
	if _, ok := f.secrets.get("STRIPE_KEY"); ok {
		t.Error("a deleted secret is still there")
	}
	f.want(f.call(http.MethodDelete, "/api/v1/hooks/secrets/STRIPE_KEY", nil), http.StatusNotFound, "hooks_secret_not_found")
	for name, c := range map[string]struct{ name, value string }{
		"dash": {"A-B", "x"}, "digit": {"1A", "x"}, "long name": {strings.Repeat("A", 65), "x"},
		"empty": {"A", ""}, "long value": {"A", strings.Repeat("x", maxSecretValue+1)},
	} {
		if got := f.call(http.MethodPut, "/api/v1/hooks/secrets/"+c.name, map[string]string{"value": c.value}); got.status != http.StatusBadRequest {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestTooManySecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{idle: true})
	for i := range maxSecrets {
		name := "S" + strings.Repeat("x", i%50) + string(rune('A'+i/50))
		if got := f.call(http.MethodPut, "/api/v1/hooks/secrets/"+name, map[string]string{"value": "x"}); got.status != http.StatusNoContent {
			t.Fatalf("%+v", got)
		}
	}
	f.want(f.call(http.MethodPut, "/api/v1/hooks/secrets/ONE_MORE", map[string]string{"value": "x"}), http.StatusConflict, "hooks_secrets_full")
	if got := f.call(http.MethodPut, "/api/v1/hooks/secrets/SA", map[string]string{"value": "y"}); got.status != http.StatusNoContent {
		t.Errorf("a secret that is there cannot be changed: %+v", got)
	}
}

// With PocketBase's encryption key, secrets are stored encrypted; without that
// key, one that is encrypted is left out and nothing else is.
func TestSecretsAtRest(t *testing.T) { // not parallel: the environment is everybody's
	t.Setenv("PICO_TEST_ENCRYPTION", strings.Repeat("k", 32))
	f := newFixture(t, options{})
	f.call(http.MethodPut, "/api/v1/hooks/secrets/SEALED", map[string]string{"value": "in the open"})
	var stored string
	if err := f.app.ConcurrentDB().NewQuery("SELECT value FROM _pico_hook_secrets").Row(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, "open") || !strings.HasPrefix(stored, encrypted) {
		t.Errorf("stored as %q", stored)
	}
	f.again()
	if value, _ := f.secrets.get("SEALED"); value != "in the open" {
		t.Errorf("read back as %q", value)
	}
	t.Setenv("PICO_TEST_ENCRYPTION", "")
	f.call(http.MethodPut, "/api/v1/hooks/secrets/PLAIN", map[string]string{"value": "plain"})
	f.again()
	if _, ok := f.secrets.get("SEALED"); ok {
		t.Error("read without the key")
	}
	if value, _ := f.secrets.get("PLAIN"); value != "plain" || !strings.Contains(f.log.String(), "SEALED") {
		t.Errorf("%q, log:\n%s", value, f.log)
	}
}

// No collection leads to the tables: the records API does not know them.
func TestTablesAreNoCollections(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{idle: true})
	for _, table := range []string{"_pico_hooks", "_pico_hook_secrets", "_pico_hook_logs"} {
		if _, err := f.app.FindCollectionByNameOrId(table); err == nil {
			t.Errorf("%s is a collection", table)
		}
		if got := f.call(http.MethodGet, "/api/collections/"+table+"/records", nil); got.status != http.StatusNotFound {
			t.Errorf("%s: %+v", table, got)
		}
	}
}
