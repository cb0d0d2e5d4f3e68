package fleet

import (
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// Status words of View beside the ones of Want.
const (
	statusStarting = "starting"
	statusStopping = "stopping"
)

// View is a project as people see it.
type View struct {
	Project

	// Status is the Want, or starting and stopping on the way there.
	Status string

	// URL is where the tenant answers inside of the fleet while it runs.
	URL string

	// Used is when it was last used, as far as is known; zero while it sleeps.
	Used time.Time
}

// View returns the project; ok is false if there is none.
func (f *Fleet) View(id string) (v View, ok bool) {
	p := f.get(id)
	if p == nil {
		return View{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v = View{Project: p.Project, Status: string(p.Want), URL: p.url}
	if p.awake != nil {
		v.Used = p.awake.used
	}
	switch {
	case p.attempt != nil, p.Want == Awake && p.url == "":
		v.Status = statusStarting
	case p.Want != Awake && len(p.work) > 0 && p.Want != Deleted:
		v.Status = statusStopping
	}
	return v, true
}

// Running counts the projects of an organization that run or are about to.
func (f *Fleet) Running(organization string) (n int) {
	for _, p := range f.all() {
		p.mu.Lock()
		if p.Want == Awake && p.Organization == organization {
			n++
		}
		p.mu.Unlock()
	}
	return n
}

// Rename changes what a project is called and where it is reached.
func (f *Fleet) Rename(id, name string, hosts []string) {
	p := f.get(id)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Name, p.Hosts = name, hosts
	f.publish(p)
}

// Used notes what a router has seen of a project.
func (f *Fleet) Used(id string, last time.Time, open int) {
	p := f.get(id)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awake == nil {
		return
	}
	// A router's clock must not keep a tenant awake for ever.
	if now := f.cfg.Now(); last.After(now) {
		last = now
	}
	if last.After(p.awake.used) {
		p.awake.used = last
	}
	p.awake.openUntil = time.Time{}
	if open > 0 {
		p.awake.openUntil = f.cfg.Now().Add(openHolds)
	}
}

// openHolds is how long a router's word counts that requests are open. It repeats
// it as long as they are; one that was killed would keep the project awake for ever.
const openHolds = 3 * routes.ActivityInterval

// publish puts the project's present route into the table. The caller holds p.mu.
func (f *Fleet) publish(p *project) {
	route := routes.Route{Project: p.ID, Hosts: p.Hosts}
	switch p.Want {
	case Deleted:
		f.cfg.Routes.Remove(p.ID)
		return
	case Off:
		route.State, route.Message = routes.Off, "This project is stopped. Its owner can start it."
	case Parked:
		route.State, route.Message = routes.Parked, "This project cannot start. Its owner finds the reason in its logs."
	default:
		route.State = routes.Asleep // to be woken, also while it starts
		if p.Want == Awake && p.url != "" {
			route.State, route.URL = routes.Running, p.url
		}
	}
	f.cfg.Routes.Put(route)
}
