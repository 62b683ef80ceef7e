// SPDX-License-Identifier: AGPL-3.0-or-later

// Package web is a DICOMweb client (PS3.18): it searches (QIDO-RS), retrieves (WADO-RS) and stores (STOW-RS) with one
// server. What the server answers is judged by its content, never by its status alone, and whatever can't be shown to
// be complete is said to be incomplete. See DESIGN.md.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
)

// Config says where a server is and how to speak to it.
type Config struct {
	Root string // https://pacs.example/dicom-web, with or without a slash at the end
	Name string // of the server, in errors; empty: its host and port
	// QIDO, WADO and STOW are paths below Root, for servers that have one for each service. They may be empty.
	QIDO, WADO, STOW string
	TLS              *tls.Config // nil: TLS 1.2 or newer, with the authorities of the system
	Credentials      Credentials // nil: none
	// ConnectTimeout bounds name resolution, connecting and TLS, each; default 30 s.
	ConnectTimeout time.Duration
	// IdleTimeout bounds how long an exchange waits for the server without one byte in either direction; default 2 min.
	// Time in which the caller reads or delivers nothing doesn't count.
	IdleTimeout time.Duration
	// StoreTimeout takes its place from the last byte of what is stored until the answer begins; default and least 10
	// minutes or IdleTimeout, unless it is set. Servers may be silent for long while they index. It also bounds how long
	// bytes may come of which none is content: 1xx answers, blanks, preambles.
	StoreTimeout time.Duration
	// Guard, if not nil, is asked right before each write to the connection, from any goroutine. Its error ends the
	// connection: nothing is sent any more, and what the kernel still holds is dropped. The operation returns it.
	Guard     func() error
	Limits    Limits
	UserAgent string // default ADIT
}

// Limits bound what an answer may take. Zero values mean the default.
type Limits struct {
	JSON    int64 // bytes of one answer in JSON or XML, inflated; default 1 GiB, of which one data set is held at a time
	DataSet int   // bytes of one data set in JSON; default 16 MiB
	Depth   int   // sequences within sequences; default and most 32
	Store   int64 // bytes of an answer about what was stored; default 16 MiB
	Text    int64 // bytes of the text that comes with an error; default 1 KiB
	Answers int   // of one search, over all its pages; default 262,144
}

func (l Limits) orDefault() Limits {
	l.JSON = orDefault(l.JSON, 1<<30)
	l.DataSet = orDefault(l.DataSet, 16<<20)
	l.Depth = min(orDefault(l.Depth, 32), 32)
	l.Store = orDefault(l.Store, 16<<20)
	l.Text = orDefault(l.Text, 1<<10)
	l.Answers = orDefault(l.Answers, 1<<18)
	return l
}

