// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/url"
	"path/filepath"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// tokenFile in a data directory holds the first administrator's token.
const tokenFile = "admin.token"

// remote says which server a command speaks to.
type remote struct {
	URL       string `name:"url" env:"ADIT_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the ADIT server (${default})."`
	Token     string `env:"ADIT_TOKEN" placeholder:"TOKEN" help:"API token. Others on this machine can read it on a command line: rather use the environment or a file."`
	TokenFile string `env:"ADIT_TOKEN_FILE" type:"path" placeholder:"FILE" help:"File that holds the API token."`
	User      string `kong:"-"` // whose password is asked for if there is no token; empty: it is asked as well
	DataDir   string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Data directory of the server, if it runs on this machine: the token of its first start is taken from there (${default})."`

	OwnPasswordFile string `env:"ADIT_OWN_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with your own password, for what takes it; it is asked for by default."`
}

// noToken says that there is no token to use.
type noToken struct{ reason string }

func (e *noToken) Error() string { return e.reason }

func needToken(format string, args ...any) error {
	return &status{exitUsage, &noToken{fmt.Sprintf(format, args...)}}
}

func (r *remote) client() (*client.Client, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	return r.with(token)
}

// with gives a client that uses a token; empty: none.
func (r *remote) with(token string) (*client.Client, error) {
	c, err := client.New(r.URL, client.WithToken(token), client.WithUserAgent("adit/"+version))
	if err != nil {
		return nil, &status{exitUsage, fmt.Errorf("--url: %w", err)}
	}
	return c, nil
}

// token finds the API token: one that is named, that of adit login, or that of a data directory, which goes to a server on this machine only.
func (r *remote) token() (string, error) {
	switch {
	case r.TokenFile != "":
		token, err := people.ReadPrivate(r.TokenFile)
		if err != nil {
			return "", fmt.Errorf("the token can't be used: %w", err)
		}
		return token, nil
	case r.Token != "":
		return r.Token, nil
	}
	kept, err := readLogin(r.URL)
	switch {
	case err == nil:
		return kept.Token, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("your login can't be used: %w", err)
	case !loopback(r.URL):
		return "", needToken("an API token is needed for %s: log in with adit login, or set ADIT_TOKEN or ADIT_TOKEN_FILE", r.URL)
	}
	dirs := []string{r.DataDir}
	if r.DataDir == defaultDataDir() {
		dirs = append(dirs, demoDataDir()) // a demo alone was started here
	}
	token, err := tokenIn(dirs...)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", needToken("an API token is needed: log in with adit login, set ADIT_TOKEN, or name the server's data directory (%s holds none that you may read)", r.DataDir)
	}
	if err != nil {
		return "", fmt.Errorf("the token can't be used: %w", err)
	}
	return token, nil
}

// tokenIn reads the token of the first data directory that has one.
func tokenIn(dirs ...string) (token string, err error) {
	for _, dir := range dirs {
		if token, err = people.ReadPrivate(filepath.Join(dir, tokenFile)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return token, err
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// collect gives all of a list. None is an empty list, which JSON shows as such.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// upTo returns the first of a list, limit at most; 0: all. It reports whether there are more.
func upTo[T any](list iter.Seq2[T, error], limit int) (some []T, more bool, err error) {
	some = []T{}
	for item, err := range list {
		if err != nil {
			return nil, false, err
		}
		if limit > 0 && len(some) == limit {
			return some, true, nil
		}
		some = append(some, item)
	}
	return some, false, nil
}

// sayMore says that a list was cut, beside what is written for programs.
func sayMore(io streams, more bool, shown int, what string) {
	if more {
		fmt.Fprintf(io.err, "There are more than these %d %s; --limit 0 shows all.\n", shown, what)
	}
}

// printJSON writes a value for programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
