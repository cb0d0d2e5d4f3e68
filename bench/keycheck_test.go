package main

import "testing"

func TestParseKeyCheck(t *testing.T) {
	t.Parallel()
	got, err := parseKeyCheck([]byte("goos: linux\nBenchmarkCheck-2   \t 2815168\t       377.7 ns/op\t       0 B/op\t       0 allocs/op\nPASS\n"))
	if err != nil || got.String() != "377.7 ns, 0 bytes, 0 allocations" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := parseKeyCheck([]byte("PASS\n")); err == nil {
		t.Error("a result without a benchmark was accepted")
	}
}
