package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

const (
	platformPath    = "/api/platform/v1"
	projectsPath    = platformPath + "/projects"
	defaultPlatform = "http://localhost:8080"

	// renewBefore is how long before the end of its token a project's client gets
	// another one.
	renewBefore = time.Minute
)

// platformFlag adds the flag that says which platform a command is for.
func platformFlag(cmd *cobra.Command, platform *string) {
	cmd.PersistentFlags().StringVar(platform, "platform", "",
		"URL of the platform (default $PICOBASE_PLATFORM_URL, or the one of the link, or the one that you signed in to last)")
}

// choosePlatform says which platform is meant where none of a link is.
func choosePlatform(named string, kept credentials) (string, error) {
	for _, candidate := range []string{named, os.Getenv("PICOBASE_PLATFORM_URL"), kept.Platform, defaultPlatform} {
		if candidate != "" {
			return serverURL(candidate)
		}
	}
	return "", nil
}

// openPlatform returns the client for the platform that is named, or the one of the
// link if there is a sign-in for it, or the one that is used otherwise.
func openPlatform(named string) (*Client, error) {
	kept, err := loadCredentials()
	if err != nil {
		return nil, err
	}
	if named == "" && os.Getenv("PICOBASE_PLATFORM_URL") == "" && os.Getenv("PICOBASE_TOKEN") == "" {
		linked, err := findLink()
		if err != nil {
			return nil, err
		}
		if linked != nil && kept.Platforms[linked.Platform].Token != "" {
			named = linked.Platform
		}
	}
	platform, err := choosePlatform(named, kept)
	if err != nil {
		return nil, err
	}
	return platformClient(platform, kept)
}

// openPlatformOf returns the client for the platform of a link. PICOBASE_TOKEN goes to
// the platform that its user has named, not to any that a folder's link names.
func openPlatformOf(linked *link) (*Client, error) {
	kept, err := loadCredentials()
	if err != nil {
		return nil, err
	}
	if os.Getenv("PICOBASE_TOKEN") != "" {
		own, err := choosePlatform("", kept)
		if err != nil {
			return nil, err
		}
		if own != linked.Platform {
			return nil, &Error{
				Code: ExitNotAllowed,
				Err:  fmt.Errorf("this folder is linked to a project at %s, and PICOBASE_TOKEN is for %s", linked.Platform, own),
				Hint: "If the token is to go there, set PICOBASE_PLATFORM_URL=" + linked.Platform,
			}
		}
	}
	return platformClient(linked.Platform, kept)
}

func platformClient(platform string, kept credentials) (*Client, error) {
	token := os.Getenv("PICOBASE_TOKEN")
	if token == "" {
		token = kept.Platforms[platform].Token
	}
	if token == "" {
		return nil, &Error{
			Code: ExitNotAllowed,
			Err:  fmt.Errorf("you are not signed in to %s", platform),
			Hint: "Run picobase login --platform " + platform + ", or set PICOBASE_TOKEN.",
		}
	}
	return clientWithToken(platform, token)
}

func clientWithToken(platform, token string) (*Client, error) {
	client, err := NewClient(platform, "", nil)
	if err == nil {
		client.bearer = func(context.Context) (string, error) { return token, nil }
	}
	return client, err
}

// project is a project as the platform shows it. As JSON it is what the platform sent.
type project struct {
	raw json.RawMessage
	projectFields
}

type projectFields struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	URL           string  `json:"url"`
	Status        string  `json:"status"`
	Message       string  `json:"message"`
	Created       string  `json:"created"`
	UndeleteUntil *string `json:"undeleteUntil"`
	Keys          *struct {
		Publishable string `json:"publishable"`
		Secret      string `json:"secret"`
	} `json:"keys"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *project) UnmarshalJSON(data []byte) error {
	p.raw = append(json.RawMessage(nil), data...)
	return json.Unmarshal(data, &p.projectFields)
}

// MarshalJSON implements [json.Marshaler].
func (p project) MarshalJSON() ([]byte, error) { return p.raw, nil }

func projectPath(id string) string { return projectsPath + "/" + url.PathEscape(id) }

// findProject returns the project with that name or id.
func findProject(ctx context.Context, platform *Client, named string) (project, error) {
	var answer struct {
		Items []project `json:"items"`
	}
	path := projectsPath + query(map[string]string{"name": named, "deleted": "true"})
	if err := platform.Call(ctx, http.MethodGet, path, nil, &answer); err != nil {
		return project{}, err
	}
	if len(answer.Items) > 0 {
		return answer.Items[0], nil
	}
	var found project
	err := platform.Call(ctx, http.MethodGet, projectPath(named), nil, &found)
	if ExitCode(err) == ExitNotFound {
		err = &Error{
			Code: ExitNotFound,
			Err:  fmt.Errorf("there is no project %q at %s, or you have no access to it", named, platform.base),
			Hint: "See picobase projects list.",
		}
	}
	return found, err
}

// pickProject returns the project that is named, or else the one of the link.
func pickProject(ctx context.Context, platform, named string) (*Client, project, error) {
	if named != "" {
		client, err := openPlatform(platform)
		if err != nil {
			return nil, project{}, err
		}
		found, err := findProject(ctx, client, named)
		return client, found, err
	}
	linked, err := findLink()
	if err != nil {
		return nil, project{}, err
	}
	if linked == nil || linked.Project == "" || platform != "" && trimURL(platform) != linked.Platform {
		return nil, project{}, Usage("no project is named, and this folder is not linked to one: name it, or run picobase link")
	}
	client, err := openPlatformOf(linked)
	if err != nil {
		return nil, project{}, err
	}
	found, err := findProject(ctx, client, linked.Project)
	return client, found, err
}

// targetOfProject fills the target from the project that it names.
func targetOfProject(ctx context.Context, target Target) (Target, error) {
	client, err := openPlatform("")
	if err != nil {
		return target, err
	}
	found, err := findProject(ctx, client, target.Project)
	if err != nil {
		return target, err
	}
	return actAsOwner(ctx, target, client, found.ID)
}

// actAsOwner fills the target with the URL of the project, and with tokens by which
// the platform lets its people in there.
func actAsOwner(ctx context.Context, target Target, platform *Client, id string) (Target, error) {
	tokens := &projectTokens{platform: platform, path: projectPath(id) + "/token"}
	if _, err := tokens.get(ctx); err != nil {
		return target, err
	}
	target.platform, target.Project = platform, id
	target.URL, target.bearer = tokens.url, tokens.get
	return target, nil
}

// projectTokens gets tokens for one project, which hold for minutes only.
type projectTokens struct {
	platform *Client
	path     string

	mu    sync.Mutex
	token string
	url   string    // of the project
	renew time.Time // by this machine's clock
}

func (p *projectTokens) get(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.token != "" && time.Now().Before(p.renew) {
		return p.token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := p.platform.open(ctx, http.MethodPost, p.path, nil)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token   string    `json:"token"`
		URL     string    `json:"url"`
		Expires time.Time `json:"expires"`
	}
	now := time.Now()
	// How long it holds is told by the platform's clock: this machine's may be wrong.
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		theirs = now
	}
	if err := p.platform.decode(response, &answer); err != nil {
		return "", err
	}
	p.token, p.url, p.renew = answer.Token, answer.URL, now.Add(answer.Expires.Sub(theirs)-renewBefore)
	return p.token, nil
}
