// Package routes is what the platform and its routers tell each other: which host
// names belong to which project, and where that project is now.
//
// A router reads Path, a stream of one JSON Message a line: begin, a put for every
// project, end, and from then on a put or remove for whatever changes, with a ping
// when nothing does. A router that loses the stream keeps what it has, connects
// again and gets the whole table again; what was not put between begin and end is
// gone. Both sides name themselves by a token that they share.
//
//	GET  /api/platform/v1/routes                  the stream
//	POST /api/platform/v1/routes/{project}/wake   a Route once it runs, or an error with Retry-After
//	POST /api/platform/v1/routes/activity         an Activity, at most every ActivityInterval
package routes

import "time"

// Paths of the platform's side.
const (
	Path         = "/api/platform/v1/routes"
	WakePath     = Path + "/{project}/wake"
	ActivityPath = Path + "/activity"
)

// PingInterval is how often the platform writes when nothing changes; a router
// that has read nothing for three of them connects again.
const PingInterval = 20 * time.Second

// ActivityInterval is how often a router tells who was used, if anybody was.
const ActivityInterval = 30 * time.Second

// Headers of the router's and the tenant's answers.
const (
	// HeaderForwarded is "false" on an answer to a request that no handler has seen, so
	// that any client may safely send it again.
	HeaderForwarded = "X-PicoBase-Forwarded"

	// HeaderProject names the project inside of the fleet. From outside it is dropped.
	HeaderProject = "X-PicoBase-Project"
)

// State says whether requests can be sent to a project.
type State string

// The states of a route.
const (
	Running State = "running" // URL answers
	Asleep  State = "asleep"  // a request wakes it
	Off     State = "off"     // its owner has stopped it: requests are refused
	Parked  State = "parked"  // it cannot start or may not: Message says why
)

// Route is one project as a router sees it.
type Route struct {
	Project string   `json:"project"`
	Hosts   []string `json:"hosts"` // lower case, punycode, without port or trailing dot
	State   State    `json:"state"`

	// URL while Running: http://host:port or unix:///path.
	URL string `json:"url,omitempty"`

	// Message is for the client of a project that is Off or Parked.
	Message string `json:"message,omitempty"`
}

// Op says what a Message does.
type Op string

// What messages do.
const (
	Begin  Op = "begin"
	Put    Op = "put"
	Remove Op = "remove"
	End    Op = "end"
	Ping   Op = "ping"
)

// Message is one line of the stream. Route is set for Put and Remove; Remove needs
// its Project only.
type Message struct {
	Op    Op     `json:"op"`
	Route *Route `json:"route,omitempty"`
}

// Activity tells the platform which projects a router has seen used.
type Activity struct {
	Projects map[string]Use `json:"projects"`
}

// Use is what a router saw of one project.
type Use struct {
	// Last is when its last request ended, or now while one is open.
	Last time.Time `json:"last"`

	// Open is how many requests and streams are open.
	Open int `json:"open"`
}
