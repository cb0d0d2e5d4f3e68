package main

import (
	"strings"
	"testing"
)

const wrkHeading = `Running 4s test @ http://127.0.0.1:40000/api/health
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.31ms    8.02ms  86.12ms   87.50%
Requests/sec:   8123.98
`

func TestParseWrk(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		out     string
		want    sample
		wantErr string
	}{
		{
			name: "good run",
			out:  wrkHeading + "bench-result requests=8000 duration_us=4000000 status_errors=0 socket_errors=0 p50_us=1500 p95_us=20000 p99_us=40500\n",
			want: sample{requests: 8000, rate: 2000, p50: 1.5, p95: 20, p99: 40.5},
		},
		{
			name:    "error answers",
			out:     "bench-result requests=10 duration_us=1000000 status_errors=3 socket_errors=1 p50_us=1 p95_us=1 p99_us=1\n",
			wantErr: "4 of 10 requests were not served (3 error answers, 1 broken or timed out)",
		},
		{
			name:    "nothing served",
			out:     "bench-result requests=0 duration_us=1000000 status_errors=0 socket_errors=0 p50_us=0 p95_us=0 p99_us=0\n",
			wantErr: "no request was served",
		},
		{
			name:    "no result line",
			out:     wrkHeading,
			wantErr: "wrk printed no result",
		},
		{
			name:    "field missing",
			out:     "bench-result requests=10 duration_us=1000000 status_errors=0 socket_errors=0 p50_us=1 p95_us=1\n",
			wantErr: "no p99_us",
		},
		{
			name:    "field not a number",
			out:     "bench-result requests=ten\n",
			wantErr: `field "requests=ten"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseWrk(tt.out)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestWorkloadsCoverEverySeededRow(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range everyRow() {
		seen[p] = true
	}
	if len(seen) != seededRows {
		t.Errorf("view reads %d rows, want %d", len(seen), seededRows)
	}
}
