package main

import (
	"strings"
	"testing"
	"time"
)

func TestHookVerdicts(t *testing.T) {
	t.Parallel()
	res := hookResults{
		engines: []pair{{stock: sample{rate: 1000}, picobase: sample{rate: 960}}},
		peak:    [3]float64{100, 120, 90},
		attacks: []attack{
			{name: "list", calm: []float64{1, 2, 4}, first: []float64{9, 9, 9}, attacked: []float64{1.5, 4, 40}, answers: 9},
			{name: "view", calm: []float64{1}, attacked: []float64{2.1}},
			{name: "create", calm: []float64{1}, attacked: []float64{1}, failed: 1, answers: 3},
		},
	}
	want := []struct {
		met bool
		got string
	}{{true, "0.96"}, {false, "1.20"}, {true, "2.0 (1.5–10.0)"}, {false, "2.1"}, {false, "1.0, 1 of 3 failed"}}
	for i, v := range hookVerdicts(res) {
		if v.met != want[i].met || v.got != want[i].got {
			t.Errorf("%s: %q, met %t, want %q, %t", v.what, v.got, v.met, want[i].got, want[i].met)
		}
	}
}

func TestHooksMarkdown(t *testing.T) {
	t.Parallel()
	res := hookResults{
		engines: []pair{{stock: sample{rate: 1000}, picobase: sample{rate: 500}}},
		cost:    []pair{{stock: sample{rate: 2000}, picobase: sample{rate: 500}}},
		peak:    [3]float64{50, 100, 80},
		attacks: []attack{{name: "list", calm: []float64{1}, first: []float64{3}, attacked: []float64{2}, answers: 7}},
	}
	got := string(hooksMarkdown(facts{date: time.Unix(0, 0), pocketBase: "v1", cores: 2}, options{connections: 32}, res))
	for _, want := range []string{
		"2 of 3 floors are missed", "| stock jsvm, PicoBase | req/s | 1000 | 500 | 0.50 |", "| stock jsvm, PicoBase | peak memory MB | 50 | 100 | 2.00 |",
		"| PicoBase without and with the hook | req/s | 2000 | 500 | 0.25 |", "| list | 1.0 | 3.0 | 3.0 | 2.0 | 2.0 | 0 of 7 |",
		trimHook, "12 clients",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
}
