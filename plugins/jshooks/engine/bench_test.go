package engine

import (
	"testing"

	"github.com/pocketbase/pocketbase/tests"
)

func BenchmarkNewVM(b *testing.B) {
	app, err := tests.NewTestApp()
	if err != nil {
		b.Fatal(err)
	}
	defer app.Cleanup()
	e, err := New(Config{App: app})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newMachine(e); err != nil {
			b.Fatal(err)
		}
	}
}
