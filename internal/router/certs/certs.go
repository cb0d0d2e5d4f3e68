// Package certs gets certificates for a router by ACME, for names as they are
// asked for and only for those that are allowed, and keeps them in an object store
// that any number of routers share.
//
// The work is certmagic's; this package chooses how it is used.
//
//	manager, err := certs.New(certs.Config{Store: store, Email: "ops@example.com", Allowed: router.Serves})
//	server.TLSConfig = manager.TLSConfig()
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/picobase/picobase/internal/objectstore"
)

// Config says whose certificates are got, from whom, and where they are kept.
type Config struct {
	// Store keeps certificates with their keys, the account and locks. Required.
	Store objectstore.Store

	// Allowed says whether a name may have a certificate. It gets host names in lower
	// case and punycode. Required.
	Allowed func(name string) bool

	// CA is the directory of the ACME server. Default Let's Encrypt.
	CA string

	// Roots verify the ACME server's own certificate. Default the system's.
	Roots *x509.CertPool

	// Email is told to the CA, for what concerns the account. Optional.
	Email string

	// HTTPPort and TLSPort are where the router listens, if the CA's requests to 80
	// and 443 arrive at others. Default 80 and 443.
	HTTPPort, TLSPort int

	// Logger is required.
	Logger *slog.Logger
}

// Manager gets, keeps and renews certificates.
type Manager struct {
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	cache  *certmagic.Cache
}

// New returns a manager, which renews in the background until Close.
func New(cfg Config) (*Manager, error) {
	if cfg.Store == nil || cfg.Allowed == nil || cfg.Logger == nil {
		return nil, errors.New("certs: Store, Allowed and Logger are required")
	}
	if cfg.CA == "" {
		cfg.CA = certmagic.LetsEncryptProductionCA
	}
	logger := zap.New(bridge{handler: cfg.Logger.Handler()})
	m := &Manager{}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		Logger:           logger,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: &storage{store: cfg.Store, logger: cfg.Logger},
		Logger:  logger,
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: func(_ context.Context, name string) error {
			if !cfg.Allowed(name) {
				return fmt.Errorf("no project has the name %q", name)
			}
			return nil
		}},
	})
	m.issuer = certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA: cfg.CA, Email: cfg.Email, Agreed: true, TrustedRoots: cfg.Roots,
		AltHTTPPort: cfg.HTTPPort, AltTLSALPNPort: cfg.TLSPort, Logger: logger,
	})
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	return m, nil
}

// TLSConfig answers handshakes with the certificate of the name that the client
// asks for, and gets it first if it has to.
func (m *Manager) TLSConfig() *tls.Config {
	config := m.magic.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	return config
}

// Challenges answers the CA's questions by HTTP and passes on the rest.
func (m *Manager) Challenges(next http.Handler) http.Handler {
	return m.issuer.HTTPChallengeHandler(next)
}

// Close ends the renewals.
func (m *Manager) Close() { m.cache.Stop() }
