// Package railwaytest is a Railway to test with: it checks every query and its
// variables against Railway's public schema, and carries them out on a small model
// whose deployments are local processes. It is for tests only.
//
//	fake := railwaytest.Start(t, railwaytest.Config{Program: fixture})
//	d, err := railway.New(railway.Config{Endpoint: fake.Endpoint(), Token: secret.New(railwaytest.Token), …, Address: fake.Address})
//
// A query that the schema does not allow fails the test. How Railway itself behaves
// is taken from its documentation; where that says nothing, the comment says so.
package railwaytest

import (
	"context"
	_ "embed" // the schema
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

//go:embed testdata/schema.graphql
var schemaText string

// Schema parses Railway's public schema.
var Schema = sync.OnceValue(func() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
})

// What the fake knows. A query for another project or with another token is refused.
const (
	Token         = "token-of-a-workspace"
	ProjectID     = "6f2c1c0e-0000-4000-8000-000000000001"
	EnvironmentID = "6f2c1c0e-0000-4000-8000-000000000002"

	// MissingImage cannot be pulled.
	MissingImage = "registry.example/missing"
)

// Config says how the fake behaves.
type Config struct {
	// Program is what deployments run, with the arguments of the start command.
	Program string

	// StepDelay is how long a deployment takes for each of its steps before its
	// process starts (default none).
	StepDelay time.Duration

	// PageSize is how much one page of a list has at most (default 100).
	PageSize int

	// RenameServices gives new services another name than was asked for.
	RenameServices bool

	// MaxVolumes is the plan's limit (default none).
	MaxVolumes int
}

// Fault is what goes wrong with a request.
type Fault struct {
	Status     int    // of the HTTP answer
	RetryAfter string // header
	GraphQL    string // message of a GraphQL error, with the status 200
	Drop       bool   // the connection is cut
	Hang       bool   // no answer comes
	Late       bool   // the request is carried out first: only its answer is lost
	Times      int    // how often (default once)
}

// Server is one Railway with one project.
type Server struct {
	t      testing.TB
	config Config
	http   *httptest.Server
	dir    string
	life   context.Context //nolint:containedctx // of the server itself

	mu       sync.Mutex
	model    model
	faults   map[string][]Fault
	requests []string // names of the operations, in order
	limit    int      // requests in the window, 0 is no limit
	window   time.Duration
	began    time.Time
	used     int
	routines sync.WaitGroup
	bodies   []string
}

// Start runs a Railway until the test ends.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	if config.PageSize == 0 {
		config.PageSize = 100
	}
	s := &Server{t: t, config: config, dir: t.TempDir(), faults: map[string][]Fault{}}
	s.model.init()
	life, end := context.WithCancel(context.Background())
	s.life = life
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.http.Close()
		end()
		s.killAll()
		s.routines.Wait()
	})
	return s
}

// Endpoint is the URL of the API.
func (s *Server) Endpoint() string { return s.http.URL + "/graphql/v2" }

// Address is where a service is reached, in the place of the private network. Like
// there, a service that does not run refuses connections.
func (s *Server) Address(service string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.model.byName(service); found != nil {
		return "http://127.0.0.1:" + strconv.Itoa(found.port)
	}
	return "http://127.0.0.1:1"
}

// Fail makes the next requests for an operation fail.
func (s *Server) Fail(operation string, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range max(1, fault.Times) {
		s.faults[operation] = append(s.faults[operation], fault)
	}
}

// Limit allows n requests in each window.
func (s *Server) Limit(n int, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.window, s.began, s.used = n, window, time.Now(), 0
}

// Requests returns the names of the operations that were asked for, and forgets them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.requests = nil }()
	return s.requests
}

// LastVariables returns the variables of the newest request for an operation.
func (s *Server) LastVariables(operation string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range slices.Backward(s.bodies) {
		var r request
		if json.Unmarshal([]byte(body), &r) == nil && r.OperationName == operation {
			return r.Variables
		}
	}
	return nil
}

