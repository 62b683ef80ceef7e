// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdio "io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/files"
)

type loginCmd struct {
	command.Remote
	Username string `arg:"" optional:"" help:"Your username. Without it the command asks for it, or keeps the token of --token-file."`
	Lifetime string `enum:"24h,7d,30d,90d" default:"7d" help:"How long the commands work without the password: 24h, 7d, 30d or 90d (${default})."`
}

// Help is the long description.
func (*loginCmd) Help() string {
	return `Asks for your password, makes an API token and keeps it in a file that you alone can read. The other commands find it there. Each server (--url) has a login of its own. "adit logout" revokes the token and removes the file. A login by password needs the permission "tokens". Without a terminal the command reads the password from --own-password-file or from the standard input.

If you have a token already: "adit login --token-file FILE" keeps that one (-: standard input), and needs no permission. "adit logout" then removes the file and leaves the token valid.`
}

// Run logs in.
func (c *loginCmd) Run(ctx context.Context, io command.Streams) error {
	path, err := command.LoginPath(c.URL)
	if err != nil {
		return err
	}
	if c.Username == "" && c.TokenFile != "" {
		return c.keepOwn(ctx, io, path)
	}
	in, err := c.LogIn(ctx, io, c.Username, true)
	if err != nil {
		return err
	}
	defer command.LogOut(ctx, in)
	before, _ := command.ReadLogin(c.URL) // one that can't be read is replaced
	made, err := in.Tokens.Create(ctx, client.NewToken{
		Description: "adit login on " + command.MachineName(), Lifetime: c.Lifetime,
	})
	if err != nil {
		return err
	}
	login := command.Login{URL: c.URL, Username: made.Username, TokenID: made.ID, Token: made.Secret}
	if err := keep(path, login); err != nil {
		return errors.Join(
			fmt.Errorf("the token could not be kept and was revoked: %w", err), in.Tokens.Revoke(ctx, made.ID),
		)
	}
	if before.Username == made.Username && before.TokenID != 0 {
		_ = in.Tokens.Revoke(ctx, before.TokenID) // it may have expired
	}
	ends := "for ever"
	if made.ExpiresAt != nil {
		ends = "until " + command.Stamp(*made.ExpiresAt)
	}
	return c.Say(
		io, loggedIn{c.URL, made.Username, made.ExpiresAt},
		"You are logged in at %s as %s %s; adit logout ends that.", c.URL, command.Printable(made.Username), ends,
	)
}

// loggedIn is what login --json writes.
type loggedIn struct {
	URL       string     `json:"url"`
	Username  string     `json:"username"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// keepOwn keeps a token that the user has already, if the server knows it.
func (c *loginCmd) keepOwn(ctx context.Context, io command.Streams, path string) error {
	token, err := readToken(c.TokenFile)
	if err != nil {
		return err
	}
	cl, err := c.With(token)
	if err != nil {
		return err
	}
	me, err := cl.Account.Get(ctx)
	if err != nil {
		return err
	}
	if err := keep(path, command.Login{URL: c.URL, Username: me.Username, Token: token}); err != nil {
		return fmt.Errorf("the token could not be kept: %w", err)
	}
	return c.Say(
		io, loggedIn{URL: c.URL, Username: me.Username},
		"You are logged in at %s as %s by your own token; adit logout forgets it.",
		c.URL, command.Printable(me.Username),
	)
}

const maxToken = 4 << 10

func readToken(file string) (string, error) {
	if file != "-" {
		return files.ReadPrivate(file)
	}
	text, err := stdio.ReadAll(stdio.LimitReader(os.Stdin, maxToken))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", command.Usage("there is no token on the standard input")
	}
	return token, nil
}

// keep writes a login where the other commands find it.
func keep(path string, login command.Login) error {
	text, err := json.Marshal(login)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return files.WritePrivate(path, string(text)+"\n")
}

type logoutCmd struct {
	command.Remote
}

// Run revokes the token of a login and removes it.
func (c *logoutCmd) Run(ctx context.Context, io command.Streams) error {
	path, err := command.LoginPath(c.URL)
	if err != nil {
		return err
	}
	kept, err := command.ReadLogin(c.URL)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("you are not logged in at %s", c.URL)
	}
	if err != nil {
		return err
	}
	cl, err := c.With(kept.Token)
	if err != nil {
		return err
	}
	if kept.TokenID != 0 { // else the token is the user's own, which login didn't make
		err := cl.Tokens.Revoke(ctx, kept.TokenID)
		if err != nil && !client.IsCode(err, client.CodeUnauthenticated, client.CodeNotFound) {
			return fmt.Errorf("the token is still valid: %w", err)
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "logged_out", "url": c.URL}, "You are logged out at %s.", c.URL)
}
