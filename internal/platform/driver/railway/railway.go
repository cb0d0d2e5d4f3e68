// Package railway runs tenants on Railway, by its public GraphQL API: one service
// with one volume for each, all in one environment of one project, where the
// router reaches them over the private network.
//
//	d, err := railway.New(railway.Config{Token: token, ProjectID: p, EnvironmentID: e, Image: "ghcr.io/you/picobase:v1"})
//	err = d.Create(ctx, driver.Spec{ID: "k3x9", Name: "shop", Env: env})
//	err = d.Start(ctx, "k3x9") // http://picobase-k3x9.railway.internal:8090
//
// Railway gives a service no labels: a tenant's is found by its name. It neither
// starts nor restarts one, nor puts it to sleep: all of that is turned off, since
// the platform decides. A stopped tenant is a service whose deployment was removed,
// and each start is a new deployment.
//
// Railway does not tell with which code a process ended, so ExitCode is always -1.
//
// The driver makes no calls of its own, only those that a verb needs.
package railway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/Khan/genqlient/graphql"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

//go:generate go tool genqlient genqlient.yaml

// What Railway is told of each tenant.
const (
	// prefix begins the names of all tenants' services. Other services in the
	// environment must not begin so.
	prefix = "picobase-"

	port      = "8090"
	mountPath = "/data"

	// defaultStart listens on IPv6 too: environments made before October 2025 have
	// nothing else in their private network.
	defaultStart = "/picobase serve --dir " + mountPath + " --log-format json --http [::]:" + port
)

// Config says which project to use and how. All fields without a default are needed.
type Config struct {
	// Token is an account or workspace token of Railway.
	Token secret.String

	// ProjectID and EnvironmentID name where tenants live. The router must be in the
	// same environment.
	ProjectID     string
	EnvironmentID string

	// Image is what tenants run: PicoBase from a registry that Railway can pull from.
	Image string

	// Region places tenants that name none, in Railway's words (europe-west4-drams3a).
	// Empty leaves it to Railway.
	Region string

	// StartCommand replaces the image's entry point. The default serves /data at port
	// 8090, on IPv4 and IPv6.
	StartCommand string

	// WithoutVolumes makes tenants without a disk of their own, which are restored
	// from their replica at each start. Projects have few volumes: 10 to 20 by plan.
	WithoutVolumes bool

	// Drain is how long a tenant has to end before Railway kills it (default 40 s,
	// in whole seconds).
	Drain time.Duration

	// Poll is how often the driver looks at what it waits for, and for how long it
	// believes an answer about a tenant (default 2 s).
	Poll time.Duration

	// RequestsPerSecond bounds what the driver asks (default 8; Railway allows 10 to
	// 50 by plan, and 1,000 to 10,000 an hour).
	RequestsPerSecond float64

	// Timeout bounds one request (default 30 s).
	Timeout time.Duration

	// Endpoint of the API (default https://backboard.railway.com/graphql/v2).
	Endpoint string

	// Address returns the URL of a service by its name. The default is its address in
	// the private network.
	Address func(service string) string

	// HTTP makes the requests (default a client of its own).
	HTTP *http.Client
}

func (c *Config) setDefaults() {
	if c.StartCommand == "" {
		c.StartCommand = defaultStart
	}
	if c.Drain <= 0 {
		c.Drain = 40 * time.Second
	}
	if c.Poll <= 0 {
		c.Poll = 2 * time.Second
	}
	if c.RequestsPerSecond <= 0 {
		c.RequestsPerSecond = 8
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://backboard.railway.com/graphql/v2"
	}
	if c.Address == nil {
		c.Address = func(service string) string { return "http://" + service + ".railway.internal:" + port }
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		}}
	}
}

func (c *Config) validate() error {
	var problems []error
	need := func(isSet bool, name, what string) {
		if !isSet {
			problems = append(problems, fmt.Errorf("%s is not set: %s", name, what))
		}
	}
	need(!c.Token.IsZero(), "Token", "make one at https://railway.com/account/tokens, for the workspace of the project")
	need(c.ProjectID != "", "ProjectID", "copy it in Railway with Ctrl+K, \"Copy Project ID\"")
	need(c.EnvironmentID != "", "EnvironmentID", "copy it in Railway with Ctrl+K, \"Copy Environment ID\"")
	need(c.Image != "", "Image", "name the image that tenants run, such as ghcr.io/you/picobase:v1")
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		problems = append(problems, fmt.Errorf("the endpoint %q is not an http or https URL", c.Endpoint))
	}
	if len(problems) > 0 {
		return fmt.Errorf("railway: %w", errors.Join(problems...))
	}
	return nil
}

// Driver runs tenants on Railway. It implements driver.Driver.
type Driver struct {
	config Config
	api    graphql.Client
	locks  locks

	mu    sync.Mutex
	known map[string]known // by tenant's id; found again by listing
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver. It asks nothing of Railway yet.
func New(config Config) (*Driver, error) {
	config.setDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Driver{config: config, api: newClient(config), known: map[string]known{}}, nil
}

// Close lets go of the connections. Tenants go on.
func (d *Driver) Close() error {
	d.config.HTTP.CloseIdleConnections()
	return nil
}

func serviceName(id string) string { return prefix + id }
