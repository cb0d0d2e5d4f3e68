package router

import (
	"errors"
	"fmt"

	"github.com/picobase/picobase/internal/routes"
)

// CheckRoute says what is wrong with a route that a person has written.
func CheckRoute(route routes.Route) error {
	if route.Project == "" {
		return errors.New("it has no project")
	}
	if len(route.Hosts) == 0 {
		return errors.New("it has no hosts")
	}
	for _, host := range route.Hosts {
		switch normal, ok := ownHost(host); {
		case !ok:
			return fmt.Errorf("the host %q is no host name", host)
		case normal != host:
			return fmt.Errorf("the host %q must be written %q", host, normal)
		}
	}
	switch route.State {
	case routes.Running:
		_, _, err := parseUpstream(route.URL)
		return err
	case routes.Off, routes.Parked:
		return nil
	}
	return fmt.Errorf("the state %q is none of running, off and parked", route.State)
}