type request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/graphql/v2" || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	var body json.RawMessage
	var asked request
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || json.Unmarshal(body, &asked) != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, asked.OperationName)
	s.bodies = append(s.bodies, string(body))
	fault, fails := s.takeFault(asked.OperationName)
	wait := s.overLimit()
	s.mu.Unlock()

	if wait > 0 {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Token {
		answerErrors(w, http.StatusOK, "Not Authorized")
		return
	}
	if fails && fault.Hang {
		<-r.Context().Done()
		return
	}
	if fails && !fault.Late {
		fault.answer(w)
		return
	}
	data, err := s.execute(asked)
	switch problem := (*invalidError)(nil); {
	case fails:
		fault.answer(w)
	case errors.As(err, &problem):
		s.t.Errorf("railwaytest: %s is not valid in Railway's schema: %v", asked.OperationName, problem)
		answerErrors(w, http.StatusBadRequest, problem.Error())
	case err != nil:
		answerErrors(w, http.StatusOK, err.Error())
	default:
		writeJSON(w, http.StatusOK, map[string]any{"data": data})
	}
}

func (s *Server) takeFault(operation string) (Fault, bool) {
	faults := s.faults[operation]
	if len(faults) == 0 {
		return Fault{}, false
	}
	s.faults[operation] = faults[1:]
	return faults[0], true
}

func (s *Server) overLimit() time.Duration {
	if s.limit == 0 {
		return 0
	}
	if time.Since(s.began) > s.window {
		s.began, s.used = time.Now(), 0
	}
	if s.used++; s.used > s.limit {
		return time.Until(s.began.Add(s.window))
	}
	return 0
}

func (f Fault) answer(w http.ResponseWriter) {
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.GraphQL != "" {
		answerErrors(w, http.StatusOK, f.GraphQL)
		return
	}
	http.Error(w, "<html>the edge is unwell</html>", f.Status)
}

func answerErrors(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{
		"data":   nil,
		"errors": []any{map[string]any{"message": message, "extensions": map[string]any{"code": "INTERNAL_SERVER_ERROR"}}},
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client may be gone
}

// invalidError is of a query that the schema does not allow, or an answer.
type invalidError struct{ error }

// Check reports what the schema does not allow in a query and its variables.
func Check(query string, variables map[string]any) error {
	_, _, err := check(request{Query: query, Variables: variables})
	return err
}

func check(asked request) (*ast.OperationDefinition, map[string]any, error) {
	document, problems := gqlparser.LoadQueryWithRules(Schema(), asked.Query, rules.NewDefaultRules())
	if len(problems) > 0 {
		return nil, nil, &invalidError{problems}
	}
	if len(document.Operations) != 1 {
		return nil, nil, &invalidError{fmt.Errorf("%d operations", len(document.Operations))}
	}
	operation := document.Operations[0]
	for _, name := range slices.Sorted(maps.Keys(asked.Variables)) {
		if operation.VariableDefinitions.ForName(name) == nil {
			return nil, nil, &invalidError{fmt.Errorf("the variable %s is not declared", name)}
		}
	}
	variables, err := validator.VariableValues(Schema(), operation, asked.Variables)
	if err != nil {
		return nil, nil, &invalidError{err}
	}
	if problems := deprecated(operation.SelectionSet); len(problems) > 0 {
		return nil, nil, &invalidError{problems}
	}
	return operation, variables, nil
}

// deprecated finds fields that Railway is going to take away.
func deprecated(set ast.SelectionSet) (problems gqlerror.List) {
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Definition.Directives.ForName("deprecated") != nil {
				problems = append(problems, gqlerror.Errorf("the field %s of %s is deprecated", selection.Name, selection.ObjectDefinition.Name))
			}
			problems = append(problems, deprecated(selection.SelectionSet)...)
		case *ast.FragmentSpread:
			problems = append(problems, deprecated(selection.Definition.SelectionSet)...)
		case *ast.InlineFragment:
			problems = append(problems, deprecated(selection.SelectionSet)...)
		}
	}
	return problems
}
