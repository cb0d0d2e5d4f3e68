package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const pocketBaseModule = "github.com/pocketbase/pocketbase"

// facts is what a reader needs to judge the numbers, and no more: nothing here
// names the machine.
type facts struct {
	date       time.Time
	pocketBase string
	goVersion  string
	platform   string
	cores      int
}

// buildStock builds stock PocketBase with the flags PicoBase is built with.
func buildStock(ctx context.Context, path string, out io.Writer) error {
	fmt.Fprintln(out, "building stock PocketBase")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./bench/stock")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build stock PocketBase (run bench from the repository root): %w", err)
	}
	return nil
}

// readFacts reads versions out of the two binaries, and refuses a PicoBase
// that was built before the last PocketBase upgrade.
func readFacts(opts options) (facts, error) {
	stock, goVersion, err := builtWith(opts.stock)
	if err != nil {
		return facts{}, err
	}
	pico, _, err := builtWith(opts.picobase)
	if err != nil {
		return facts{}, fmt.Errorf("%w (run make build first)", err)
	}
	if pico != stock {
		return facts{}, fmt.Errorf("PicoBase was built with PocketBase %s, stock is %s: run make build first", pico, stock)
	}

	return facts{
		date:       time.Now(),
		pocketBase: stock,
		goVersion:  goVersion,
		platform:   runtime.GOOS + "/" + runtime.GOARCH,
		cores:      runtime.NumCPU(),
	}, nil
}

func builtWith(binary string) (pocketBase, goVersion string, err error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", binary, err)
	}
	for _, dep := range info.Deps {
		if dep.Path == pocketBaseModule {
			return dep.Version, info.GoVersion, nil
		}
	}
	return "", "", fmt.Errorf("%s was not built from PocketBase", binary)
}
