// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/internal/text"
)

// level reads what is to be logged now.
func (c LogConfig) level() (*slog.LevelVar, error) {
	level := new(slog.LevelVar)
	return level, c.setLevel(level)
}

func (c LogConfig) setLevel(level *slog.LevelVar) error {
	text := c.LogLevel
	if c.LogLevelFile != "" {
		b, err := os.ReadFile(c.LogLevelFile)
		if err == nil {
			text = strings.ToLower(strings.TrimSpace(string(b)))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--log-level-file: %w", err)
		}
	}
	switch text {
	case "debug", "info", "warn", "error":
		return level.UnmarshalText([]byte(text))
	}
	return fmt.Errorf("--log-level-file: %s must hold one word: debug, info, warn or error", c.LogLevelFile)
}

// newLogger writes text for people, JSON for programs.
func newLogger(w io.Writer, forPeople bool, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: inSight}
	if forPeople {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// inSight has nothing hidden in what a log says: a value from outside could make a line look like another one.
func inSight(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(text.Lines(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(text.Lines(err.Error()))
		}
	}
	return a
}

// reloadOnSignal reads certificates and log level anew on each SIGHUP. What can't be read stays as it was.
func (s *server) reloadOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				s.reload()
			case <-done:
				return
			}
		}
	}()
	s.atEnd(func() {
		signal.Stop(signals)
		close(done)
		<-ended
	})
}

func (s *server) reload() {
	if err := s.cfg.Log.setLevel(s.level); err != nil {
		s.log.Error("the log level did not change", "error", err)
	}
	if s.certificate != nil {
		if err := s.certificate.load(); err != nil {
			s.log.Error(
				"the HTTPS certificate could not be reloaded; the previous one stays in use",
				"error", err, "ends", s.certificate.ends(),
			)
			return
		}
		s.certificate.tell(s.log)
	}
	s.log.Info("configuration reloaded", "log_level", s.level.Level().String())
}

// certificate is what HTTPS shows. It can be exchanged while connections are made.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

// load reads the files, and leaves everything as it is if they are no certificate with its key.
func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf(
			"--tls-cert %s, --tls-key %s: %w; both must be PEM files, the key without a password and that of the "+
				"first certificate",
			c.certFile, c.keyFile, err,
		)
	}
	if err := files.CheckSecretFile(c.keyFile); err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) ends() time.Time { return c.current.Load().Leaf.NotAfter }

// tell says which certificate is in use, and warns of its end.
func (c *certificate) tell(log *slog.Logger) {
	leaf := c.current.Load().Leaf
	hosts := hostsOf(leaf.DNSNames, leaf.IPAddresses)
	if time.Now().After(leaf.NotAfter) {
		log.Warn(
			"the HTTPS certificate has expired: browsers and programs refuse it; replace it and "+
				"send SIGHUP",
			"hosts", hosts, "ends", leaf.NotAfter,
		)
		return
	}
	log.Info("HTTPS certificate", "hosts", hosts, "ends", leaf.NotAfter)
}

// config is TLS 1.3, and 1.2 with forward secrecy and authenticated encryption only (RFC 9325 section 4.2).
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
