package tenant

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// PocketBase writes a batch with one model that it fills again and again.
func TestForwardLogsTellsEachEntryOfABatch(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tenant, err := New(Config{DataDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"first", "second", "third"} {
		tenant.App.Logger().Error(message)
	}
	if err := tenant.Close(); err != nil { // writes what waits
		t.Fatal(err)
	}
	for _, message := range []string{"first", "second", "third"} {
		if n := strings.Count(out.String(), "msg="+message); n != 1 {
			t.Errorf("%q is told %d times in:\n%s", message, n, out.String())
		}
	}
}