func orDefault[N int | int64 | time.Duration](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

const (
	defaultConnect = 30 * time.Second
	defaultIdle    = 2 * time.Minute
	defaultStore   = 10 * time.Minute
	maxHeader      = 256 << 10 // bytes of an answer's header
	ioBuffer       = 64 << 10  // of the connection, each way
)

// Client speaks with one server. It is for one goroutine at a time, and has one connection, which it opens when it is
// needed and keeps: HTTP/2 where the server offers it.
type Client struct {
	cfg       Config
	root      *url.URL
	transport *http.Transport
	watch     *watch // of the exchange under way, and of its connection
}

// New makes a client. It opens no connection. The error says what is wrong with the configuration.
func New(cfg Config) (*Client, error) {
	root, err := parseRoot(cfg.Root)
	if err != nil {
		return nil, err
	}
	for _, prefix := range []*string{&cfg.QIDO, &cfg.WADO, &cfg.STOW} {
		if *prefix = strings.Trim(*prefix, "/"); strings.ContainsAny(*prefix, "?#") {
			return nil, errors.New("a prefix of the DICOMweb server has a query; only a path can follow its address")
		}
	}
	cfg.ConnectTimeout = orDefault(cfg.ConnectTimeout, defaultConnect)
	cfg.IdleTimeout = orDefault(cfg.IdleTimeout, defaultIdle)
	cfg.StoreTimeout = orDefault(cfg.StoreTimeout, max(defaultStore, cfg.IdleTimeout))
	cfg.Limits = cfg.Limits.orDefault()
	if cfg.UserAgent == "" {
		cfg.UserAgent = "ADIT"
	}
	c := &Client{cfg: cfg, root: root, watch: &watch{
		guard: cfg.Guard, longest: cfg.StoreTimeout, every: max(min(cfg.IdleTimeout/2, time.Second), time.Millisecond),
	}}
	trust := cfg.TLS.Clone()
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.transport = &http.Transport{
		DialContext:         c.watch.dialer(cfg.ConnectTimeout),
		TLSClientConfig:     trust,
		TLSHandshakeTimeout: cfg.ConnectTimeout,
		ForceAttemptHTTP2:   true, // a dialer of our own would switch it off
		DisableCompression:  true, // it is asked for, and bounded, where it is wanted
		MaxIdleConns:        1,
		IdleConnTimeout:     90 * time.Second,
		ReadBufferSize:      ioBuffer, WriteBufferSize: ioBuffer,
		MaxResponseHeaderBytes: maxHeader,
	}
	return c, nil
}

// parseRoot reads the address of a server. Its errors don't repeat it: there may be a password in it.
func parseRoot(text string) (*url.URL, error) {
	root, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the address of the DICOMweb server is no valid URL")
	case root.Scheme != "https" && root.Scheme != "http" || root.Hostname() == "":
		return nil, errors.New("the address of the DICOMweb server must begin with https:// or http:// and a host")
	case root.User != nil:
		return nil, errors.New("the address of the DICOMweb server has a user in it; set user and password apart")
	case root.RawQuery != "" || root.ForceQuery || root.Fragment != "":
		return nil, errors.New("the address of the DICOMweb server has a query; only host and path are allowed")
	}
	return root, nil
}

// Close ends what is open: idle connections at once, those of an exchange with it. The client may be used again.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.watch.cut()
}

// Level is what a search is for.
type Level uint8

// The levels of a search.
const (
	Study Level = iota + 1
	Series
	Instance
)

func (l Level) String() string {
	switch l {
	case Study:
		return "studies"
	case Series:
		return "series"
	case Instance:
		return "instances"
	}
	return fmt.Sprintf("level %d", uint8(l))
}

// uid is the attribute that names what is on the level.
func (l Level) uid() dict.Tag {
	switch l {
	case Series:
		return dict.SeriesInstanceUID
	case Instance:
		return dict.SOPInstanceUID
	}
	return dict.StudyInstanceUID
}

// Resource names a study, a series of it or an instance of that, by UIDs.
type Resource struct{ Study, Series, Instance string }

// path is /studies/{study}/series/{series}/instances/{instance} as far as there are UIDs.
func (r Resource) path() (string, error) {
	if r.Series != "" && r.Study == "" || r.Instance != "" && r.Series == "" {
		return "", errors.New("a DICOMweb resource lacks the UID of its study or series")
	}
	var path strings.Builder
	for _, part := range []struct{ name, uid string }{
		{"/studies/", r.Study}, {"/series/", r.Series}, {"/instances/", r.Instance},
	} {
		if part.uid == "" {
			break
		}
		if !dict.ValidUID(part.uid) {
			return "", errors.New("a UID is invalid: only digits with dots between them are allowed, at most 64 characters")
		}
		path.WriteString(part.name + part.uid)
	}
	return path.String(), nil
}

func (r Resource) String() string {
	switch {
	case r.Instance != "":
		return "instance " + r.Instance
	case r.Series != "":
		return "series " + r.Series
	}
	return "study " + r.Study
}

// Credentials show the server who asks. Many goroutines may use them.
type Credentials interface {
	// Header gives the header of the next request.
	Header(ctx context.Context) (name, value string, err error)
	// Rejected is told that the server answered a request with this value by 401. It reports whether Header may have
	// another one by now.
	Rejected(value string) (again bool)
}
