package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
)

// keyCheck is what checking one API key costs.
type keyCheck struct {
	nanoseconds, bytes, allocations string
}

func (k keyCheck) String() string {
	return fmt.Sprintf("%s ns, %s bytes, %s allocations", k.nanoseconds, k.bytes, k.allocations)
}

var benchmarkLine = regexp.MustCompile(`BenchmarkCheck\S*\s+\d+\s+([\d.]+) ns/op\s+(\d+) B/op\s+(\d+) allocs/op`)

// measureKeyCheck runs the Go benchmark of the key check: too short a thing to
// be seen in the load of whole requests.
func measureKeyCheck(ctx context.Context, out io.Writer) (keyCheck, error) {
	fmt.Fprintln(out, "measuring the API key check")
	output, err := exec.CommandContext(ctx, "go", "test", "-run=-", "-bench=BenchmarkCheck$", "-benchmem", "./plugins/apikeys").CombinedOutput()
	if err != nil {
		return keyCheck{}, fmt.Errorf("benchmark of the key check: %w\n%s", err, output)
	}
	return parseKeyCheck(output)
}

func parseKeyCheck(output []byte) (keyCheck, error) {
	match := benchmarkLine.FindSubmatch(output)
	if match == nil {
		return keyCheck{}, fmt.Errorf("benchmark of the key check printed no result:\n%s", output)
	}
	return keyCheck{string(match[1]), string(match[2]), string(match[3])}, nil
}
