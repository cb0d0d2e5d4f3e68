package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/platform/sign"
	"github.com/spf13/cobra"
)

type devOptions struct {
	HTTP, Dir, HooksDir, MigrationsDir string
	Types, EnvFile, Run                string
	Automigrate, NoTypes, JSON         bool
	httpGiven                          bool
	serve                              []string // further flags for serve
}

// NewDev returns the command dev.
func NewDev() *cobra.Command {
	var o devOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a local project for the app in this folder, with types, env file and migrations",
		Long: "Run a local project for the app in this folder: it watches hooks and migrations, writes the types of the\n" +
			"collections whenever they change, puts its URL and publishable key into the env file, and runs the app beside it.",
		Example: "  picobase dev\n  picobase dev --run \"npm run dev\"",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Dir, o.httpGiven = cmd.Flag("dir").Value.String(), cmd.Flag("http").Changed
			for _, name := range []string{"encryptionEnv", "queryTimeout", "dev"} {
				if flag := cmd.Flag(name); flag != nil && flag.Changed {
					o.serve = append(o.serve, "--"+name+"="+flag.Value.String())
				}
			}
			return dev(cmd.Context(), o, asker{cmd: cmd, yes: yes}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.HTTP, "http", devAddress, "address to listen on (when it is busy and not given: the next free port)")
	flags.StringVar(&o.HooksDir, "hooksDir", "jsvm_hooks", "folder with JavaScript hooks, loaded again when it changes")
	flags.StringVar(&o.MigrationsDir, "migrationsDir", "pb_migrations", "folder with migrations, run at the start and when new ones come")
	flags.BoolVar(&o.Automigrate, "automigrate", true, "write a migration for each change of a collection")
	flags.StringVar(&o.Types, "types", "", "file for the types (default src/picobase.ts in a package that needs @picobase/client, src/lib/picobase.ts with SvelteKit)")
	flags.BoolVar(&o.NoTypes, "no-types", false, "write no types")
	flags.StringVar(&o.EnvFile, "env-file", ".env.local", "file for the URL and the publishable key; \"\" for none")
	flags.StringVar(&o.Run, "run", "", "a command for the shell to run beside the project, such as \"npm run dev\"; dev ends with it")
	flags.BoolVar(&yes, "yes", false, "change what is in the files without asking")
	flags.BoolVar(&o.JSON, "json", false, "print one line of JSON when the project is ready")
	return cmd
}

// devReady is what dev prints when the project is ready.
type devReady struct {
	URL            string `json:"url"`
	Dashboard      string `json:"dashboard"`
	PublishableKey string `json:"publishableKey"`
	SecretKey      string `json:"secretKey,omitempty"` // of a new folder
	InstallerURL   string `json:"installerUrl,omitempty"`
	Types          string `json:"types,omitempty"`
	EnvFile        string `json:"envFile,omitempty"`
	ReadyMS        int64  `json:"readyMs"`
}

// dev runs until ctx ends, or the app that it runs.
func dev(ctx context.Context, o devOptions, ask asker, out, messages io.Writer) (err error) {
	begun := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopHangup, again := devSignals(cancel)
	defer stopHangup()
	notes := &lockedWriter{w: messages}

	project, err := readProject(o)
	if err != nil {
		return err
	}
	keys, err := newDevKeys(o.Dir)
	if err != nil {
		return err
	}
	signer, err := sign.New()
	if err != nil {
		return err
	}
	server, err := newDevServer(o, project, signer.Public(), keys.stored, notes)
	if err != nil {
		return err
	}
	defer server.close()
	if err := server.start(ctx); err != nil {
		return server.notStarted(err)
	}
	defer server.stop(again)

	client, err := devClient(server.url, signer)
	if err != nil {
		return err
	}
	if err := keys.choose(ctx, client, project); err != nil {
		return fmt.Errorf("find a publishable key: %w", err)
	}
	ready := devReady{
		URL: server.url, Dashboard: server.url + "/_/", PublishableKey: keys.publishable, SecretKey: keys.secret,
		InstallerURL: server.installer(), Types: project.types, EnvFile: o.EnvFile,
	}
	var tag string
	if project.types != "" {
		if tag, err = devTypes(ctx, client, project.types, notes); err != nil {
			return fmt.Errorf("write the types: %w", err)
		}
	}
	ready.ReadyMS = time.Since(begun).Milliseconds()
	if err := ready.print(out, o.JSON); err != nil {
		return err
	}
	if err := project.writeFiles(o, ready, ask, notes); err != nil {
		return err
	}

	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { server.supervise(ctx) })
	work.Go(func() { tailDevHooks(ctx, client, notes) })
	if project.types != "" {
		work.Go(func() { watchDevTypes(ctx, client, project.types, tag, notes) })
	}
	if o.Run == "" {
		<-ctx.Done()
		return nil
	}
	if o.JSON {
		out = messages
	}
	return runApp(ctx, o.Run, project.variables(ready), again, out, messages)
}

