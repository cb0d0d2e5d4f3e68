package apikeys

import (
	"testing"

	"github.com/picobase/picobase/internal/apikey"
)

func BenchmarkCheck(b *testing.B) {
	raw, _ := apikey.Generate(Secret)
	_, sum, _ := apikey.Parse(raw)
	s := &snapshot{byHash: map[apikey.Hash]*entry{sum: {hash: sum}}}
	b.ReportAllocs()
	for b.Loop() {
		_, sum, ok := apikey.Parse(raw)
		if !ok || s.find(sum) == nil {
			b.Fatal("key not found")
		}
	}
}
