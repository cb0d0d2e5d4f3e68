package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/driver/process"
)

// driverOptions is what a driver may need to know of the command line.
type driverOptions struct {
	dir    string // of the whole fleet
	logger *slog.Logger
}

// openedDriver is a driver with what the platform must know about its engine.
type openedDriver struct {
	driver.Driver
	local   bool   // asking a tenant how it is costs nothing
	routers string // where tenants see routers come from, see PICOBASE_ROUTERS

	// interval is how often the engine can be asked for all tenants (default 2 s).
	interval time.Duration

	// folder is where a tenant's data is on this machine, nil for other engines.
	folder func(id string) (string, error)
}

// drivers are the engines by the name that --driver takes.
var drivers = map[string]func(driverOptions) (openedDriver, error){
	"process": openProcessDriver,
}

func openDriver(name string, o driverOptions) (openedDriver, error) {
	open, ok := drivers[name]
	if !ok {
		return openedDriver{}, fmt.Errorf("--driver: there is no %q", name)
	}
	return open(o)
}

func openProcessDriver(o driverOptions) (openedDriver, error) {
	d, err := process.Open(process.Config{Dir: filepath.Join(o.dir, "tenants"), Logger: o.logger})
	if err != nil {
		return openedDriver{}, err
	}
	return openedDriver{Driver: d, local: true, routers: "unix", folder: d.Folder}, nil
}
