package sealed

import (
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/storetest"
)

func newIdentity(t *testing.T) string {
	t.Helper()
	identity, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		store, err := New(dir.New(t.TempDir()), newIdentity(t))
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}
