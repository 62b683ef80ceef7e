// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/server"
)

// patience is how long a command bears a network that is lost, or a server that is too busy, before it tells who waits
// for it. Commands that wait for a job bear more.
const patience = 15 * time.Second

// DefaultURL is where a server listens unless it is told otherwise.
const DefaultURL = "http://127.0.0.1:8080"

// Remote says which server a command speaks to.
type Remote struct {
	Output

	URL       string `name:"url" env:"ADIT_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the ADIT server (${default})."`
	Token     string `env:"ADIT_TOKEN" placeholder:"TOKEN" help:"API token. Other users of this machine can read it on a command line; the environment or a file is safer."`
	TokenFile string `env:"ADIT_TOKEN_FILE" type:"path" placeholder:"FILE" help:"File that holds the API token."`
	User      string `kong:"-"` // who gives the command, by their password and no token; empty: whose token it is, or who is asked for
	DataDir   string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Data directory of a server on this machine, which holds the token of its first start (${default})."`

	OwnPasswordFile string `env:"ADIT_OWN_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File with your own password, for commands that need it. Default: the command asks for it."`
}

// noToken says that there is no token to use.
type noToken struct{ reason string }

func (e *noToken) Error() string { return e.reason }

func needToken(format string, args ...any) error {
	return &Status{ExitUsage, &noToken{fmt.Sprintf(format, args...)}}
}

// Client returns a client of the server that the flags name, with the token that is found.
func (r *Remote) Client() (*client.Client, error) {
	if _, err := r.With(""); err != nil { // an address that is wrong needs no token
		return nil, err
	}
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	return r.With(token)
}

// With gives a client that uses a token; empty: none.
func (r *Remote) With(token string) (*client.Client, error) {
	if server, inside := strings.CutSuffix(strings.TrimSuffix(r.URL, "/"), "/api/v1"); inside {
		return nil, Usage("--url takes the address of the server without the path of its API; give %s", server)
	}
	c, err := client.New(
		r.URL, client.WithToken(token), client.WithUserAgent("adit/"+Version), client.WithPatience(patience),
	)
	if err != nil {
		return nil, &Status{ExitUsage, fmt.Errorf("--url: %w", err)}
	}
	return c, nil
}

// token finds the API token: one that is named, that of adit login, or that of a data directory, which goes to a server
// on this machine only.
func (r *Remote) token() (string, error) {
	switch {
	case r.TokenFile != "":
		token, err := files.ReadPrivate(r.TokenFile)
		if err != nil {
			return "", fmt.Errorf("the token can't be used: %w", err)
		}
		return token, nil
	case r.Token != "":
		return r.Token, nil
	}
	kept, err := ReadLogin(r.URL)
	switch {
	case err == nil:
		return kept.Token, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("your login can't be used: %w", err)
	case !loopback(r.URL):
		return "", needToken(
			"an API token is needed for %s: log in with adit login, or set ADIT_TOKEN or ADIT_TOKEN_FILE", r.URL,
		)
	}
	dirs := []string{r.DataDir}
	if r.DataDir == DefaultDataDir() {
		dirs = append(dirs, DemoDataDir()) // a demo alone was started here
	}
	token, err := TokenIn(dirs...)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", needToken(
			"an API token is needed: log in with adit login, set ADIT_TOKEN, or name the server's data directory (%s "+
				"holds none that you may read)",
			r.DataDir,
		)
	}
	if err != nil {
		return "", fmt.Errorf("the token can't be used: %w", err)
	}
	return token, nil
}

// TokenIn reads the token of the first data directory that has one.
func TokenIn(dirs ...string) (token string, err error) {
	for _, dir := range dirs {
		if token, err = files.ReadPrivate(filepath.Join(dir, server.TokenFile)); !errors.Is(err, fs.ErrNotExist) {
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

// Collect gives all of a list. None is an empty list, which JSON shows as such.
func Collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// UpTo returns the first of a list, limit at most; 0: all. It reports whether there are more.
func UpTo[T any](list iter.Seq2[T, error], limit int) (some []T, more bool, err error) {
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

// SayMore says that a list was cut, beside what is written for programs.
func SayMore(io Streams, more bool, shown int, what string) {
	if more {
		fmt.Fprintf(io.Err, "There are more %s than the %d shown; --limit 0 shows all.\n", what, shown)
	}
}
