package dir

import (
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) objectstore.Store { return New(t.TempDir() + "/root") })
}

func TestConformanceOfPrefix(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		inner := New(t.TempDir() + "/root")
		for _, key := range []string{"b-", "b.d", "b0/x"} {
			if _, err := inner.Put(t.Context(), key, strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		return objectstore.Prefix(inner, "b/")
	})
}