// devSignals ends dev when its terminal is closed too, and returns a channel that
// is closed by a second signal: whoever sends that does not want to wait.
func devSignals(cancel func()) (stop func(), again <-chan struct{}) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	second, done := make(chan struct{}), make(chan struct{})
	go func() {
		for count := 0; ; {
			select {
			case <-done:
				return
			case <-signals:
				cancel()
				if count++; count == 2 {
					close(second)
				}
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }, second
}

// devProject is the id that dev's project has for the tokens that dev signs.
const devProject = "dev"

// devClient returns a client that signs a short token for every request, so that no
// key for dev itself has to be in the database.
func devClient(url string, signer *sign.Key) (*Client, error) {
	client, err := NewClient(url, "", nil)
	if err != nil {
		return nil, err
	}
	client.bearer = func(context.Context) (string, error) {
		token, _, err := signer.Token(sign.Claims{Project: devProject, Subject: "dev", For: time.Minute}, time.Now())
		return token, err
	}
	return client, nil
}

// devKeys finds the publishable key of the app.
type devKeys struct {
	file                string // where the last one is kept
	publishable, secret string
	stored              string // of the two, for the first start of a folder
}

// newDevKeys makes two keys, in case that the folder is new.
func newDevKeys(dir string) (*devKeys, error) {
	publishable, first, err := apikey.New(apikey.Publishable, "dev", nil)
	if err != nil {
		return nil, err
	}
	secret, second, err := apikey.New(apikey.Secret, "dev", nil)
	if err != nil {
		return nil, err
	}
	stored, err := apikey.Format([]apikey.Stored{first, second})
	return &devKeys{file: filepath.Join(dir, ".pico", "dev-key"), publishable: publishable, secret: secret, stored: stored}, err
}

// choose takes the key that the app has or that was used before, if the project
// knows it, else that of a new folder, else one that it creates.
func (k *devKeys) choose(ctx context.Context, c *Client, p devApp) error {
	kept, err := os.ReadFile(k.file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	isNew, err := works(ctx, c, k.publishable)
	if err != nil {
		return err
	}
	if !isNew {
		k.secret = ""
		var known bool
		for _, candidate := range []string{p.value(p.keyName), strings.TrimSpace(string(kept))} {
			if known, err = works(ctx, c, candidate); err != nil {
				return err
			}
			if known {
				k.publishable = candidate
				break
			}
		}
		if !known {
			var created key
			err := c.Call(ctx, http.MethodPost, keysPath, map[string]any{"kind": apikey.Publishable, "label": "dev"}, &created)
			if err != nil {
				return err
			}
			k.publishable = created.Key
		}
	}
	if string(kept) == k.publishable+"\n" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(k.file, []byte(k.publishable+"\n"), 0o600)
}

// works reports whether the project knows the publishable key.
func works(ctx context.Context, c *Client, candidate string) (bool, error) {
	if kind, _, ok := apikey.Parse(candidate); !ok || kind != apikey.Publishable {
		return false, nil
	}
	asked := &Client{base: c.base, key: candidate, http: c.http}
	err := asked.Call(ctx, http.MethodGet, "/api/health", nil, nil)
	var own *Error
	if errors.As(err, &own) && own.Code == ExitNotAllowed {
		return false, nil
	}
	return err == nil, err
}

func (r devReady) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, r)
	}
	var text strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&text, "  %-12s %s\n", label, value)
		}
	}
	fmt.Fprintf(&text, "\nThe project is ready, after %d ms.\n\n", r.ReadyMS)
	line("URL", r.URL)
	line("Dashboard", r.Dashboard)
	line("publishable", r.PublishableKey)
	line("secret", r.SecretKey)
	line("Types", r.Types)
	line("Env file", r.EnvFile)
	if r.SecretKey != "" {
		text.WriteString("\nThe secret key is for servers, and is shown this once.\n")
	}
	if r.InstallerURL != "" {
		fmt.Fprintf(&text, "\nThere is no superuser yet. Make the first one here within 30 minutes:\n\n  %s\n", r.InstallerURL)
	}
	text.WriteString("\n")
	_, err := io.WriteString(w, text.String())
	return err
}

// devTypes writes the types as typegen does, and returns their tag.
func devTypes(ctx context.Context, c *Client, path string, notes io.Writer) (string, error) {
	types, tag, err := fetchTypes(ctx, c, "")
	if err == nil {
		err = writeDevTypes(path, types, notes)
	}
	return tag, err
}

func writeDevTypes(path string, types []byte, notes io.Writer) error {
	changed, err := writeTypes(path, types)
	if changed {
		fmt.Fprintf(notes, "Wrote %s.\n", path)
	}
	return err
}

// watchDevTypes writes the types again whenever the schema changes.
func watchDevTypes(ctx context.Context, c *Client, path, tag string, notes io.Writer) {
	for {
		types, next, err := nextTypes(ctx, c, tag)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			tag = next
			err = writeDevTypes(path, types, notes)
		}
		if err != nil {
			fmt.Fprintf(notes, "Types: %v\n", err)
		}
	}
}

// tailDevHooks prints what hooks log and where they fail.
func tailDevHooks(ctx context.Context, c *Client, notes io.Writer) {
	for ctx.Err() == nil {
		// The end of one is that of the server, which comes back.
		_ = tailHookLogs(ctx, c, hooksLogsOptions{}, notes)
		select {
		case <-ctx.Done():
		case <-time.After(schemaPoll):
		}
	}
}

// lockedWriter keeps lines of several writers apart.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(data)
}
