package tenant

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/plugins/apikeys"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// stopTimeout bounds the stop of all plugins together, after the drain.
const stopTimeout = 10 * time.Second

// ServeConfig says how a tenant is served.
type ServeConfig struct {
	// HTTP is the address to listen on: 127.0.0.1:8090, unix:/path for a socket, or
	// fd:3 for a listener that the process was started with. Empty with HTTPS.
	HTTP string

	// HTTPS is the address to listen on with certificates for Domains, which
	// are fetched from Let's Encrypt.
	HTTPS   string
	Domains []string

	// SuperuserEmail and SuperuserPassword make the first superuser of a folder
	// that has none.
	SuperuserEmail    string
	SuperuserPassword secret.String

	// Restoring is told how far the restore at the start is, in bytes to read.
	// May be nil.
	Restoring func(done, total int64)

	// Started is called once, when the tenant answers requests.
	Started func(Started)
}

// Started is what there is to tell people when a tenant has started.
type Started struct {
	// URL is where the tenant listens: http://127.0.0.1:8090 or unix:///path.
	URL string

	// FirstKeys holds the keys made at the first start of a folder. They cannot
	// be shown again.
	FirstKeys []apikeys.Key

	// InstallerURL lets whoever opens it make the first superuser; it is empty
	// when there is one. It works for 30 minutes.
	InstallerURL string
}

// Serve answers requests until ctx ends or the server fails, then ends the app.
// The app must be bootstrapped.
func (t *Tenant) Serve(ctx context.Context, cfg ServeConfig) error {
	if err := t.useOwnTempDir(); err != nil {
		return err
	}
	if err := t.backups.FinishBranch(); err != nil {
		return err
	}
	if err := t.createSuperuser(cfg); err != nil {
		return err
	}
	if err := t.webhooks.Adopt(); err != nil {
		return err
	}
	started := make(chan struct{})
	t.bindStarted(cfg, started)
	t.bindListener(cfg)

	failed := make(chan error, 1)
	go func() {
		address := cfg.HTTP
		if !isTCP(address) {
			address = "localhost:0" // PocketBase takes it apart, and does not listen there
		}
		failed <- apis.Serve(t.App, apis.ServeConfig{HttpAddr: address, HttpsAddr: cfg.HTTPS, CertificateDomains: cfg.Domains})
	}()
	// A stop that came while the server is still being built would miss it.
	select {
	case err := <-failed:
		return errors.Join(err, t.Close())
	case <-started:
	}
	select {
	case err := <-failed:
		return errors.Join(err, t.Close())
	case <-ctx.Done():
		err := t.Close()
		return errors.Join(err, <-failed)
	}
}

// tempDirName is the folder for uploads in progress, inside of the data folder.
const tempDirName = ".pico_tmp"

// useOwnTempDir keeps large uploads, which Go and PocketBase put into temporary
// files, inside of the data folder: the only place that a container can write.
func (t *Tenant) useOwnTempDir() error {
	dir, err := filepath.Abs(filepath.Join(t.App.DataDir(), tempDirName))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // left by a process that was killed
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", dir)
}

