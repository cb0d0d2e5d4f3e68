package main

import (
	"testing"
	"time"
)

func TestParseCPUTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		stat string
		want time.Duration
		bad  bool
	}{
		{name: "plain", stat: "42 (picobase) S 1 42 42 0 -1 4194560 900 0 3 0 150 50 0 0 20 0 9 0", want: 2 * time.Second},
		{name: "name with a bracket", stat: "42 (pico) base) S 1 42 42 0 -1 4194560 900 0 3 0 1 2 0 0 20 0 9 0", want: 30 * time.Millisecond},
		{name: "cut short", stat: "42 (picobase) S 1 42", bad: true},
		{name: "empty", stat: "", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseCPUTime(tt.stat)
			if (err != nil) != tt.bad || got != tt.want {
				t.Errorf("got %v, %v; want %v, error %v", got, err, tt.want, tt.bad)
			}
		})
	}
}