// bindServe adds the plugins' routes to the server, and starts what they run in
// the background once the server listens: a busy port starts nothing.
func (t *Tenant) bindServe() {
	t.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picoServe",
		Func: func(e *core.ServeEvent) error {
			t.bindRoutes(e.Router)
			if err := e.Next(); err != nil {
				return err
			}
			for _, plugin := range t.running {
				if err := plugin.Start(); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// bindStarted makes what a new folder needs, tells cfg.Started about the start,
// once, and closes started. The first keys are made when the port is surely
// ours: after a failed start nobody would ever see them.
func (t *Tenant) bindStarted(cfg ServeConfig, started chan<- struct{}) {
	var once sync.Once
	t.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id:       "picoStarted",
		Priority: -1, // outside of picoServe, so that everything has started
		Func: func(e *core.ServeEvent) error {
			// PocketBase's own installer opens a browser on the server. Ours only
			// tells the address.
			e.InstallerFunc = nil
			if err := e.Next(); err != nil {
				return err
			}
			news, err := t.prepareFolder(listenURL(e, cfg))
			if err != nil {
				return err
			}
			once.Do(func() {
				close(started)
				if cfg.Started != nil {
					cfg.Started(news)
				}
			})
			// Ready only now: whoever waits for that may look for the first keys next.
			return t.health.Start()
		},
	})
}

// prepareFolder makes the first keys and the installer's page of a folder that
// lacks them.
func (t *Tenant) prepareFolder(url string) (Started, error) {
	firstKeys, err := t.keys.CreateFirst(t.cfg.FirstKeys)
	if err != nil {
		return Started{}, fmt.Errorf("make the first API keys: %w", err)
	}
	news := Started{URL: url, FirstKeys: firstKeys}
	missing, err := t.superuserMissing()
	if err == nil && missing && !strings.HasPrefix(url, unixScheme) { // no browser opens a page there
		news.InstallerURL, err = t.installerURL(url)
	}
	return news, err
}

func listenURL(e *core.ServeEvent, cfg ServeConfig) string {
	switch {
	case len(cfg.Domains) > 0:
		return "https://" + cfg.Domains[0]
	case cfg.HTTPS != "":
		return "https://" + dialable(e.Server.Addr)
	case e.Listener.Addr().Network() == "unix":
		return unixScheme + "//" + e.Listener.Addr().String()
	case isTCP(cfg.HTTP):
		return "http://" + dialable(cfg.HTTP)
	default:
		return "http://" + dialable(e.Listener.Addr().String())
	}
}

// dialable turns an address to listen on into one to open: all addresses of
// the machine (0.0.0.0:8090, :8090) are also its loopback's.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// bindTerminate ends the tenant in order: the drain while requests still work,
// then the plugins in reverse, then PocketBase. It may run more than once.
func (t *Tenant) bindTerminate() {
	t.App.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Id:       "picoTerminate",
		Priority: priorityTerminate,
		Func: func(e *core.TerminateEvent) error {
			if !e.IsRestart {
				t.closeInherited()
			}
			// Before Next: a restart replaces the process there and never returns.
			problem := t.stop()
			if problem != nil && e.App.IsBootstrapped() {
				e.App.Logger().Error("stop was not clean", "error", problem)
			}
			return errors.Join(problem, e.Next())
		},
	})
}

func (t *Tenant) stop() error {
	problem := t.health.Drain(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	problem = errors.Join(problem, t.health.Stop(ctx))
	for i := len(t.running) - 1; i >= 0; i-- {
		problem = errors.Join(problem, t.running[i].Stop(ctx))
	}
	return problem
}

// createSuperuser makes the superuser that the configuration names, unless
// there is one already: the configuration must not undo a changed password.
func (t *Tenant) createSuperuser(cfg ServeConfig) error {
	if cfg.SuperuserEmail == "" {
		return nil
	}
	missing, err := t.superuserMissing()
	if err != nil || !missing {
		return err
	}
	superusers, err := t.App.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	record := core.NewRecord(superusers)
	record.SetEmail(cfg.SuperuserEmail)
	record.SetPassword(cfg.SuperuserPassword.Reveal())
	if err := t.App.Save(record); err != nil {
		return fmt.Errorf("first superuser from PICOBASE_SUPERUSER_EMAIL and PICOBASE_SUPERUSER_PASSWORD: %w", err)
	}
	return nil
}

func (t *Tenant) superuserMissing() (bool, error) {
	total, err := t.App.CountRecords(core.CollectionNameSuperusers,
		dbx.Not(dbx.HashExp{"email": core.DefaultInstallerEmail}))
	return total == 0, err
}

// installerURL returns PocketBase's own page for making the first superuser.
func (t *Tenant) installerURL(baseURL string) (string, error) {
	superusers, err := t.App.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return "", err
	}
	record, err := t.App.FindAuthRecordByEmail(superusers, core.DefaultInstallerEmail)
	if err != nil {
		record = core.NewRecord(superusers)
		record.SetEmail(core.DefaultInstallerEmail)
		record.SetRandomPassword()
		if err := t.App.Save(record); err != nil {
			return "", err
		}
	}
	token, err := record.NewStaticAuthToken(30 * time.Minute)
	if err != nil {
		return "", err
	}
	return baseURL + "/_/#/pbinstall/" + token, nil
}
